//! A Unity Catalog server: minilake, an emulator of Databricks' REST API that can also run SQL over the tables.
//!
//! `./test` cannot download the open-source Unity Catalog server. All tests share one emulator. Each test has separate
//! catalogs in it. It requires a token, as the real services do.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::environment::repository;
use crate::python::{self, Script};
use crate::service::{self, Service, http};

pub(crate) const TOKEN: &str = "unity-token-of-the-tests";

const API: &str = "2.1/unity-catalog";

#[derive(Debug)]
pub(crate) struct UnityServer {
    port: u16,
    /// The address that runs SQL.
    warehouse: String,
    service: Service,
}

impl UnityServer {
    /// The server that all tests share. The first call starts it.
    pub(crate) fn shared() -> &'static Self {
        static SERVER: OnceLock<UnityServer> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    fn start() -> Self {
        let folder = service::folder("unity");
        let [port] = service::free_ports();
        let mut program = Command::new(python::interpreter());
        program.arg(repository().join("tests/e2e/unity_server.py")).arg(port.to_string()).arg(&folder).arg(TOKEN);
        let service = Service::start("Unity Catalog", folder, &[], &program);
        service.await_ready(|| http("GET", port, "/", "").is_some());
        let mut server = Self { port, warehouse: String::new(), service };
        let made = server.done("POST", "2.0/sql/warehouses", &json!({"name": "tests", "cluster_size": "2X-Small"}));
        made["id"].as_str().unwrap().clone_into(&mut server.warehouse);
        server
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The token, in the variable that pinsql reads.
    pub(crate) fn variables(&self) -> [(&'static str, String); 1] {
        [("PINSQL_CATALOG_TOKEN", TOKEN.to_owned())]
    }

    /// Creates a catalog that no other test uses.
    pub(crate) fn catalog(&self, name: &str) -> String {
        let name = self.name(name);
        self.done("POST", &format!("{API}/catalogs"), &json!({"name": name}));
        name
    }

    /// The name of a catalog that no other test uses and that does not exist yet.
    pub(crate) fn name(&self, name: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("{name}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn create_schema(&self, catalog: &str, schema: &str) {
        self.done("POST", &format!("{API}/schemas"), &json!({"name": schema, "catalog_name": catalog}));
    }

    /// Registers a table in this format, as another engine does.
    pub(crate) fn register(&self, full_name: &str, format: &str, location: &str) {
        self.register_as("EXTERNAL", full_name, format, location);
    }

    pub(crate) fn register_as(&self, table_type: &str, full_name: &str, format: &str, location: &str) {
        let [catalog, schema, table] = parts(full_name);
        let body = json!({
            "name": table, "catalog_name": catalog, "schema_name": schema, "table_type": table_type,
            "data_source_format": format, "storage_location": location,
            "columns": [{"name": "id", "type_text": "int", "type_name": "INT", "position": 0}],
        });
        self.done("POST", &format!("{API}/tables"), &body);
    }

    /// Creates many tables at once, to fill more than one page.
    pub(crate) fn create_tables(&self, catalog: &str, schema: &str, names: &[String], location: &str) {
        let table = |name| {
            json!(["POST", format!("{API}/tables"), {
                "name": name, "catalog_name": catalog, "schema_name": schema, "table_type": "EXTERNAL",
                "data_source_format": "DELTA", "storage_location": format!("{location}/{name}"), "columns": [],
            }])
        };
        let requests: Vec<Value> = names.iter().map(table).collect();
        for answer in self.client(&json!(requests)) {
            assert_eq!(answer[0], 200, "{answer}");
        }
    }

    /// The catalog's entry of a table, or None.
    pub(crate) fn table(&self, full_name: &str) -> Option<Value> {
        let answer = self.ask("GET", &format!("{API}/tables/{full_name}"), &Value::Null);
        match answer[0].as_u64() {
            Some(200) => Some(answer[1].clone()),
            Some(404) => None,
            _ => panic!("{full_name}: {answer}"),
        }
    }

    /// The names of a schema's tables, from all pages, in order.
    pub(crate) fn table_names(&self, catalog: &str, schema: &str) -> Vec<String> {
        self.names("tables", &format!("catalog_name={catalog}&schema_name={schema}"))
    }

    /// Runs a query over the registered tables with the emulator's own engine, and returns the rows.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Value>> {
        let statement = json!({"statement": sql, "warehouse_id": self.warehouse, "wait_timeout": "30s"});
        let answer = self.done("POST", "2.0/sql/statements", &statement);
        assert_eq!(answer["status"]["state"], "SUCCEEDED", "{sql}: {answer}");
        serde_json::from_value(answer["result"]["data_array"].clone())
            .unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn names(&self, list: &str, query: &str) -> Vec<String> {
        let mut names = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.done("GET", &format!("{API}/{list}?{query}{after}"), &Value::Null);
            let rows = page[list].as_array().unwrap();
            names.extend(rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()));
            match page["next_page_token"].as_str() {
                Some(token) => after = format!("&page_token={token}"),
                None => return names,
            }
        }
    }

    /// The body of the response. Asserts that the request succeeds.
    fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, body);
        assert_eq!(answer[0], 200, "{method} {path} {body}: {answer}\n{}", self.service.log());
        answer[1].clone()
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.client(&json!([[method, path, body]])).remove(0)
    }

    /// Sends requests with a client that is not part of pinsql, and returns statuses and bodies.
    pub(crate) fn client(&self, requests: &Value) -> Vec<Value> {
        let script = repository().join("tests/e2e/unity_client.py");
        let script = Script::start(&script, &[&self.endpoint(), TOKEN, &requests.to_string()], &[]);
        script.answer().as_array().unwrap().clone()
    }
}

fn parts(full_name: &str) -> [&str; 3] {
    let parts: Vec<&str> = full_name.split('.').collect();
    parts.try_into().unwrap_or_else(|_| panic!("{full_name} is not catalog.schema.table"))
}
