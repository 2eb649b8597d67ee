//! The files that Spark skips in a filtered scan, read from its plan. So the statistics in the log are sufficient and
//! correct.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::spark;

/// A prefix longer than the part of a bound that a file stores. The values differ only after it.
const COMMON: &str = "https://example.org/a/path/that/is/longer/than/what/parquet/keeps/of/a/bound/";

/// The data files in the order in which their versions added them.
fn files(table: &Path) -> Vec<String> {
    let mut versions: Vec<_> =
        fs::read_dir(table.join("_delta_log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    versions.sort();
    let actions = versions.iter().flat_map(|path| {
        let lines = fs::read_to_string(path).unwrap();
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    });
    let path = |action: Value| Some(action.pointer("/add/path")?.as_str()?.rsplit('/').next()?.to_owned());
    actions.filter_map(path).collect()
}

fn make(environment: &TestEnvironment) {
    let mut sql = "CREATE TABLE t (id INT, n BIGINT, s STRING, at TIMESTAMP, amount DECIMAL(38,10), day DATE, x DOUBLE, long STRING,
                   late STRING, place STRUCT<city: STRING, height: INT>)"
        .to_owned();
    for file in 0..4 {
        let late = if file == 3 { "'there'" } else { "NULL" };
        let not_a_number = if file == 2 { "'NaN'" } else { "'1.5'" };
        sql += &format!(
            "; INSERT INTO t VALUES
             ({file}0, {file}0, 'k{file}a', TIMESTAMP'202{file}-02-01 00:00:00.000001', {file}.0000000001BD, DATE'202{file}-01-01',
              {file}, 'p{file}/{COMMON}first', NULL, named_struct('city', 'c{file}', 'height', {file})),
             ({file}9, {file}9, 'k{file}🎉', TIMESTAMP'202{file}-12-31 23:59:59.999999', {file}.9999999999BD, DATE'202{file}-12-31',
              CAST({not_a_number} AS DOUBLE) + {file}, '{COMMON}{file}', {late}, NULL)"
        );
    }
    environment.run_sql(&sql).output().success();
}

/// Conditions, the indices of the files that can have matching rows, and the matching ids.
const CONDITIONS: [(&str, &[usize], &[i64]); 24] = [
    ("n = 10", &[1], &[10]),
    ("n = 15", &[1], &[]),
    ("n > 19 AND n <= 30", &[2, 3], &[20, 29, 30]),
    ("n IN (9, 19)", &[0, 1], &[9, 19]),
    ("s = 'k2a'", &[2], &[20]),
    ("s > 'k2a'", &[2, 3], &[29, 30, 39]),
    ("s LIKE 'k1%'", &[1], &[10, 19]),
    ("s >= 'k3🎉'", &[3], &[39]),
    // The bounds are in milliseconds, so they do not contain this microsecond.
    ("at = TIMESTAMP'2021-12-31 23:59:59.999999'", &[1], &[19]),
    ("at = TIMESTAMP'2021-02-01 00:00:00.000001'", &[1], &[10]),
    ("at < TIMESTAMP'2021-02-01 00:00:00'", &[0], &[0, 9]),
    ("at > TIMESTAMP'2022-06-01 00:00:00'", &[2, 3], &[29, 30, 39]),
    ("amount = 2.9999999999BD", &[2], &[29]),
    ("amount < 1.0000000001BD", &[0], &[0, 9]),
    ("amount >= 3.9999999999BD", &[3], &[39]),
    ("day = DATE'2021-12-31'", &[1], &[19]),
    ("day > DATE'2022-12-30'", &[2, 3], &[29, 30, 39]),
    // NaN is larger than every number. The file with a NaN has no bounds and is never skipped.
    ("x > 4.1D", &[2, 3], &[29, 39]),
    ("x < 0.5D", &[0, 2], &[0]),
    ("long < 'i'", &[0, 1, 2, 3], &[9, 19, 29, 39]),
    ("long > 'p2'", &[2, 3], &[20, 30]),
    ("late IS NOT NULL", &[3], &[39]),
    ("late = 'there'", &[3], &[39]),
    ("place.height = 2 AND place.city = 'c2'", &[2], &[20]),
];

#[test]
fn spark_skips_files_without_matching_rows() {
    let environment = TestEnvironment::new();
    make(&environment);
    let table = environment.table("t");
    let names = files(&table);
    assert_eq!(names.len(), 4);
    let spark = spark::session();
    for (condition, may_have, ids) in CONDITIONS {
        let (read, rows) = spark.filtered(&table, condition);
        let mut read: Vec<usize> =
            read.iter().map(|file| names.iter().position(|name| name == file).unwrap()).collect();
        read.sort_unstable();
        assert_eq!(read, may_have, "{condition}");
        let mut found: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, ids, "{condition}");
    }
    let (read, rows) = spark.filtered(&table, &format!("long = '{COMMON}2'"));
    let ids: Vec<&Value> = rows.iter().map(|row| &row["id"]).collect();
    assert!(read.contains(&names[2]), "{read:?}");
    assert_eq!(ids, [&json!(29)]);

    // OPTIMIZE with ZORDER also writes bounds that let Spark skip files. Here all rows are in one file.
    environment.run_sql("OPTIMIZE t ZORDER BY (n)").output().success();
    let (read, rows) = spark.filtered(&table, "n = 10");
    assert_eq!((read.len(), rows.len()), (1, 1));
    assert_eq!(spark.filtered(&table, "n = 40").0.len(), 0);
}
