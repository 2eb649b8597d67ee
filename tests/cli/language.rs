//! SQL functions, variables and stored views: the places of their errors, what is stored after a command, and the
//! definitions that a stream keeps.

use insta::assert_snapshot;

use crate::scratch::Scratch;

#[test]
fn errors_point_to_the_wrong_sql() {
    let scratch = Scratch::new();
    let mut runs = Vec::new();
    let mut check = |sql: &str| {
        scratch.file("file.sql", sql);
        runs.push(scratch.run(&["run", "file.sql", "--param", "p=1", "--format", "csv"]));
    };
    // In the body of a function, at its definition.
    check("CREATE FUNCTION f(a INT)\nRETURN a + bb;");
    check("CREATE FUNCTION f(a INT)\nRETURN sum(a);");
    check("CREATE FUNCTION f(a INTT) RETURN a;");
    check("CREATE FUNCTION f(a INT) RETURNS TABLE (x INT, y INT) RETURN SELECT a;");
    check("CREATE FUNCTION f(a INT) RETURN a +\n:p;");
    check("CREATE FUNCTION f(a INT) COMMENT 'x' COMMENT 'y' RETURN a;");
    check("CREATE FUNCTION f(a INT) SQL SECURITY INVOKER RETURN a;");
    check("CREATE FUNCTION f AS 'com.example.F' USING JAR 'f.jar';");
    check("CREATE FUNCTION nowhere.f(a INT) RETURN a;");
    // At a call.
    check("CREATE TEMPORARY FUNCTION f(a INT) RETURN a;\nSELECT 1,\n  f(1, 2);");
    check("CREATE TEMPORARY FUNCTION f(first INT) RETURN first;\nSELECT f(frist => 1);");
    check("CREATE TEMPORARY FUNCTION f(a INT) RETURN a;\nSELECT g(1);");
    check("CREATE TEMPORARY FUNCTION f(a INT) RETURN a;\nSELECT f(DISTINCT 1);");
    check("CREATE TEMPORARY FUNCTION f(a INT) RETURN 10 / a;\nSELECT f(0);");
    check("DROP TEMPORARY FUNCTION IF EXISTS f;\nDROP FUNCTION f;");
    // Variables.
    check("DECLARE total INT = 'x';");
    check("DECLARE total INT;\nSET VAR totl = 1;");
    check("SET x = 1;");
    check("DECLARE a.b.c INT;");
    // Computed names.
    check("SELECT * FROM IDENTIFIER(:p);");
    check("DROP TABLE IDENTIFIER('a b');");
    assert_snapshot!("language_errors", runs.join("\n"));
}

#[test]
fn views_and_functions_are_stored_after_the_command() {
    let scratch = Scratch::new();
    let mut runs = Vec::new();
    let mut check = |sql: &str| runs.push(scratch.run(&["-c", sql, "--format", "csv"]));
    check(
        "CREATE TABLE t AS SELECT * FROM VALUES (1, 'it''s'), (2, 'b') AS v (n, s);
         CREATE FUNCTION quoted(s STRING) RETURN '\\'' || s || '\\''; -- a comment
         CREATE VIEW v (number COMMENT 'which', text) AS
           /* kept */ SELECT n, quoted(s) FROM t;",
    );
    check("SELECT * FROM v ORDER BY number; DESCRIBE FUNCTION EXTENDED quoted");
    check("ALTER VIEW v AS SELECT n FROM t WHERE s = 'it\\'s'; SELECT * FROM v");
    check("DECLARE n INT = 7; SELECT n");
    check("SELECT n");
    // A definition of a newer version, and a damaged definition, are errors that name the view.
    scratch.file("warehouse/default/v/_pinsql_view.json", "{\"format\": 9, \"sql\": \"\", \"created_at_ms\": 0}");
    check("SELECT * FROM v");
    scratch.file("warehouse/default/v/_pinsql_view.json", "{");
    check("SELECT * FROM v");
    assert_snapshot!("language_outlives", runs.join("\n"));
}

#[test]
fn a_check_knows_the_definitions_before_a_statement() {
    let scratch = Scratch::new();
    scratch.file(
        "file.sql",
        "CREATE FUNCTION plus(a INT, b INT DEFAULT 1) RETURN a + b;
CREATE VIEW v AS SELECT plus(1) AS n;
DECLARE top = (SELECT max(n) FROM v);
CREATE TABLE t AS SELECT plus(n) AS m, top FROM v;
SELECT * FROM t;
DROP VIEW v;
DROP FUNCTION plus;
",
    );
    assert_snapshot!("language_checked", scratch.run(&["check", "file.sql"]));
    assert_snapshot!("language_checked_run", scratch.run(&["run", "file.sql", "--format", "csv"]));
}

#[test]
fn a_stream_keeps_the_definitions_of_its_creation() {
    let scratch = Scratch::new();
    scratch.file("raw/one.json", "{\"n\": 1}\n{\"n\": 2}\n");
    scratch.file(
        "stream.sql",
        "DECLARE OR REPLACE factor INT = 10;
CREATE OR REPLACE TEMPORARY FUNCTION times(n INT) RETURN n * factor;
CREATE OR REPLACE VIEW records AS SELECT n FROM STREAM read_files('raw', schema => 'n INT');
CREATE OR REFRESH STREAMING TABLE s AS SELECT times(n) AS product, n + factor AS sum FROM STREAM records;
SET VAR factor = 1000;
SELECT * FROM s ORDER BY product;
",
    );
    let first = scratch.run(&["run", "stream.sql", "--format", "csv"]);
    scratch.file("raw/two.json", "{\"n\": 3}\n");
    let second = scratch.run(&["run", "stream.sql", "--format", "csv"]);
    assert_snapshot!("language_stream", format!("{first}\n{second}"));
}
