//! DELETE, UPDATE and MERGE compared with Spark. The same statements over copies of one table give the same rows, the
//! same changes in the change data feed, and the same metrics in the history.

use std::path::Path;
use std::process::Command;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::spark::{self, Session};

/// Metrics that both engines write and that do not depend on the layout of files.
const COUNTS: [&str; 9] = [
    "numDeletedRows",
    "numUpdatedRows",
    "numTargetRowsInserted",
    "numTargetRowsUpdated",
    "numTargetRowsDeleted",
    "numTargetRowsMatchedUpdated",
    "numTargetRowsMatchedDeleted",
    "numTargetRowsNotMatchedBySourceUpdated",
    "numTargetRowsNotMatchedBySourceDeleted",
];

const ROWS: u64 = 400;
const STATEMENTS: usize = 8;

/// The initial table: several files, NULLs, two partitions and a NULL partition.
const TABLE: &str = "
    CREATE TABLE changed PARTITIONED BY (part) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true') AS
    SELECT value AS id, CAST(value % 7 AS INT) AS n, CASE WHEN value % 5 <> 0 THEN 'name ' || CAST(value AS STRING) END AS name,
           CASE value % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b' END AS part
    FROM generate_series(1, 300);
    INSERT INTO changed SELECT value, NULL, 'late', 'a' FROM generate_series(301, 400);";

fn condition(random: &mut StdRng, table: &str) -> String {
    let low = random.random_range(1..ROWS);
    let high = low + random.random_range(1..40);
    let choices = [
        format!("{table}.id BETWEEN {low} AND {high}"),
        format!("{table}.n = {} AND {table}.id < {high}", low % 7),
        format!("{table}.part = 'a' AND {table}.id % 11 = {}", low % 11),
        format!("{table}.name IS NULL AND {table}.id > {low}"),
        format!("({table}.part IS NULL OR {table}.n > 4) AND {table}.id % 13 = {}", low % 13),
    ];
    choices.choose(random).unwrap().clone()
}

/// At most one source row matches each target row.
fn source(random: &mut StdRng) -> String {
    let (from, step) = (random.random_range(0..ROWS), random.random_range(1..5));
    format!(
        "(SELECT CAST(id * {step} + {from} AS BIGINT) AS id, CAST(id AS INT) AS n, concat('new ', CAST(id AS STRING)) AS name,
                 CASE WHEN id % 2 = 0 THEN 'a' ELSE 'c' END AS part
          FROM {{numbers}} WHERE id BETWEEN 1 AND 40)"
    )
}

fn statement(random: &mut StdRng) -> String {
    match random.random_range(0..10) {
        0 | 1 => format!("DELETE FROM {{target}} AS t WHERE {}", condition(random, "t")),
        2 => format!("UPDATE {{target}} AS t SET n = n * 2, name = concat('u', name) WHERE {}", condition(random, "t")),
        3 => format!("UPDATE {{target}} AS t SET part = 'b', n = id % 5 WHERE {}", condition(random, "t")),
        4 => {
            format!("MERGE INTO {{target}} AS t USING {} AS s ON t.id = s.id WHEN MATCHED THEN DELETE", source(random))
        }
        5 => format!(
            "MERGE INTO {{target}} AS t USING {} AS s ON t.id = s.id AND {}
             WHEN MATCHED THEN UPDATE SET n = t.n + s.n
             WHEN NOT MATCHED AND s.n < 20 THEN INSERT (id, part) VALUES (s.id + 10000, s.part)",
            source(random),
            condition(random, "t"),
        ),
        6 => format!(
            "MERGE INTO {{target}} AS t USING {} AS s ON t.id = s.id
             WHEN MATCHED AND s.n % 3 = 0 THEN DELETE
             WHEN MATCHED AND t.n IS NULL THEN UPDATE SET *
             WHEN NOT MATCHED THEN INSERT *
             WHEN NOT MATCHED BY SOURCE AND {} THEN UPDATE SET name = 'alone'
             WHEN NOT MATCHED BY SOURCE AND t.id % 29 = 0 THEN DELETE",
            source(random),
            condition(random, "t"),
        ),
        _ => format!(
            "MERGE INTO {{target}} AS t USING {} AS s ON t.id = s.id
             WHEN MATCHED AND {} THEN UPDATE SET * WHEN MATCHED AND s.part = 'a' THEN DELETE
             WHEN NOT MATCHED THEN INSERT *",
            source(random),
            condition(random, "t"),
        ),
    }
}

