//! Delta tables by path, which only queries can read.

use insta::assert_snapshot;

use crate::scratch::Scratch;

/// A table in a folder outside the warehouse. Its path has capitals, a blank and a dot.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.run(&["-c", "CREATE TABLE posts AS SELECT 1 AS Ind, 'one' AS title; INSERT INTO posts VALUES (2, 'two')"]);
    let place = scratch.path().join("Other Tables/v1.5");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::rename(scratch.path().join("warehouse/default/posts"), place.join("Posts")).unwrap();
    scratch
}

const POSTS: &str = "delta.`Other Tables/v1.5/Posts`";

#[test]
fn a_query_reads_a_table_by_path() {
    let scratch = scratch();
    let csv = |sql: &str| scratch.run(&["-c", sql, "--format", "csv"]);
    assert_snapshot!("place", csv(&format!("SELECT IND, title FROM {POSTS} ORDER BY ind")));
    let url = format!("DELTA.`file://{}/Other%20Tables/v1.5/Posts/`", scratch.path().display());
    let counted = csv(&format!("SELECT count(*) AS n FROM {url}"));
    assert!(counted.contains("--- stdout\nn\n2\n--- exit code 0"), "{counted}");
    let versions = format!(
        "WITH first AS (SELECT * FROM {POSTS} VERSION AS OF 0)
         SELECT n.title, f.title AS before FROM {POSTS} AS n LEFT JOIN first AS f ON f.ind = n.ind
         WHERE n.ind IN (SELECT ind FROM {POSTS}) ORDER BY n.ind"
    );
    assert_snapshot!("place_versions", csv(&versions));
    let written = format!(
        "CREATE VIEW seen AS SELECT * FROM {POSTS};
         CREATE TABLE copied AS SELECT * FROM {POSTS} WHERE ind = 1;
         MERGE INTO copied AS c USING {POSTS} AS p ON c.ind = p.ind WHEN NOT MATCHED THEN INSERT *;
         SELECT * FROM copied EXCEPT SELECT * FROM seen;
         SELECT count(*) AS n FROM seen"
    );
    assert_snapshot!("place_sources", csv(&written));
    scratch.file("place.sql", format!("CREATE TABLE t AS SELECT * FROM {POSTS};"));
    assert_snapshot!("place_check", scratch.run(&["check", "place.sql"]));
}

#[test]
fn an_insert_that_reads_its_table_by_path_is_not_a_blind_append() {
    let scratch = Scratch::new();
    let sql = "CREATE TABLE t AS SELECT 1 AS n; INSERT INTO t SELECT n + 1 FROM delta.`warehouse/default/t`";
    scratch.run(&["-c", sql]);
    let history = scratch.run(&["-c", "DESCRIBE HISTORY t", "--format", "ndjson"]);
    let [insert, create] = history.lines().filter(|line| line.starts_with('{')).collect::<Vec<_>>()[..] else {
        panic!("{history}");
    };
    assert!(insert.contains("\"isBlindAppend\":false"), "{insert}");
    assert!(create.contains("\"isBlindAppend\":true"), "{create}");
}

#[test]
fn invalid_uses_of_a_path_are_errors() {
    let scratch = scratch();
    let check = |name: &str, sql: &str| assert_snapshot!(name, scratch.run(&["-c", sql]));
    check("place_missing", "SELECT * FROM delta.`Other Tables/v1.5`");
    check("place_written", &format!("INSERT INTO {POSTS} VALUES (3, 'three')"));
    check("place_described", &format!("DESCRIBE HISTORY {POSTS}"));
    check("place_of_csv", "SELECT * FROM csv.`raw/pins.csv`");
    check("place_elsewhere", "SELECT * FROM delta.`gs://bucket/posts`");
    let none = scratch.run(&["-c", &format!("SELECT * FROM {POSTS} VERSION AS OF 9")]);
    assert!(none.contains("Posts` has no version 9 that can be read"), "{none}");
    assert!(none.contains("hint: its versions are 0 ("), "{none}");
    check("place_streamed", &format!("CREATE STREAMING TABLE s AS SELECT * FROM STREAM {POSTS}"));
}
