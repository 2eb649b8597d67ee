//! Faults of S3: refused, delayed, incomplete and missing responses.

use serde_json::json;

use crate::environment::{Output, TestEnvironment};
use crate::fault_proxy::{Fault, FaultProxy, Request, Rule};
use crate::raw;
use crate::s3::{self, Identity};
use crate::service;

const OBJECTS: u64 = 12;
const RECORDS_PER_OBJECT: u64 = 50;
const RECORDS: u64 = OBJECTS * RECORDS_PER_OBJECT;

/// Objects in S3, and a warehouse next to them.
struct Lake {
    prefix: String,
    raw: String,
}

impl Lake {
    fn new(name: &str) -> Self {
        let server = s3::server();
        let prefix = server.prefix(name);
        for object in 0..OBJECTS {
            let body = raw::numbered(object * RECORDS_PER_OBJECT, RECORDS_PER_OBJECT);
            server.put(&format!("{prefix}/raw/{object:03}.json"), body);
        }
        let raw = server.url(&format!("{prefix}/raw"));
        Self { prefix, raw }
    }

    /// An environment with the given variables to reach the lake.
    fn environment(&self, variables: Vec<(&'static str, String)>) -> TestEnvironment {
        let warehouse = s3::server().url(&format!("{}/warehouse", self.prefix));
        TestEnvironment::new().with_variables(variables).with_warehouse(warehouse)
    }

    fn create(&self, environment: &TestEnvironment) -> Output {
        environment.run_sql(&format!("CREATE TABLE records AS {}", select(&self.raw))).output()
    }

    /// Asserts the rows that the owner reads directly, without a proxy.
    fn assert_whole(&self) {
        let owner = self.environment(s3::server().variables(Identity::Owner));
        let rows = owner.query("SELECT count(*) AS rows, count(DISTINCT id) AS ids FROM records");
        assert_eq!(rows, [json!({"rows": RECORDS, "ids": RECORDS})]);
        assert_eq!(owner.query("DESCRIBE HISTORY records").len(), 1, "one commit");
    }

    fn assert_no_table(&self) {
        let keys = s3::server().keys(&format!("{}/warehouse/default/records/_delta_log", self.prefix));
        assert_eq!(keys, [""; 0], "a failed statement has committed");
    }
}

fn select(raw: &str) -> String {
    format!("SELECT * FROM read_files('{raw}', format => 'json', schema => 'id BIGINT, payload STRING')")
}

#[test]
fn a_wrong_secret() {
    let lake = Lake::new("secret");
    let environment = lake.environment(s3::server().variables(Identity::Impostor));
    let output = lake.create(&environment).failure(1, &[&["credential", "denied", "signature"], &["s3://"]]);
    for secret in [Identity::Impostor.secret(), Identity::Owner.secret()] {
        assert!(!output.stderr.contains(secret), "tells a secret: {}", output.describe());
    }
}

#[test]
fn no_credentials_at_all() {
    let lake = Lake::new("anonymous");
    let of_place = |(name, _): &(&str, String)| matches!(*name, "AWS_ENDPOINT_URL" | "AWS_REGION");
    let variables = s3::server().variables(Identity::Owner).into_iter().filter(of_place).collect();
    lake.create(&lake.environment(variables)).failure(1, &[&["credential"]]);
}

#[test]
fn a_missing_bucket() {
    let lake = Lake::new("bucket");
    let environment = lake.environment(s3::server().variables(Identity::Owner));
    let output = environment.run_sql(&select("s3://no-such-bucket/raw")).output();
    output.failure(1, &[&["no-such-bucket"], &["bucket"]]);
    let environment = environment.with_warehouse("s3://no-such-bucket/warehouse");
    lake.create(&environment).failure(1, &[&["no-such-bucket"], &["bucket"]]);
}

#[test]
fn a_prefix_without_objects() {
    let lake = Lake::new("prefix");
    let environment = lake.environment(s3::server().variables(Identity::Owner));
    let wrong = format!("{}/2099/*.json", lake.raw);
    let output = environment.run_sql(&select(&wrong)).output();
    output.failure(1, &[&["no file matches"], &["hint:"], &[&lake.raw]]);
}

#[test]
fn a_read_only_warehouse() {
    let lake = Lake::new("reader");
    let environment = lake.environment(s3::server().variables(Identity::Reader));
    assert_eq!(environment.query(&select(&lake.raw)).len() as u64, RECORDS, "reading is allowed");
    lake.create(&environment).failure(1, &[&["denied", "not allowed", "permission"]]);
    lake.assert_no_table();
}

#[test]
fn an_endpoint_that_does_not_respond() {
    let lake = Lake::new("nobody");
    let [port] = service::free_ports();
    let mut variables = s3::server().variables(Identity::Owner);
    variables.retain(|(name, _)| *name != "AWS_ENDPOINT_URL");
    variables.push(("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")));
    lake.create(&lake.environment(variables)).failure(3, &[&["connect", "reach", "answer"]]);
}

