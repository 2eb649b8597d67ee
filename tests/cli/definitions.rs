//! Statements about definitions, constraints and COPY INTO: their output, and the places of their errors.

use insta::assert_snapshot;

use crate::scratch::Scratch;

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let sql =
        "CREATE TABLE pins (ind BIGINT NOT NULL COMMENT 'the key', title STRING, CONSTRAINT positive CHECK (ind > 0))
        TBLPROPERTIES ('quality' = 'gold'); INSERT INTO pins VALUES (1, 'one'), (2, NULL)";
    assert!(scratch.run(&["-c", sql]).ends_with("--- exit code 0\n"));
    scratch
}

#[test]
fn definitions_are_changed_and_shown() {
    let scratch = scratch();
    let sql = "ALTER TABLE pins ADD COLUMNS (note STRING COMMENT 'it\\'s new' AFTER ind);
        ALTER TABLE pins ADD CONSTRAINT short CHECK (length(note) < 9 OR note IS NULL);
        ALTER TABLE pins DROP CONSTRAINT IF EXISTS shrt;
        COMMENT ON TABLE pins IS 'some pins';
        SHOW TBLPROPERTIES pins";
    assert_snapshot!("alter", scratch.run(&["-c", sql]));
    assert_snapshot!("show_create", scratch.run(&["-c", "SHOW CREATE TABLE pins", "--format", "csv"]));
    let view = "CREATE VIEW counts (n COMMENT 'it\\'s many') COMMENT 'counted' AS SELECT count(*) AS c FROM pins;
        SHOW CREATE TABLE counts";
    assert_snapshot!("show_create_view", scratch.run(&["-c", view, "--format", "csv"]));
    assert_snapshot!("alter_check", {
        scratch.file("alter.sql", "ALTER TABLE pins ADD COLUMN x INT;\nSELECT x FROM pins;\n");
        scratch.run(&["check", "alter.sql"])
    });
}

#[test]
fn errors_of_definitions_point_to_their_clause() {
    let scratch = scratch();
    let check = |name: &str, sql: &str| assert_snapshot!(name, scratch.run(&["-c", sql]));
    check("constraint_broken", "INSERT INTO pins VALUES (3, 'three'), (-4, 'four')");
    check("constraint_of_rows", "ALTER TABLE pins ADD CONSTRAINT titled CHECK (title IS NOT NULL)");
    check("constraint_unknown_column", "ALTER TABLE pins ADD CONSTRAINT titled CHECK (titel IS NOT NULL)");
    check("constraint_key", "CREATE TABLE keys (ind INT, CONSTRAINT p PRIMARY KEY (ind))");
    check("not_null_of_rows", "ALTER TABLE pins ALTER COLUMN title SET NOT NULL");
    check("alter_rename_column", "ALTER TABLE pins RENAME COLUMN title TO name");
    check("alter_type", "ALTER TABLE pins ALTER COLUMN ind TYPE STRING");
    check("alter_type_of_added", "ALTER TABLE pins ADD COLUMN kind VARCHAR(3)");
    check("column_default", "CREATE TABLE defaults (a INT DEFAULT 3)");
    check("protocol_too_high", "ALTER TABLE pins SET TBLPROPERTIES ('delta.minWriterVersion' = '7')");
    check("explain_codegen", "EXPLAIN CODEGEN SELECT 1");
    check("location_elsewhere", "CREATE TABLE elsewhere (a INT) LOCATION 's3://bucket/elsewhere'");
}

#[test]
fn rows_that_fail_an_expectation_are_counted() {
    let scratch = scratch();
    let sql = "CREATE TABLE kept (CONSTRAINT titled EXPECT (title IS NOT NULL)) AS SELECT * FROM pins;
        CREATE TABLE dropped (CONSTRAINT titled EXPECT (title IS NOT NULL) ON VIOLATION DROP ROW) AS SELECT * FROM pins;
        SELECT source, reason, CAST(raw AS STRING) AS row FROM dropped_rejects";
    assert_snapshot!("expectations", scratch.run(&["-c", sql]));
}

#[test]
fn copy_into_prints_its_files_and_rows() {
    let scratch = scratch();
    scratch.file("raw/a.json", "{\"ind\": 3, \"title\": \"three\"}\n{\"ind\": \"x\"}\n");
    let copy = "COPY INTO pins FROM 'raw' FILEFORMAT = JSON";
    assert_snapshot!("copy_into", scratch.run(&["-c", copy]));
    assert_snapshot!("copy_into_again", scratch.run(&["-c", copy]));
    scratch.file("raw/b.csv", "4,four\n5,five\n");
    let csv = "COPY INTO pins BY POSITION FROM 'raw' FILEFORMAT = CSV PATTERN = '*.csv'";
    assert_snapshot!("copy_into_csv", scratch.run(&["-c", &format!("{csv}; SELECT * FROM pins ORDER BY ind")]));
    scratch.file("raw/c.json", "{\"ind\": 6, \"titel\": \"six\"}\n");
    assert_snapshot!("copy_into_new_column", scratch.run(&["-c", copy]));
    let check = |name: &str, sql: &str| assert_snapshot!(name, scratch.run(&["-c", sql]));
    check("copy_into_format", "COPY INTO pins FROM 'raw' FILEFORMAT = ORC");
    check("copy_into_unknown_format", "COPY INTO pins FROM 'raw' FILEFORMAT = ZZ");
    check("copy_into_no_path", "COPY INTO pins FROM 'row' FILEFORMAT = JSON");
    check("copy_into_no_match", "COPY INTO pins FROM 'raw/*.gz' FILEFORMAT = JSON");
}
