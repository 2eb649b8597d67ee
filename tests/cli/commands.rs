//! The commands: their output, and the errors of the command line, of SQL and of settings.

use insta::assert_snapshot;

use crate::scratch::Scratch;

const PINS: &str = r#"{"index": 1, "title": "First", "follower_count": "12k"}
{"index": 2, "title": "Second", "follower_count": "3M"}
{"index": 2, "title": "Second", "follower_count": "3M"}
{"index": "three", "title": "Third", "follower_count": "7"}
{"index": 4, "title": "Fourth", "follower_count": "User Info Error"}
"#;

const CLEAN: &str = "CREATE OR REPLACE TABLE pins COMMENT 'clean' AS
SELECT CAST(index AS INT) AS ind, title, parse_count(follower_count) AS follower_count
FROM (SELECT DISTINCT * FROM read_files(:raw || '/*.json', schema => 'index INT, title STRING, follower_count STRING'))
WHERE index < 4;

SELECT * FROM pins ORDER BY ind;
";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.file("raw/pins.json", PINS);
    scratch.file("clean.sql", CLEAN);
    scratch
}

#[test]
fn run_writes_a_table_and_accounts_for_every_record() {
    let scratch = scratch();
    assert_snapshot!("run", scratch.run(&["run", "clean.sql", "--param", "raw=raw"]));
    assert_snapshot!(
        "run_rejects",
        scratch.run(&[
            "-c",
            "SELECT source, position, reason, CAST(raw AS STRING) AS raw FROM pins_rejects",
            "--format",
            "csv"
        ])
    );
    assert_snapshot!("run_again", scratch.run(&["run", "clean.sql", "--param", "raw=raw"]));
}

#[test]
fn the_report_has_the_error_of_a_run_that_writes_nothing() {
    let scratch = Scratch::new();
    for (arguments, code) in [
        (["-c", "selekt 1"].as_slice(), "PARSE_SYNTAX_ERROR"),
        (&["-c", "SELECT x"], "UNRESOLVED_COLUMN"),
        (&["run", "absent.sql"], "INVALID_USAGE"),
        (&["-c", "SELECT 1", "--memory", "x"], "INVALID_CONFIGURATION"),
    ] {
        // The report of an earlier run must not stay.
        scratch.file("report.json", "{}");
        scratch.run(&[arguments, &["--report", "report.json"]].concat());
        let report = std::fs::read_to_string(scratch.path().join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(
            (&report["error"]["code"], &report["tables"]),
            (&code.into(), &serde_json::json!([])),
            "{arguments:?}"
        );
    }
}

#[test]
fn the_report_contains_the_ledger() {
    let scratch = scratch();
    scratch.run(&["run", "clean.sql", "--param", "raw=raw", "--report", "report.json"]);
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scratch.path().join("report.json")).unwrap()).unwrap();
    let table = &report["tables"][0];
    assert_eq!(table["table"], "default.pins");
    assert_eq!(table["version"], 0);
    for (term, count) in [("read", 5), ("written", 2), ("filtered", 1), ("duplicates", 1), ("rejected", 1)] {
        assert_eq!(table[term], count, "{term} in {report:#}");
    }
    assert_eq!(table["sources"][0]["read"], 5);
}

#[test]
fn the_ledger_adds_up_when_a_limit_stops_the_scan() {
    let scratch = Scratch::new();
    let records: String = (0..50_000).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    scratch.file("raw/many.json", records);
    for (threads, sql) in [
        ("1", "CREATE OR REPLACE TABLE t AS SELECT * FROM read_files('raw', schema => 'n INT') LIMIT 3"),
        ("4", "CREATE OR REPLACE TABLE t AS SELECT * FROM read_files('raw', schema => 'n INT') LIMIT 3"),
        (
            "4",
            "CREATE OR REPLACE TABLE t AS SELECT DISTINCT n FROM read_files('raw', schema => 'n INT') WHERE n > 9 LIMIT 3",
        ),
        ("4", "CREATE OR REPLACE TABLE t AS SELECT n FROM read_files('raw', schema => 'n INT') ORDER BY n LIMIT 3"),
    ] {
        let transcript = scratch.run(&["-c", sql, "--threads", threads]);
        assert!(transcript.contains("= written 3 + filtered"), "{transcript}");
    }
}

#[test]
fn check_plans_every_statement_and_reads_no_data() {
    let scratch = scratch();
    assert_snapshot!("check", scratch.run(&["check", "clean.sql", "--param", "raw=nowhere"]));
    assert!(!scratch.path().join("warehouse").exists());
}

