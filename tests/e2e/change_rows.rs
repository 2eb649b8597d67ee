//! DELETE, UPDATE and MERGE beside Spark: the same statements over copies of one table leave the same rows, the same changes in
//! the change data feed, and the same counts in the history.

use std::process::Command;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::environment::{TestEnvironment, repository};
use crate::python::Script;

const ROWS: u64 = 400;
const STATEMENTS: usize = 8;

/// The table as it is before: several files, NULLs, two partitions and one that is NULL.
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

/// Each row of the target is matched by one row of the source at most.
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

/// Columns that the table has not, by `*` and by name.
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
fn the_same_statements_do_the_same_in_spark() {
    // The statements are written into a failure's message.
    let mut random = StdRng::seed_from_u64(11);
    let drawn = (0..STATEMENTS).map(|_| statement(&mut random));
    let statements: Vec<String> = drawn.chain(EVOLVING.map(str::to_owned)).collect();
    let environment = TestEnvironment::new();
    environment.run_sql(TABLE).output().success();
    let (ours, theirs) = (environment.table("changed"), environment.path("theirs"));
    let copied = Command::new("cp").arg("-r").arg(&ours).arg(&theirs).status().unwrap();
    assert!(copied.success());
    // A statement that changes nothing makes no version here, and one in Spark: both tables get the same statements as long as
    // each changes something, which these seeds see to.
    let numbers = |sql: &str, numbers: &str| sql.replace("{numbers}", numbers);
    let for_us: Vec<String> = statements
        .iter()
        .map(|sql| numbers(sql, "(SELECT value AS id FROM generate_series(1, 50))").replace("{target}", "changed"))
        .collect();
    environment.run_sql(&for_us.join(";\n")).output().success();
    let for_spark: Vec<String> = statements.iter().map(|sql| numbers(sql, "range(1, 51)")).collect();
    let list = environment.write("statements.json", json!(for_spark).to_string());
    let script = repository().join("tests/e2e/change_rows.py");
    let (ours, theirs) = (ours.to_str().unwrap(), theirs.to_str().unwrap());
    let found = Script::start(&script, &[ours, theirs, &list], &[]).answer();
    assert_same("rows", &found, &statements);
    assert_same("changes", &found, &statements);
    assert_eq!(found["ours"]["history"], found["theirs"]["history"], "{statements:#?}");
}

fn assert_same(what: &str, found: &Value, statements: &[String]) {
    let sorted = |side: &str| {
        let mut lines: Vec<String> = found[side][what].as_array().unwrap().iter().map(Value::to_string).collect();
        lines.sort();
        lines
    };
    let (ours, theirs) = (sorted("ours"), sorted("theirs"));
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
