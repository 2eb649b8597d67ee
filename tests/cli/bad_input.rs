//! Bad data: good records are written, each bad record is reported with its position, and no record is lost.

use flate2::Compression;
use flate2::write::GzEncoder;
use insta::assert_snapshot;
use std::io::Write;

use crate::scratch::Scratch;

const GOOD: &str = "{\"a\": 1, \"b\": \"x\"}\n";

/// Writes `content` into a table, and prints the rows of the table and its rejects.
fn check(name: &str, file: &str, content: &[u8]) {
    check_with(name, file, content, "schema => 'a INT, b STRING'");
}

fn check_with(name: &str, file: &str, content: &[u8], options: &str) {
    let scratch = Scratch::new();
    scratch.file(&format!("raw/{file}"), content);
    scratch.file(
        "read.sql",
        format!(
            "CREATE TABLE t AS SELECT a, b FROM read_files('raw/{file}', {options});\nSELECT * FROM t ORDER BY a, b;"
        ),
    );
    let mut transcript = scratch.run(&["run", "read.sql", "--format", "csv"]);
    if transcript.contains("t_rejects") {
        let sql = "SELECT position, reason, CASE WHEN length(hex) > 120 THEN CAST(CAST(length(hex) / 2 AS INT) AS STRING) || ' bytes' ELSE hex END AS raw
                   FROM (SELECT *, lower(hex(raw)) AS hex FROM t_rejects) ORDER BY position";
        transcript += &scratch.run(&["-c", sql, "--format", "csv"]);
    }
    assert_snapshot!(name, transcript);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn malformed_json() {
    check("bad_malformed", "a.json", format!("{GOOD}{{\"a\": }}\nnot json\n{{\"a\": 2 \"b\": 1}}\n{GOOD}").as_bytes());
}

#[test]
fn truncated_last_line() {
    check("bad_truncated_line", "a.json", format!("{GOOD}{{\"a\": 2, \"b\": \"y").as_bytes());
}

#[test]
fn truncated_line_in_the_middle_does_not_affect_the_next() {
    check("bad_truncated_middle", "a.json", format!("{{\"a\": 2, \"b\": \"y\n{GOOD}").as_bytes());
}

#[test]
fn truncated_gzip() {
    let whole = gzip(&(1..2000).map(|n| format!("{{\"a\": {n}, \"b\": \"{}\"}}\n", n * 7919)).collect::<String>());
    let scratch = Scratch::new();
    scratch.file("raw/a.json.gz", &whole[..whole.len() / 2]);
    scratch.file("raw/b.json.gz", gzip(GOOD));
    let transcript = scratch.run(&[
        "-c",
        "SELECT count(*) > 1 AS some FROM read_files('raw/*.json.gz', schema => 'a INT, b STRING')",
        "--format",
        "csv",
    ]);
    assert_snapshot!("bad_truncated_gzip", transcript);
}

#[test]
fn an_array_instead_of_lines() {
    check("bad_array_over_lines", "a.json", b"[\n  {\"a\": 1, \"b\": \"x\"},\n  {\"a\": 2, \"b\": \"y\"}\n]\n");
    check("bad_array_on_a_line", "a.json", b"[{\"a\": 1, \"b\": \"x\"}, {\"a\": 2, \"b\": \"y\"}]\n");
    check_with(
        "bad_array_multiline",
        "a.json",
        b"[\n  {\"a\": 1, \"b\": \"x\"},\n  {\"a\": 2, \"b\": \"y\"}\n]\n",
        "multiLine => true, schema => 'a INT, b STRING'",
    );
}

#[test]
fn wrong_types_and_ranges() {
    let bad = [r#"{"a": "one", "b": "x"}"#, r#"{"a": 1.5}"#, r#"{"a": 99999999999}"#, r#"{"a": true}"#, r#"{"a": {}}"#];
    check("bad_types", "a.json", format!("{}\n{GOOD}", bad.join("\n")).as_bytes());
}

#[test]
fn missing_extra_and_duplicate_fields() {
    check(
        "bad_fields",
        "a.json",
        b"{}\n{\"b\": \"only b\"}\n{\"a\": 1, \"b\": \"x\", \"c\": [1, {\"d\": 2}]}\n{\"a\": 1, \"a\": 2}\n",
    );
}

#[test]
fn bytes_that_are_not_utf8() {
    check("bad_utf8", "a.json", &[GOOD.as_bytes(), b"{\"a\": 2, \"b\": \"\xff\xfe\"}\n", GOOD.as_bytes()].concat());
    check("bad_surrogate", "a.json", b"{\"a\": 2, \"b\": \"\\ud83d\"}\n");
}

#[test]
fn bom_crlf_and_blank_lines() {
    check(
        "bad_bom_crlf",
        "a.json",
        "\u{feff}{\"a\": 1, \"b\": \"x\"}\r\n\r\n  \n{\"a\": 2, \"b\": \"y\"}\r\n".as_bytes(),
    );
}

#[test]
fn empty_file() {
    check("bad_empty_file", "a.json", b"");
}

#[test]
fn a_string_of_64_megabytes() {
    let line = format!("{{\"a\": 1, \"b\": \"{}\"}}\n{GOOD}", "x".repeat(64 << 20));
    let scratch = Scratch::new();
    scratch.file("raw/a.json", line);
    assert_snapshot!(
        "big_string",
        scratch.run(&[
            "-c",
            "SELECT a, length(b) AS length FROM read_files('raw/a.json', schema => 'a INT, b STRING') ORDER BY length",
            "--format",
            "csv"
        ])
    );
}

#[test]
fn nesting_of_ten_thousand() {
    let deep = format!("{{\"a\": {}1{}}}\n{GOOD}", "[".repeat(10_000), "]".repeat(10_000));
    check("bad_nesting", "a.json", deep.as_bytes());
}

#[test]
fn modes_behave_as_in_spark() {
    let content = format!("{GOOD}{{\"a\": \"one\", \"b\": \"kept\"}}\nnot json\n");
    for mode in ["PERMISSIVE", "DROPMALFORMED", "FAILFAST"] {
        check_with(
            &format!("mode_{}", mode.to_lowercase()),
            "a.json",
            content.as_bytes(),
            &format!("mode => '{mode}', schema => 'a INT, b STRING'"),
        );
    }
    check_with(
        "mode_corrupt_record",
        "a.json",
        content.as_bytes(),
        "mode => 'PERMISSIVE', schema => 'a INT, b STRING, _corrupt_record STRING'",
    );
}

#[test]
fn no_file_matches() {
    let scratch = Scratch::new();
    scratch.file("raw/2024/pins.json", GOOD);
    assert_snapshot!(
        "no_file_glob",
        scratch.run(&["-c", "SELECT * FROM read_files('raw/2025/*.json', format => 'json')"])
    );
    assert_snapshot!("no_file_folder", scratch.run(&["-c", "SELECT * FROM read_files('row', format => 'json')"]));
}