#[test]
fn every_format() {
    let scratch = Scratch::new();
    let sql = "SELECT * FROM (VALUES (1, 'a,b', CAST('2020-01-02 03:04:05' AS TIMESTAMP)), (NULL, NULL, NULL)) AS t (n, s, at)";
    for format in ["table", "csv", "tsv", "json", "ndjson", "markdown"] {
        assert_snapshot!(format!("format_{format}"), scratch.run(&["-c", sql, "--format", format]));
    }
    assert_snapshot!("format_unknown", scratch.run(&["-c", sql, "--format", "xml"]));
}

#[test]
fn no_format_loses_a_value() {
    let scratch = Scratch::new();
    let sql = "SELECT CAST('NaN' AS DOUBLE) AS d, X'57' AS b, map(1, 2) AS m, timestamp_micros(9223372036854775807) AS t, NULL AS v";
    let rows = |format: &str| scratch.run(&["-c", sql, "--format", format]);
    let json = r#"{"d":"NaN","b":"Vw==","m":{"1":2},"t":"+294247-01-10T04:00:54.775807Z","v":null}"#;
    assert!(rows("ndjson").contains(&format!("{json}\n")), "{}", rows("ndjson"));
    assert!(rows("json").contains(&format!("[{json}]\n")), "{}", rows("json"));
    assert!(rows("csv").contains("NaN,57,{1: 2},+294247-01-10 04:00:54.775807,\n"), "{}", rows("csv"));
}

#[test]
fn texts_and_files_run_in_their_order() {
    let scratch = Scratch::new();
    scratch.file("two.sql", "SELECT 2 AS two;");
    let shown = scratch.run(&["-c", "SELECT 1 AS one", "-f", "two.sql", "-c", "SELECT 3 AS three", "--format", "csv"]);
    assert!(shown.contains("--- stdout\none\n1\ntwo\n2\nthree\n3\n--- exit code 0"), "{shown}");
    let refused = scratch.run(&["-f", "two.sql", "check", "two.sql"]);
    assert!(refused.contains("-f cannot be combined with a command"), "{refused}");
}

#[test]
fn commands_of_the_shell_run_from_a_pipe() {
    let scratch = Scratch::new();
    let input = ".mode csv\nSELECT 1 AS one;\n.once out.parquet\nSELECT 2 AS two;\nquit\nSELECT 3 AS three;\n";
    let shown = scratch.run_with_input(&[], input);
    assert!(shown.contains("--- stdout\none\n1\n--- stderr\n1 row written to out.parquet\n--- exit code 0"), "{shown}");
    let read = scratch.run(&["-c", "SELECT two FROM read_files('out.parquet')", "--format", "csv"]);
    assert!(read.contains("two\n2\n"), "{read}");
    let refused = scratch.run(&["-c", ".once out.xlsx"]);
    assert!(refused.contains("rows cannot be written as `.xlsx`"), "{refused}");
    // The place is that in the whole text.
    let failed = scratch.run_with_input(&[], ".mode csv\nSELECT nothing;\n");
    assert!(failed.contains("--> <standard input>:2:8"), "{failed}");
}

#[test]
fn sql_is_read_from_standard_input() {
    let scratch = Scratch::new();
    assert_snapshot!("stdin", scratch.run_with_input(&["--format", "csv"], "SELECT 1 AS one; SELECT 2 AS two;"));
    assert_snapshot!("stdin_empty", scratch.run_with_input(&[], ""));
}

