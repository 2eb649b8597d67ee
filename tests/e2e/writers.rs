//! Several processes write one table at once.

use crate::environment::{Output, TestEnvironment};
use crate::raw;
use crate::s3::{self, Identity};

const WRITERS: u64 = 3;
const ROUNDS: u64 = 3;
const RECORDS: u64 = 200;

#[test]
fn writers_on_one_table_in_a_folder() {
    compete(&TestEnvironment::new());
}

#[test]
fn writers_on_one_table_in_s3() {
    let server = s3::server();
    let warehouse = server.url(&server.prefix("writers"));
    compete(&TestEnvironment::new().with_variables(server.variables(Identity::Owner)).with_warehouse(warehouse));
}

fn compete(environment: &TestEnvironment) {
    let raw = environment.write("raw/records.json", raw::numbered(0, RECORDS));
    let select = |generation: u64| {
        format!(
            "SELECT id, {generation} AS generation
             FROM read_files('{raw}', format => 'json', schema => 'id BIGINT')"
        )
    };
    let mut versions = 0;
    for round in 0..ROUNDS {
        // In the first round there is no table yet, so the writers race to create it.
        let generations = || (0..WRITERS).map(|writer| round * WRITERS + writer);
        let replace = |generation| format!("CREATE OR REPLACE TABLE contested AS {}", select(generation));
        let outputs = at_once(environment, generations().map(replace));
        let won: Vec<u64> = generations().zip(&outputs).filter(|(_, output)| landed(output)).map(|(g, _)| g).collect();
        assert!(!won.is_empty(), "nobody won: {}", outputs[0].describe());
        versions += won.len() as u64;
        let left = environment.query("SELECT generation, count(*) AS rows FROM contested GROUP BY generation");
        assert_eq!(left.len(), 1, "a mixture of several writers: {left:?}");
        assert!(won.contains(&left[0]["generation"].as_u64().unwrap()), "{left:?}, but {won:?} won");
        assert_eq!(left[0]["rows"], RECORDS);

        let insert = |generation| format!("INSERT INTO contested {}", select(generation));
        for output in at_once(environment, generations().map(insert)) {
            // An append conflicts with nothing, so every one must succeed.
            output.success();
        }
        versions += WRITERS;
        assert_eq!(environment.value("SELECT count(*) FROM contested"), RECORDS * (WRITERS + 1));
    }
    assert_eq!(environment.query("DESCRIBE HISTORY contested").len() as u64, versions, "one commit each");
}

fn at_once(environment: &TestEnvironment, statements: impl Iterator<Item = String>) -> Vec<Output> {
    let running: Vec<_> = statements.map(|sql| environment.run_sql(&sql).start()).collect();
    running.into_iter().map(|run| run.wait()).collect()
}

/// True if the writer committed. The error of every other one must name the conflict with another writer.
fn landed(output: &Output) -> bool {
    if output.status.success() {
        return true;
    }
    let error = output.stderr.to_lowercase();
    let says_so = ["another", "conflict", "concurrent", "at the same time", "someone else"];
    assert!(says_so.iter().any(|words| error.contains(words)), "an unclear defeat: {}", output.describe());
    assert!(matches!(output.status.code(), Some(1 | 3)), "{}", output.describe());
    false
}
