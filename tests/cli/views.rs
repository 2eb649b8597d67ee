//! Views and `SOURCE`: their results, and the places of their errors.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use crate::scratch::Scratch;

const RECORDS: &str =
    "{\"index\": 1, \"title\": \"First\"}\n{\"index\": 2, \"title\": \"Second\"}\n{\"index\": \"x\"}\n";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.file("raw/pins.json", RECORDS);
    scratch.file("sql/rules/schema.sql", "DECLARE OR REPLACE VARIABLE pin_schema = 'index INT, title STRING';\n");
    scratch.file(
        "sql/rules/rules.sql",
        "-- Rules.\nCREATE OR REPLACE TEMPORARY VIEW cleaned AS\nSELECT index AS ind, upper(title) AS title FROM records;\n",
    );
    scratch.file(
        "sql/clean.sql",
        "SOURCE 'rules/schema.sql';
CREATE OR REPLACE TEMPORARY VIEW records AS SELECT * FROM read_files(:raw, schema => pin_schema);
SOURCE 'rules/rules.sql';
CREATE OR REPLACE TABLE pins AS SELECT * FROM cleaned;
SELECT * FROM pins ORDER BY ind;
",
    );
    scratch
}

#[test]
fn source_runs_files_relative_to_the_file() {
    let scratch = scratch();
    assert_snapshot!("source", scratch.run(&["run", "sql/clean.sql", "--param", "raw=raw"]));
    assert_snapshot!("source_check", scratch.run(&["check", "sql/clean.sql", "--param", "raw=raw"]));
    // SQL that is not in a file resolves paths from the current folder.
    let sql = "SOURCE 'sql/rules/schema.sql'; SELECT count(*) AS n FROM read_files('raw', schema => pin_schema)";
    assert_snapshot!("source_command_line", scratch.run(&["-c", sql, "--format", "csv"]));
}

#[test]
fn invalid_sources_are_errors() {
    let scratch = scratch();
    let check = |name: &str, sql: &str| {
        scratch.file("sql/outer.sql", sql);
        assert_snapshot!(name, scratch.run(&["run", "sql/outer.sql", "--param", "raw=raw"]));
    };
    check("source_missing", "SELECT 1 AS one;\nSOURCE 'rules/none.sql';");
    check("source_without_quotes", "SOURCE rules/rules.sql;");
    check("source_and_more", "SOURCE 'rules/rules.sql' 'more';");
    check("source_itself", "SELECT 1 AS one;\nSOURCE 'rules/../outer.sql';");
    scratch.file("sql/rules/back.sql", "SELECT 2 AS two;\nSOURCE '../outer.sql';\n");
    check("source_each_other", "SELECT 1 AS one;\nSOURCE 'rules/back.sql';");
    scratch.file("sql/rules/broken.sql", "SELECT 1 AS one;\n\nSELEKT 2;\n");
    check("source_syntax_inside", "SELECT 1 AS one;\nSOURCE 'rules/broken.sql';");
}

#[test]
fn errors_in_views_point_into_the_right_file() {
    let scratch = scratch();
    let check = |name: &str, sql: &str| {
        scratch.file("sql/outer.sql", sql);
        assert_snapshot!(name, scratch.run(&["run", "sql/outer.sql", "--param", "raw=raw"]));
    };
    // A mistake in a view is found when the view is created.
    check("view_column", "CREATE TEMPORARY VIEW v AS\nSELECT titel FROM read_files('raw', schema => 'title STRING');");
    check("view_source_column", "CREATE TEMPORARY VIEW records AS SELECT 1 AS ind;\nSOURCE 'rules/rules.sql';");
    // If a view fails later, the error has no place in the file that only names the view.
    check(
        "view_data",
        "CREATE TEMPORARY VIEW v AS\n\n\n\nSELECT CAST(title AS INT) AS n FROM read_files('raw', schema => 'title STRING');\n
         SELECT * FROM v;",
    );
    check(
        "view_gone",
        "CREATE TEMPORARY VIEW v AS SELECT 1 AS a;\nCREATE TEMPORARY VIEW w AS SELECT * FROM v;\nDROP VIEW v;\nSELECT 1 AS a\nUNION SELECT * FROM w;",
    );
    check("view_permanent", "CREATE VIEW v AS\nSELECT :raw AS a;");
    check(
        "view_itself",
        "CREATE TEMPORARY VIEW v AS SELECT 1 AS a;\nCREATE OR REPLACE TEMPORARY VIEW v AS\nSELECT * FROM v;",
    );
    check("view_twice", "CREATE TEMPORARY VIEW v AS SELECT 1 AS a;\nCREATE TEMPORARY VIEW V AS SELECT 2 AS a;");
    check("view_inserted_into", "CREATE TEMPORARY VIEW v AS SELECT 1 AS a;\nINSERT INTO v VALUES (2);");
    check("view_drop_slip", "CREATE TEMPORARY VIEW pins AS SELECT 1 AS a;\nDROP VIEW pin;");
    check("variable_type", "DECLARE VARIABLE n INTT DEFAULT 1;");
    check("variable_null", "DECLARE VARIABLE n DEFAULT NULL;");
    check("variable_twice", "DECLARE n = 'a';\nDECLARE N = 'b';");
    check("variable_unknown", "SELECT * FROM read_files('raw', schema => pin_schema);");
    check("from_json_schema", "SELECT\n  from_json('{}', 'a INTT');");
    check("from_json_option", "SELECT from_json('{}', 'a INT', map('mod', 'FAILFAST'));");
    check("from_json_failfast", "SELECT from_json('{\"a\": \"x\"}', 'a INT', map('mode', 'FAILFAST')) AS parsed;");
    check("star_of_no_struct", "SELECT\n  p.*\nFROM (SELECT 1 AS p);");
    check("star_of_nothing", "SELECT nope.* FROM (SELECT 1 AS p);");
    check("json_path_step", "SELECT j:a[1 + 1] FROM (SELECT '{}' AS j);");
}