/// Creates the table through a proxy with this rule, and asserts that the fault happened.
fn create_through(lake: &Lake, rule: Rule) -> Output {
    let proxy = FaultProxy::start(s3::server(), rule);
    let output = lake.create(&lake.environment(proxy.variables()));
    assert!(proxy.faults() > 0, "no fault was injected: this has tested nothing: {}", output.describe());
    output
}

#[test]
fn throttled_requests_are_retried() {
    let lake = Lake::new("throttled");
    create_through(&lake, Rule { applies: |_| true, skip: 0, times: 8, fault: Fault::Throttled }).success();
    lake.assert_whole();
}

#[test]
fn a_dropped_connection_is_retried() {
    let lake = Lake::new("dropped");
    create_through(&lake, Rule { applies: Request::is_get_of_object, skip: 0, times: 4, fault: Fault::Dropped })
        .success();
    lake.assert_whole();
}

#[test]
fn an_interrupted_object_transfer_is_retried() {
    let lake = Lake::new("broken-off");
    create_through(&lake, Rule { applies: Request::is_get_of_object, skip: 0, times: 4, fault: Fault::BrokenOff })
        .success();
    lake.assert_whole();
}

/// The most dangerous fault: a response that is shorter than the object but looks complete.
#[test]
fn a_truncated_object_loses_no_record_silently() {
    let lake = Lake::new("shortened");
    let rule = Rule { applies: Request::is_get_of_object, skip: 0, times: 1, fault: Fault::Shortened };
    let output = create_through(&lake, rule);
    if output.status.success() {
        lake.assert_whole();
    } else {
        output.failure(3, &[&[".json"], &["bytes", "short", "truncated", "incomplete"]]);
        lake.assert_no_table();
    }
}

/// The commit is in the store, but its writer never gets the response.
#[test]
fn a_commit_with_a_lost_response_lands_once() {
    let lake = Lake::new("unheard");
    create_through(&lake, Rule { applies: Request::is_commit, skip: 0, times: 1, fault: Fault::Unheard }).success();
    lake.assert_whole();
}

#[test]
fn a_store_that_stays_throttled_is_a_retryable_error() {
    let lake = Lake::new("overloaded");
    let rule = Rule { applies: |request| request.method == "PUT", skip: 0, times: usize::MAX, fault: Fault::Throttled };
    create_through(&lake, rule).failure(3, &[&["slowdown", "slow down", "reduce your request rate", "503"]]);
    lake.assert_no_table();
}

/// With such a store, two writers could both conclude that they created the same version.
#[test]
fn a_store_that_ignores_conditional_put_is_refused() {
    let lake = Lake::new("careless");
    let rule = Rule { applies: |request| request.method == "PUT", skip: 0, times: usize::MAX, fault: Fault::Careless };
    create_through(&lake, rule).failure(1, &[&["overwrites an object"], &["hint:"]]);
    lake.assert_no_table();
}
