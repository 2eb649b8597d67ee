//! Records on which a query fails, in statements that write a table.

use crate::scratch::Scratch;
use insta::assert_snapshot;

const RECORDS: &str = concat!(
    "{\"index\": 1, \"count\": \"12\", \"divisor\": 3}\n",
    "{\"index\": 2, \"count\": \"12k\", \"divisor\": 3}\n",
    "{\"index\": \"bad JSON\n",
    "{\"index\": 3, \"count\": \"7\", \"divisor\": 0}\n",
    "{\"index\": 4, \"count\": \"9\", \"divisor\": 2}\n",
    "{\"index\": 5, \"count\": \"none\", \"divisor\": 1}\n",
);

const SQL: &str = "CREATE OR REPLACE TABLE t AS SELECT index, CAST(count AS INT) / divisor AS share \
                   FROM read_files('raw', schema => 'index INT, count STRING, divisor INT') WHERE index <> 4";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.file("raw/a.json", RECORDS);
    scratch
}

#[test]
fn a_record_on_which_the_query_fails_is_rejected() {
    let scratch = scratch();
    let transcript = scratch.run(&["-c", SQL, "--report", "report.json"]);
    assert!(transcript.contains("read 6 = written 1 + filtered 1 + duplicates 0 + rejected 4"), "{transcript}");
    assert_snapshot!("isolation_rows", scratch.run(&["-c", "SELECT * FROM t", "--format", "csv"]));
    let rejects = "SELECT source, position, reason, CAST(raw AS STRING) AS raw FROM t_rejects ORDER BY position";
    assert_snapshot!("isolation_rejects", scratch.run(&["-c", rejects, "--format", "csv"]));
    // The first attempt leaves no files and no rejects.
    let ids = scratch.run(&["-c", "SELECT count(DISTINCT run_id) AS runs FROM t_rejects", "--format", "csv"]);
    assert!(ids.contains("\n1\n"), "{ids}");
    for folder in ["t", "t_rejects"] {
        let files = std::fs::read_dir(scratch.path().join("warehouse/default").join(folder)).unwrap();
        let is_data = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".parquet");
        assert_eq!(files.filter(|file| is_data(&file.as_ref().unwrap().file_name())).count(), 1, "{folder}");
    }
}

#[test]
fn rejects_of_a_query_count_towards_max_rejects() {
    let scratch = scratch();
    assert_snapshot!("isolation_max_rejects", scratch.run(&["-c", SQL, "--max-rejects", "2"]));
    assert!(!scratch.path().join("warehouse/default/t").exists());
}

#[test]
fn a_query_that_does_not_write_a_table_fails() {
    let scratch = scratch();
    let sql = "SELECT CAST(count AS INT) AS count FROM read_files('raw', schema => 'count STRING')";
    assert_snapshot!("isolation_query", scratch.run(&["-c", sql]));
}

#[test]
fn records_below_joins_and_unions_are_isolated() {
    let scratch = scratch();
    let read = "SELECT index, CAST(count AS INT) AS count FROM read_files('raw', schema => 'index INT, count STRING')";
    let union = format!("CREATE TABLE u AS {read} UNION ALL {read}");
    let transcript = scratch.run(&["-c", &union]);
    assert!(transcript.contains("read 12 = written 6 + filtered 0 + duplicates 0 + rejected 6"), "{transcript}");
    let join = format!("CREATE TABLE j AS SELECT a.count FROM ({read}) AS a JOIN u ON a.index = u.index");
    let transcript = scratch.run(&["-c", &join]);
    assert!(transcript.contains("rejected 3, written 6"), "{transcript}");
}

#[test]
fn a_limit_counts_the_records_that_are_not_rejected() {
    let scratch = scratch();
    let read = "SELECT CAST(count AS INT) AS count FROM read_files('raw', schema => 'index INT, count STRING')";
    for (limit, written) in [("LIMIT 2", 2), ("LIMIT 3", 3), ("LIMIT 9", 3), ("ORDER BY count DESC LIMIT 2", 2)] {
        let transcript =
            scratch.run(&["-c", &format!("CREATE OR REPLACE TABLE l AS {read} {limit}"), "--threads", "1"]);
        assert!(transcript.contains(&format!("= written {written} + ")), "{transcript}");
    }
}

#[test]
fn a_record_with_a_number_out_of_the_columns_range_is_rejected() {
    let scratch = Scratch::new();
    scratch.file("raw/a.json", "{\"n\": 1}\n{\"n\": 3000000000}\n{\"n\": 2}\n");
    scratch.run(&["-c", "CREATE TABLE t (n INT, text STRING)"]);
    let insert = "INSERT INTO t SELECT n, 'x' AS text FROM read_files('raw', schema => 'n BIGINT')";
    let transcript = scratch.run(&["-c", insert]);
    assert!(transcript.contains("read 3 = written 2 + filtered 0 + duplicates 0 + rejected 1"), "{transcript}");
    let reasons = scratch.run(&["-c", "SELECT position, reason FROM t_rejects", "--format", "csv"]);
    assert!(reasons.contains("line 2,\"cannot cast 3000000000 to INT: it is out of range"), "{reasons}");
}