#[test]
fn errors_of_sql_point_to_the_sql() {
    let scratch = scratch();
    let check = |name: &str, sql: &str| {
        scratch.file("query.sql", sql);
        assert_snapshot!(name, scratch.run(&["run", "query.sql", "--param", "raw=raw"]));
    };
    check("sql_syntax", "SELECT 1;\nSELECT title\nFORM pins");
    check("sql_statement", "SELEKT 1");
    check("sql_column", "SELECT titel\nFROM read_files('raw/*.json')");
    check("sql_function", "SELECT\n  parse_cuont('12k')");
    check("sql_argument_type", "SELECT parse_count(1, 2)");
    check("sql_table", "SELECT * FROM pinz");
    check("sql_table_function", "SELECT * FROM read_file('raw/*.json')");
    check("sql_option", "SELECT * FROM read_files('raw/*.json', formt => 'json')");
    check("sql_parameter", "SELECT :rwa");
    check("sql_not_supported", "FSCK REPAIR TABLE t DRY RUN");
    check("sql_ignored_elsewhere", "SELECT * FROM t TABLESAMPLE (10 PERCENT)");
    check("sql_type", "SELECT 1 + DATE '2020-01-01' + TRUE");
    check("sql_void_column", "CREATE TABLE t AS SELECT NULL AS nothing");
    check("sql_cast", "SELECT CAST(title AS INT) FROM read_files('raw/*.json')");
    check("sql_schema_text", "SELECT * FROM read_files('raw/*.json', schema => 'index INTT')");
    check("sql_field_of_string", "SELECT title.x FROM read_files('raw/*.json')");
    check("sql_field_unknown", "SELECT named_struct('a', 1).b");
    check("sql_null_key", "SELECT map(NULL, 1)");
    check("sql_window_in_where", "SELECT * FROM read_files('raw/*.json')\nWHERE rank() OVER (ORDER BY title) = 1");
    check(
        "sql_window_in_join",
        "SELECT 1 FROM VALUES (1) AS t (a) JOIN VALUES (1) AS u (b) ON rank() OVER (ORDER BY t.a) = u.b",
    );
    check("sql_with_twice", "WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a");
    check("sql_not_grouped", "SELECT title, count(*) FROM read_files('raw/*.json')");
    check("sql_aggregate_of_aggregate", "SELECT sum(max(a)) FROM VALUES (1) AS t (a)");
    check(
        "sql_subquery_of_outer_column",
        "SELECT EXISTS (SELECT 1 FROM VALUES (1) AS u (b) WHERE b > a) FROM VALUES (1) AS t (a)",
    );
    check("sql_misspelled_limit", "SELECT * FROM read_files('raw/*.json') LIMT 5");
    check("sql_top", "SELECT TOP 5 * FROM read_files('raw/*.json')");
    check("sql_two_mistakes_one_message", "SELECT a FROM read_files('raw/*.json', schema => 'index INT') WHERE b = 1");
}

#[test]
fn errors_of_the_command_line_and_of_settings() {
    let scratch = scratch();
    assert_snapshot!("usage_no_file", scratch.run(&["run"]));
    assert_snapshot!("usage_missing_file", scratch.run(&["run", "none.sql"]));
    assert_snapshot!("usage_flag", scratch.run(&["run", "clean.sql", "--warehuose", "w"]));
    assert_snapshot!("usage_file_for_command", scratch.run(&["clean.sql"]));
    assert_snapshot!("usage_param", scratch.run(&["run", "clean.sql", "--param", "raw"]));
    assert_snapshot!("settings_memory", scratch.run(&["-c", "SELECT 1", "--memory", "lots"]));
    scratch.file("pinsql.toml", "[params]\nraw = 'elsewhere'\n");
    assert_snapshot!("usage_param_slip", scratch.run(&["run", "clean.sql", "--param", "row=raw", "--param", "day=1"]));
    for command in ["check", "stream"] {
        let refused = scratch.run(&[command, "clean.sql", "--param", "row=raw"]);
        assert!(refused.contains("no statement has the parameter `:row`"), "{refused}");
    }
    scratch.file("pinsql.toml", "warehuose = 'w'\n");
    assert_snapshot!("settings_file", scratch.run(&["-c", "SELECT 1"]));
}

#[test]
fn the_json_log_format_is_used_on_standard_error() {
    let scratch = scratch();
    assert_snapshot!(
        "log_json",
        scratch.run(&["run", "clean.sql", "--param", "raw=raw", "--log-format", "json", "--format", "ndjson"])
    );
    assert_snapshot!("log_json_error", scratch.run(&["-c", "SELECT x", "--log-format", "json"]));
}

#[test]
fn a_failed_statement_does_not_change_its_table() {
    let scratch = scratch();
    scratch.run(&["run", "clean.sql", "--param", "raw=raw"]);
    assert_snapshot!("max_rejects", scratch.run(&["run", "clean.sql", "--param", "raw=raw", "--max-rejects", "0"]));
    assert_snapshot!(
        "max_rejects_share",
        scratch.run(&["run", "clean.sql", "--param", "raw=raw", "--max-rejects", "10%"])
    );
    scratch.file(
        "fails.sql",
        "CREATE OR REPLACE TABLE pins AS SELECT CAST(min(title) AS INT) AS n FROM read_files('raw/*.json')",
    );
    assert_snapshot!("failed_replace", scratch.run(&["run", "fails.sql"]));
    let history = scratch.run(&["-c", "DESCRIBE HISTORY pins", "--format", "ndjson"]);
    assert_eq!(history.matches("\"version\"").count(), 1, "{history}");
    assert_snapshot!("failed_replace_rows", scratch.run(&["-c", "SELECT count(*) AS n FROM pins", "--format", "csv"]));
}
