//! A Glue Data Catalog that is not AWS's: moto's, with the users of the S3 server.
//!
//! It checks the signature of every request and what its user may do. One is shared by all tests, each with a database
//! of its own in it.

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
    /// The server that all tests share, started by the first that asks.
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

    /// Who asks, and where, as AWS's own tools read it from the environment. With a table on the S3 server, its
    /// variables say the same of the user.
    pub(crate) fn variables(&self, identity: Identity) -> Vec<(&'static str, String)> {
        let of_user = s3::variables(self.port, identity).into_iter().filter(|(name, _)| *name != "AWS_ENDPOINT_URL");
        of_user.chain([("AWS_ENDPOINT_URL_GLUE", self.endpoint())]).collect()
    }

    /// A database that no other test has.
    pub(crate) fn database(&self, name: &str) -> String {
        let name = self.name(name);
        self.call(&json!({"do": "create_database", "DatabaseInput": {"Name": name}}));
        name
    }

    /// The name of a database that no other test has, and that is not made yet.
    pub(crate) fn name(&self, name: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("{name}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds a table by the whole of what the API takes for it.
    pub(crate) fn create_table(&self, database: &str, table: &Value) {
        let call = json!({"do": "create_table", "DatabaseName": database, "TableInput": table});
        assert_eq!(self.call(&call), json!({}), "{table}");
    }

    /// What the catalog has of a table, or nothing.
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

    /// Lets a client that is not ours do something as the owner, and gives its answers.
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
