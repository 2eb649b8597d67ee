//! Several processes change rows of one table at once, and some are killed. Commits that land have the same result as
//! statements in sequence. A statement that does not land has an error with the reason.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::environment::{Output, TestEnvironment};

const WRITERS: u64 = 3;
const ROUNDS: u64 = 3;
const KILLS: u32 = 8;

fn at_once(environment: &TestEnvironment, statements: &[String]) -> Vec<Output> {
    let running: Vec<_> = statements.iter().map(|sql| environment.run_sql(sql).start()).collect();
    running.into_iter().map(|run| run.wait()).collect()
}

/// The number of statements that landed. The error of every other one must name the conflict with another writer.
fn landed(outputs: &[Output]) -> u64 {
    for output in outputs.iter().filter(|output| !output.status.success()) {
        assert!(output.stderr.contains("another writer was faster on default."), "{}", output.describe());
        assert_eq!(output.status.code(), Some(3), "{}", output.describe());
    }
    outputs.iter().filter(|output| output.status.success()).count() as u64
}

#[test]
fn each_update_that_lands_counts_once() {
    let environment = TestEnvironment::new();
    environment.run_sql("CREATE TABLE counter AS SELECT 1 AS id, CAST(0 AS BIGINT) AS n").output().success();
    let mut expected = 0;
    for _ in 0..ROUNDS {
        let updates = vec!["UPDATE counter SET n = n + 1".to_owned(); WRITERS as usize];
        let count = landed(&at_once(&environment, &updates));
        assert!(count > 0, "nobody won");
        expected += count;
        assert_eq!(environment.value("SELECT n FROM counter"), expected);
    }
}

#[test]
fn updates_of_different_partitions_do_not_conflict() {
    let environment = TestEnvironment::new();
    let table = "CREATE TABLE parts PARTITIONED BY (p) AS SELECT value AS id, value % 3 AS p, 0 AS n FROM generate_series(0, 29)";
    environment.run_sql(table).output().success();
    for _ in 0..ROUNDS {
        let updates: Vec<String> = (0..WRITERS).map(|p| format!("UPDATE parts SET n = n + 1 WHERE p = {p}")).collect();
        assert_eq!(landed(&at_once(&environment, &updates)), WRITERS);
    }
    let left = environment.query("SELECT DISTINCT n FROM parts");
    assert_eq!(left, [json!({ "n": ROUNDS })]);
}

#[test]
fn concurrent_merges_and_appends_give_the_sequential_result() {
    let environment = TestEnvironment::new();
    environment.run_sql("CREATE TABLE t AS SELECT value AS id, 0 AS n FROM generate_series(1, 100)").output().success();
    let (mut merged, mut appended) = (0, 0);
    for round in 0..ROUNDS {
        let merge = "MERGE INTO t USING (SELECT value AS id FROM generate_series(50, 150)) AS s ON t.id = s.id
                     WHEN MATCHED THEN UPDATE SET n = t.n + 1 WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, 1)";
        let append = format!("INSERT INTO t VALUES ({}, 0)", 1000 + round);
        let outputs = at_once(&environment, &[merge.to_owned(), append]);
        merged += landed(&outputs[..1]);
        // An append conflicts with nothing, so it must always land.
        appended += landed(&outputs[1..]);
    }
    assert_eq!((merged, appended), (ROUNDS, ROUNDS));
    let counts = environment.query("SELECT n, count(*) AS c FROM t GROUP BY n ORDER BY n");
    assert_eq!(counts, [json!({ "n": 0, "c": 49 + ROUNDS }), json!({ "n": ROUNDS, "c": 101 })]);
}

#[test]
fn a_killed_merge_does_not_change_the_table() {
    let environment = TestEnvironment::new();
    let table = "CREATE TABLE t AS SELECT value AS id, CAST(value AS STRING) AS name, CAST(0 AS BIGINT) AS n FROM generate_series(1, 200000)";
    environment.run_sql(table).output().success();
    let merge = "MERGE INTO t USING (SELECT value AS id FROM generate_series(100000, 300000)) AS s ON t.id = s.id
                 WHEN MATCHED THEN UPDATE SET n = t.n + 1 WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, 1)
                 WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = t.n + 1";
    let started = Instant::now();
    environment.run_sql(merge).output().success();
    let whole = started.elapsed();
    let state = || environment.query("SELECT count(*) AS c, min(n) AS least, max(n) AS most FROM t");
    let mut landed = 1;
    for kill in 0..KILLS {
        let delay = whole * (kill + 1) / (KILLS + 1);
        let output = environment.run_sql(merge).start().kill_after(delay.max(Duration::from_millis(1)));
        let history = environment.query("DESCRIBE HISTORY t").len() as u64 - 1;
        assert!(history == landed || history == landed + 1, "{}", output.describe());
        landed = history;
        // Each merge that landed changed every row. The others changed none.
        assert_eq!(state(), [json!({ "c": 300_000, "least": landed, "most": landed })]);
    }
}