/// Columns that the table does not have, by `*` and by name.
const EVOLVING: [&str; 2] = [
    "MERGE WITH SCHEMA EVOLUTION INTO {target} AS t
     USING (SELECT CAST(id * 9 AS BIGINT) AS id, CAST(id * 2 AS BIGINT) AS score FROM {numbers}) AS s ON t.id = s.id
     WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
    "MERGE WITH SCHEMA EVOLUTION INTO {target} AS t
     USING (SELECT CAST(id * 5 AS BIGINT) AS id, concat('r', CAST(id AS STRING)) AS rank, 1 AS unused FROM {numbers}) AS s ON t.id = s.id
     WHEN MATCHED AND t.n > 2 THEN UPDATE SET rank = s.rank
     WHEN NOT MATCHED THEN INSERT (id, rank) VALUES (s.id, 'new')",
];

#[test]
fn the_same_statements_have_the_same_result_in_spark() {
    // The statements are part of a failure's message.
    let mut random = StdRng::seed_from_u64(11);
    let drawn = (0..STATEMENTS).map(|_| statement(&mut random));
    let statements: Vec<String> = drawn.chain(EVOLVING.map(str::to_owned)).collect();
    let environment = TestEnvironment::new();
    environment.run_sql(TABLE).output().success();
    let (ours, theirs) = (environment.table("changed"), environment.path("theirs"));
    let copied = Command::new("cp").arg("-r").arg(&ours).arg(&theirs).status().unwrap();
    assert!(copied.success());
    // A statement without changes makes no version in pinsql, but it makes one in Spark. Both tables get the same
    // versions only if each statement changes something. With these seeds it does.
    let numbers = |sql: &str, numbers: &str| sql.replace("{numbers}", numbers);
    let for_us: Vec<String> = statements
        .iter()
        .map(|sql| numbers(sql, "(SELECT value AS id FROM generate_series(1, 50))").replace("{target}", "changed"))
        .collect();
    environment.run_sql(&for_us.join(";\n")).output().success();
    let spark = spark::session();
    let first = spark.history(&theirs)[0]["version"].as_u64().unwrap() + 1;
    for sql in &statements {
        spark.sql(&numbers(sql, "range(1, 51)").replace("{target}", &spark::at(&theirs)));
    }
    let (ours, theirs) = (Found::by(&spark, &ours, first), Found::by(&spark, &theirs, first));
    assert_same("rows", &ours.rows, &theirs.rows, &statements);
    assert_same("changes", &ours.changes, &theirs.changes, &statements);
    assert_eq!(ours.history, theirs.history, "{statements:#?}");
}

/// The state of a table as Spark reads it: rows, changes by version, and the metrics of each version.
struct Found {
    rows: Vec<Value>,
    changes: Vec<Value>,
    history: Vec<Value>,
}

impl Found {
    fn by(spark: &Session<'_>, table: &Path, first: u64) -> Self {
        let mut changes = spark.changes(table, first);
        for change in &mut changes {
            change.as_object_mut().unwrap().remove("_commit_timestamp");
        }
        let mut history = spark.history(table);
        history.retain(|commit| commit["version"].as_u64().unwrap() >= first);
        let counts = |commit: &Value| {
            let counts =
                COUNTS.iter().filter_map(|key| Some(((*key).to_owned(), commit["metrics"].get(*key)?.clone())));
            json!({"operation": commit["operation"], "metrics": counts.collect::<serde_json::Map<_, _>>()})
        };
        Self { rows: spark.rows(table), changes, history: history.iter().map(counts).collect() }
    }
}

fn assert_same(what: &str, ours: &[Value], theirs: &[Value], statements: &[String]) {
    let sorted = |rows: &[Value]| {
        let mut lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        lines.sort();
        lines
    };
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    let only = |these: &[String], those: &[String]| {
        these.iter().filter(|line| !those.contains(line)).take(10).cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        ours,
        theirs,
        "{what}: only ours {:#?}, only Spark's {:#?} after {statements:#?}",
        only(&ours, &theirs),
        only(&theirs, &ours)
    );
}
