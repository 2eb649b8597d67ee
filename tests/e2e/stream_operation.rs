//! The operation of a stream: signals, a second process, and the log.

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::raw;

const STATEMENT: &str = "CREATE OR REFRESH STREAMING TABLE operated AS
    SELECT * FROM STREAM read_files(:raw, format => 'json', schema => 'id BIGINT, payload STRING')";

struct Operated {
    environment: TestEnvironment,
    file: String,
    raw: String,
}

fn operated() -> Operated {
    let environment = TestEnvironment::new();
    environment.write("raw/1.json", raw::numbered(0, 100));
    let file = environment.write("stream.sql", STATEMENT);
    let raw = environment.path("raw").to_str().unwrap().to_owned();
    Operated { environment, file, raw }
}

#[test]
fn sigterm_ends_a_stream_without_an_error() {
    let Operated { environment, file, raw } = operated();
    let run = environment.pinsql(&["stream", &file, "--trigger", "100ms"]).parameter("raw", &raw);
    let mut stream = run.start();
    stream.await_stderr("\"event\":\"landed\"");
    environment.write("raw/2.json", raw::numbered(100, 50));
    stream.await_stderr("\"batch\":2");
    let output = stream.terminate().success();
    let landed: Vec<Value> = output
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["event"] == "landed")
        .collect();
    assert_eq!(landed.len(), 2, "{}", output.describe());
    assert_eq!((&landed[1]["table"], &landed[1]["ledger"]["written"]), (&"default.operated".into(), &50.into()));
    assert_eq!(environment.value("SELECT count(*) FROM operated"), 150);
}

#[test]
fn a_second_process_fails_with_the_pid_of_the_first() {
    let Operated { environment, file, raw } = operated();
    let run = environment.pinsql(&["stream", &file]).parameter("raw", &raw);
    let mut first = run.start();
    first.await_stderr("\"event\":\"landed\"");
    let pid = first.pid().to_string();
    run.output().failure(1, &[&["another process streams into default.operated"], &[&format!("process {pid} on")]]);
    let killed = first.kill_when(|| true);
    assert!(killed.status.code().is_none());
    // The lock of a killed process does not block the next one.
    environment.pinsql(&["run", &file]).parameter("raw", &raw).output().success();
}