#[test]
fn a_view_over_a_stream_is_a_stream() {
    let scratch = scratch();
    scratch.file(
        "sql/stream.sql",
        "SOURCE 'rules/schema.sql';
CREATE OR REPLACE TEMPORARY VIEW records AS SELECT * FROM STREAM read_files('raw', schema => pin_schema);
SOURCE 'rules/rules.sql';
CREATE OR REFRESH STREAMING TABLE streamed AS SELECT * FROM STREAM cleaned;
",
    );
    assert_snapshot!("stream_through_views", scratch.run(&["run", "sql/stream.sql"]));
    scratch.file("raw/more.json", "{\"index\": 3, \"title\": \"Third\"}\n");
    assert_snapshot!("stream_through_views_again", scratch.run(&["run", "sql/stream.sql"]));
    assert_snapshot!(
        "stream_through_views_rows",
        scratch.run(&["-c", "SELECT * FROM streamed ORDER BY ind", "--format", "csv"])
    );
    assert_snapshot!(
        "stream_of_a_view_in_a_query",
        scratch.run(&["-c", "CREATE TEMPORARY VIEW v AS SELECT * FROM STREAM read_files('raw'); SELECT * FROM v"])
    );
}

#[test]
fn the_rules_give_a_stream_of_objects_the_rows_of_the_batch() {
    let scratch = Scratch::new();
    let sql = repository().join("sql");
    let raw = format!("raw={}", repository().join("examples/data").display());
    for topic in ["pin", "geo", "user"] {
        let file = |kind: &str| sql.join(format!("{kind}_{topic}.sql")).display().to_string();
        scratch.run(&["run", &file("clean"), &file("stream_files"), "--param", &raw]);
        let difference = format!(
            "SELECT (SELECT count(*) FROM {topic}_data) AS batch, (SELECT count(*) FROM streamed_{topic}_data) AS stream,
             (SELECT count(*) FROM (SELECT * FROM {topic}_data EXCEPT SELECT * FROM streamed_{topic}_data)) AS difference"
        );
        let counts = scratch.run(&["-c", &difference, "--format", "csv"]);
        assert!(counts.contains("\n100,100,0\n"), "{topic}: {counts}");
    }
}

/// `check` needs no service, also for the files over Kinesis and Kafka.
#[test]
fn the_files_of_the_pipeline_pass_check() {
    let scratch = Scratch::new();
    let files = [files("sql", "sql"), files("examples/aws", "sql")].concat();
    assert_eq!(files.len(), 18, "{files:?}");
    let raw = format!("raw={}", repository().join("examples/data").display());
    for file in files {
        let arguments = [
            "check",
            file.to_str().unwrap(),
            "--param",
            &raw,
            "--param",
            "stream=posts",
            "--param",
            "brokers=none:9092",
        ];
        let checked = scratch.run(&arguments);
        assert!(checked.contains("--- exit code 0"), "{checked}");
    }
}

/// The policies in `examples/aws` allow single actions, and no resource is `*`.
#[test]
fn the_policies_give_single_actions() {
    let policies = files("examples/aws/policies", "json");
    assert_eq!(policies.len(), 5, "{policies:?}");
    for file in policies {
        let policy: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(policy["Version"], "2012-10-17");
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            let actions: Vec<&str> =
                statement["Action"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
            assert!(actions.iter().all(|action| action.contains(':') && !action.contains('*')), "{actions:?}");
            assert!(statement["Resource"] != "*", "{}", file.display());
        }
    }
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
