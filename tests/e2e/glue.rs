//! A Glue Data Catalog server from moto, with the users of the S3 server.
//!
//! It checks the signature of every request and the permissions of its user. All tests share one server. Each test has
//! a separate database in it.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::environment::repository;
use crate::python::{self, Script};
use crate::s3::{self, Identity};
use crate::service::{self, Service, http};

#[derive(Debug)]
pub(crate) struct GlueServer {
    port: u16,
    _service: Service,
}

impl GlueServer {
    /// The server that all tests share. The first call starts it.
    pub(crate) fn shared() -> &'static Self {
        static SERVER: OnceLock<GlueServer> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    fn start() -> Self {
        let [port] = service::free_ports();
        let mut program = Command::new(python::interpreter());
        program.arg(repository().join("tests/e2e/glue_server.py")).args([port.to_string(), users().to_string()]);
        let service = Service::start("Glue", service::folder("glue"), &[], &program);
        service.await_ready(|| http("GET", port, "/moto-api/", "").is_some_and(|(status, _)| status == 200));
        Self { port, _service: service }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The user's credentials and the endpoint, as AWS's own tools read them from the environment. The variables of the
    /// S3 server have the same credentials, so both can be used together.
    pub(crate) fn variables(&self, identity: Identity) -> Vec<(&'static str, String)> {
        let of_user = s3::variables(self.port, identity).into_iter().filter(|(name, _)| *name != "AWS_ENDPOINT_URL");
        of_user.chain([("AWS_ENDPOINT_URL_GLUE", self.endpoint())]).collect()
    }

    /// Creates a database that no other test uses.
    pub(crate) fn database(&self, name: &str) -> String {
        let name = self.name(name);
        self.call(&json!({"do": "create_database", "DatabaseInput": {"Name": name}}));
        name
    }

    /// The name of a database that no other test uses and that does not exist yet.
    pub(crate) fn name(&self, name: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("{name}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Creates a table from the complete input of the API.
    pub(crate) fn create_table(&self, database: &str, table: &Value) {
        let call = json!({"do": "create_table", "DatabaseName": database, "TableInput": table});
        assert_eq!(self.call(&call), json!({}), "{table}");
    }

    /// The catalog's entry of a table, or None.
    pub(crate) fn table(&self, database: &str, table: &str) -> Option<Value> {
        let answer = self.call(&json!({"do": "get_table", "DatabaseName": database, "Name": table}));
        if answer["Error"] == "EntityNotFoundException" {
            return None;
        }
        assert!(answer["Table"].is_object(), "{answer}");
        Some(answer["Table"].clone())
    }

    pub(crate) fn tables(&self, database: &str) -> Vec<Value> {
        let answer = self.call(&json!({"do": "get_tables", "DatabaseName": database}));
        answer["TableList"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    /// The names of a database's tables, in order.
    pub(crate) fn table_names(&self, database: &str) -> Vec<String> {
        let tables = self.tables(database);
        let mut names: Vec<String> = tables.iter().map(|table| table["Name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    fn call(&self, call: &Value) -> Value {
        self.client(&json!([call])).remove(0)
    }

    /// Runs calls as the owner with a client that is not part of pinsql, and returns the results.
    pub(crate) fn client(&self, calls: &Value) -> Vec<Value> {
        let script = repository().join("tests/e2e/glue_client.py");
        let arguments = [self.endpoint(), calls.to_string()];
        let script =
            Script::start(&script, &[&arguments[0], &arguments[1]], &s3::variables(self.port, Identity::Owner));
        script.answer().as_array().unwrap().clone()
    }
}

fn users() -> Value {
    let user = |identity, actions: &[&str]| {
        let variables = s3::variables(0, identity);
        let value = |name| &variables.iter().find(|(found, _)| *found == name).unwrap().1;
        json!({"key": value("AWS_ACCESS_KEY_ID"), "secret": value("AWS_SECRET_ACCESS_KEY"), "actions": actions})
    };
    json!({"owner": user(Identity::Owner, &["glue:*"]), "reader": user(Identity::Reader, &["glue:Get*"])})
}
