//! Streaming tables: the output of a refresh, changes that a table cannot continue with, and checkpoints.
//!
//! The streams here read files. Kinesis and Kafka need their services, and their tests are in `tests/e2e`.

use insta::assert_snapshot;

use crate::scratch::Scratch;

const STREAM: &str = "CREATE OR REFRESH STREAMING TABLE pins AS
SELECT index AS ind, title
FROM STREAM read_files('raw', format => 'json', schema => 'index INT, title STRING')
WHERE index < 100;
";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch
        .file("raw/1.json", "{\"index\": 1, \"title\": \"a\"}\n{\"index\": 2, \"title\": \"b\"}\n{\"index\": \"x\"}\n");
    scratch.file("stream.sql", STREAM);
    scratch
}

#[test]
fn a_refresh_reads_each_object_once() {
    let scratch = scratch();
    assert_snapshot!("refresh", scratch.run(&["run", "stream.sql"]));
    assert_snapshot!("refresh_nothing_new", scratch.run(&["run", "stream.sql"]));
    scratch.file("raw/2.json", "{\"index\": 3, \"title\": \"c\"}\n{\"index\": 300, \"title\": \"d\"}\n");
    // An object that is written again under the same name is not read again.
    scratch.file("raw/1.json", "{\"index\": 9, \"title\": \"again\"}\n");
    assert_snapshot!("refresh_more", scratch.run(&["run", "stream.sql", "--report", "report.json"]));
    assert_snapshot!("refresh_rows", scratch.run(&["-c", "SELECT * FROM pins ORDER BY ind", "--format", "csv"]));
    let report = std::fs::read(scratch.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let table = &report["tables"][0];
    assert_eq!((&table["batches"], &table["read"], &table["written"]), (&1.into(), &2.into(), &1.into()));
}

#[test]
fn a_stream_of_files_has_the_metadata_column() {
    let scratch = scratch();
    scratch.file("named.sql", STREAM.replace("title\n", "title, _metadata.file_name AS file_name\n"));
    scratch.run(&["run", "named.sql"]);
    assert_snapshot!("stream_metadata", scratch.run(&["-c", "SELECT * FROM pins ORDER BY ind", "--format", "csv"]));
}

#[test]
fn a_stream_is_checked_without_reading_it() {
    let scratch = scratch();
    assert_snapshot!("check_stream", scratch.run(&["check", "stream.sql"]));
}

#[test]
fn changes_that_a_table_cannot_continue_with_are_errors() {
    let scratch = scratch();
    scratch.run(&["run", "stream.sql"]);
    scratch.file("other.sql", STREAM.replace("'raw'", "'raw2'"));
    std::fs::create_dir(scratch.path().join("raw2")).unwrap();
    assert_snapshot!("other_source", scratch.run(&["run", "other.sql"]));
    scratch.file("columns.sql", STREAM.replace("index AS ind, title", "title, true AS ind"));
    assert_snapshot!("other_columns", scratch.run(&["run", "columns.sql"]));
    scratch.file("plain.sql", "CREATE TABLE plain (ind INT, title STRING)");
    scratch.run(&["run", "plain.sql"]);
    scratch.file("over_plain.sql", STREAM.replace("TABLE pins", "TABLE plain"));
    assert_snapshot!("over_a_plain_table", scratch.run(&["run", "over_plain.sql"]));
    scratch.file("again.sql", STREAM.replace("OR REFRESH ", ""));
    assert_snapshot!("without_refresh", scratch.run(&["run", "again.sql"]));
    std::fs::remove_dir_all(scratch.path().join("warehouse/default/pins/_pinsql_checkpoint")).unwrap();
    assert_snapshot!("checkpoint_gone", scratch.run(&["run", "stream.sql"]));
}

/// Columns are matched by name: new ones are added to the table, and those that the query leaves out are NULL.
#[test]
fn a_table_follows_the_columns_of_its_query() {
    let scratch = scratch();
    scratch.run(&["run", "stream.sql"]);
    let run = |items: &str, name: &str, record: &str| {
        scratch.file(&format!("raw/{name}.json"), record);
        scratch.file(&format!("{name}.sql"), STREAM.replace("index AS ind, title", items));
        scratch.run(&["run", &format!("{name}.sql")])
    };
    assert_snapshot!(
        "column_added",
        run("upper(title) AS loud, index AS ind, title", "added", "{\"index\": 3, \"title\": \"c\"}")
    );
    let transcript = run("index AS IND", "left_out", "{\"index\": 4, \"title\": \"d\"}");
    assert!(transcript.contains("written 1"), "{transcript}");
    assert_snapshot!("columns_followed", scratch.run(&["-c", "SELECT * FROM pins ORDER BY ind", "--format", "csv"]));
    let twice = run("index AS ind, title AS Ind", "twice", "{\"index\": 5}");
    assert!(twice.contains("DUPLICATE") || twice.contains("two columns named"), "{twice}");
    scratch.run(&["-c", "ALTER TABLE pins ALTER COLUMN ind SET NOT NULL"]);
    assert_snapshot!("not_null_left_out", run("title", "no_ind", "{\"index\": 6}"));
}

/// A generator over a stream gives the rows that it gives over the same files in a batch.
#[test]
fn generators_run_over_streams() {
    let scratch = Scratch::new();
    scratch.file(
        "raw/1.json",
        r#"{"id": 1, "tags": ["a", "7"], "m": {"x": 1}}
{"id": 2, "tags": [], "m": {}}
{"id": 3, "tags": ["c", "8", null]}
{"id": 4, "m": {"y": 2, "z": 3}}
"#,
    );
    let files = "read_files('raw', format => 'json', schema => 'id INT, tags ARRAY<STRING>, m MAP<STRING, INT>')";
    let queries = [
        "SELECT id, explode(tags) AS tag FROM {f}",
        "SELECT explode_outer(tags) FROM {f}",
        "SELECT posexplode(tags) AS (place, tag), id FROM {f}",
        "SELECT id, place, tag FROM {f} AS f LATERAL VIEW posexplode(tags) AS place, tag WHERE id > 1",
        "SELECT id, tag FROM {f} LATERAL VIEW OUTER explode(tags) t AS tag",
        "SELECT id, t.col FROM {f} AS f, LATERAL explode(f.tags) AS t",
        "SELECT id, explode(m) AS (k, v) FROM {f}",
        "SELECT id, inline(array(struct(id AS a, tags AS b), struct(-id AS a, NULL AS b))) FROM {f}",
        "SELECT stack(2, id, 'one', id * 10, 'ten') AS (n, word) FROM {f}",
        "SELECT id, k, tag FROM {f} LATERAL VIEW explode(tags) AS tag LATERAL VIEW OUTER explode(m) AS k, v",
        "SELECT tag, length(tag) AS l FROM (SELECT explode(tags) AS tag FROM {f}) WHERE tag <> 'a'",
        "WITH t AS (SELECT id, explode(tags) AS tag FROM {f}) SELECT DISTINCT id, tag IS NULL AS n FROM t",
        "SELECT id, json_tuple('{\"a\": 1}', 'a') AS a FROM {f}",
    ];
    for (number, query) in queries.iter().enumerate() {
        let statement = format!(
            "CREATE TABLE batch_{number} AS {}; CREATE STREAMING TABLE stream_{number} AS {}",
            query.replace("{f}", files),
            query.replace("{f}", &format!("STREAM {files}"))
        );
        scratch.file("both.sql", &statement);
        let made = scratch.run(&["run", "both.sql"]);
        assert!(made.contains("exit code 0"), "{query}: {made}");
        let rows = |table: &str| {
            let shown =
                scratch.run(&["-c", &format!("SELECT * FROM {table}_{number} ORDER BY ALL"), "--format", "ndjson"]);
            shown.split_once("--- stdout").unwrap().1.to_owned()
        };
        assert_eq!(rows("stream"), rows("batch"), "{query}");
    }
    // A generated row that an expression fails on is rejected alone, with its values.
    scratch.file(
        "bad.sql",
        format!(
            "CREATE STREAMING TABLE bad AS
             SELECT id, CAST(tag AS INT) AS n FROM (SELECT id, explode(tags) AS tag FROM STREAM {files})"
        ),
    );
    assert_snapshot!("generated_rows_rejected", scratch.run(&["run", "bad.sql"]));
    let rejected = "SELECT reason, CAST(raw AS STRING) AS row FROM bad_rejects ORDER BY ALL";
    assert_snapshot!("generated_rows_in_the_rejects", scratch.run(&["-c", rejected, "--format", "csv"]));
    assert_snapshot!("generated_rows_kept", scratch.run(&["-c", "SELECT * FROM bad ORDER BY ALL", "--format", "csv"]));
}

#[test]
fn invalid_streams_are_errors_with_a_place() {
    let scratch = scratch();
    let call = "read_files('raw', format => 'json', schema => 'index INT')";
    for (name, sql) in [
        ("stream_in_a_query", format!("SELECT * FROM STREAM {call}")),
        ("no_stream", format!("CREATE STREAMING TABLE t AS SELECT * FROM {call}")),
        (
            "two_streams",
            format!("CREATE STREAMING TABLE t AS SELECT * FROM STREAM {call} a, (SELECT * FROM STREAM {call}) b"),
        ),
        ("stream_without_query", "CREATE STREAMING TABLE t (a INT)".to_owned()),
        (
            "stream_bad_watermark",
            format!("CREATE STREAMING TABLE t AS SELECT * FROM STREAM {call} WATERMARK index LATE 3"),
        ),
        (
            "stream_bad_expectation",
            "CREATE STREAMING TABLE t (CONSTRAINT c EXPECT (a) ON VIOLATION IGNORE) AS SELECT 1".to_owned(),
        ),
        (
            "stream_bad_option",
            format!(
                "CREATE STREAMING TABLE t AS SELECT * FROM STREAM {}",
                call.replace("format", "maxFilesPerTrigger => 0, format")
            ),
        ),
        (
            "stream_option_in_a_batch",
            format!("SELECT * FROM {}", call.replace("format", "maxFilesPerTrigger => 5, format")),
        ),
    ] {
        assert_snapshot!(name, scratch.run(&["-c", &sql]));
    }
}

#[test]
fn the_stream_command_accepts_definitions_only() {
    let scratch = scratch();
    scratch.file("query.sql", "SELECT 1");
    assert_snapshot!("stream_a_query", scratch.run(&["stream", "query.sql"]));
    scratch.file("schema.sql", "CREATE SCHEMA IF NOT EXISTS s");
    assert_snapshot!("stream_nothing", scratch.run(&["stream", "schema.sql"]));
    scratch.file("twice.sql", format!("{STREAM}{STREAM}"));
    assert_snapshot!("stream_twice", scratch.run(&["stream", "twice.sql"]));
}

#[test]
fn checkpoint_show_prints_a_checkpoint() {
    let scratch = scratch();
    scratch.run(&["run", "stream.sql"]);
    let transcript = scratch.run(&["checkpoint", "show", "pins", "--format", "csv"]);
    for said in ["source,files raw\n", "batches landed,1\n", "pending batch,\n", "position after batch 0"] {
        assert!(transcript.contains(said), "{said}: {transcript}");
    }
    scratch.run(&["-c", "CREATE TABLE plain (a INT)"]);
    assert_snapshot!("checkpoint_of_a_plain_table", scratch.run(&["checkpoint", "show", "plain"]));
}
