//! Definitions that pinsql and Spark make, each held by the other: constraints, protocols, and the statement that makes a
//! table appear in Databricks.

use serde_json::Value;

use crate::environment::{TestEnvironment, repository};
use crate::python::Script;

/// What Spark says to each of the statements.
fn spark(statements: &[&str]) -> Vec<Value> {
    let script = repository().join("tests/e2e/spark_sql.py");
    Script::start(&script, statements, &[]).answer().as_array().unwrap().clone()
}

fn rows(answer: &Value) -> &Vec<Value> {
    answer["rows"].as_array().unwrap_or_else(|| panic!("Spark failed: {answer}"))
}

fn error(answer: &Value) -> &str {
    answer["error"].as_str().unwrap_or_else(|| panic!("Spark took it: {answer}"))
}

const TABLE: &str = "CREATE TABLE t (
  ind BIGINT NOT NULL COMMENT 'it\\'s the key',
  title STRING,
  amount DECIMAL(10,2),
  place STRUCT<city: STRING COMMENT 'in English', at: STRUCT<x: DOUBLE>>,
  tags ARRAY<STRING>,
  counts MAP<STRING, INT>,
  day DATE,
  CONSTRAINT positive CHECK (ind > 0),
  CONSTRAINT Titled CHECK (title <> 'it\\'s bad' AND length(title) BETWEEN 1 AND 9)
) PARTITIONED BY (day) COMMENT 'some \\'posts\\'' TBLPROPERTIES ('quality' = 'gold', 'delta.enableChangeDataFeed' = 'true')";

#[test]
fn spark_holds_the_constraints_that_pinsql_made() {
    let environment = TestEnvironment::new();
    let sql = format!("{TABLE}; INSERT INTO t (ind, title) VALUES (1, 'one')");
    environment.run_sql(&sql).output().success();
    let path = environment.table("t").display().to_string();
    let insert = |ind: &str, title: &str| {
        format!(
            "INSERT INTO delta.`{path}` (ind, title, amount, place, tags, counts, day) VALUES ({ind}, {title}, NULL, NULL, NULL, NULL, NULL)"
        )
    };
    let statements = [
        insert("2", "'two'"),
        insert("-3", "'three'"),
        insert("4", "'it\\'s bad'"),
        insert("5", "NULL"),
        insert("NULL", "'six'"),
        format!("SHOW TBLPROPERTIES delta.`{path}`"),
        format!("SELECT ind FROM delta.`{path}` ORDER BY ind"),
        format!("SELECT _change_type, ind FROM table_changes_by_path('{path}', 0) ORDER BY ind"),
    ];
    let answers = spark(&statements.each_ref().map(String::as_str));
    assert_eq!(rows(&answers[0]).len(), 0);
    assert!(error(&answers[1]).contains("positive"), "{}", answers[1]);
    assert!(error(&answers[2]).contains("titled"), "{}", answers[2]);
    assert!(error(&answers[3]).contains("titled"), "NULL is not true: {}", answers[3]);
    assert!(error(&answers[4]).to_lowercase().contains("null"), "{}", answers[4]);
    let properties = rows(&answers[5]);
    for (key, value) in [
        ("delta.constraints.positive", "ind > 0"),
        ("delta.constraints.titled", "title <> 'it\\'s bad' AND length(title) BETWEEN 1 AND 9"),
        ("delta.minReaderVersion", "1"),
        ("delta.minWriterVersion", "4"),
        ("quality", "gold"),
    ] {
        assert!(properties.contains(&serde_json::json!([key, value])), "{key}: {properties:?}");
    }
    assert_eq!(*rows(&answers[6]), [serde_json::json!(["1"]), serde_json::json!(["2"])]);
    assert_eq!(*rows(&answers[7]), [serde_json::json!(["insert", "1"]), serde_json::json!(["insert", "2"])]);
    // And the other way round.
    environment.run_sql("INSERT INTO t (ind, title) VALUES (0, 'zero')").output().failure(1, &[&["positive"]]);
}

#[test]
fn pinsql_holds_the_constraints_that_spark_made() {
    let environment = TestEnvironment::new();
    let path = environment.table("s").display().to_string();
    let statements = [
        format!("CREATE TABLE s (id INT NOT NULL, Name STRING) USING DELTA LOCATION '{path}'"),
        "INSERT INTO s VALUES (1, 'one')".to_owned(),
        "ALTER TABLE s ADD CONSTRAINT Small CHECK (ID < 10 AND name RLIKE '^[a-z]+$')".to_owned(),
    ];
    for answer in spark(&statements.each_ref().map(String::as_str)) {
        rows(&answer);
    }
    let insert = |values: &str| environment.run_sql(&format!("INSERT INTO s VALUES {values}")).output();
    insert("(2, 'two')").success();
    insert("(11, 'eleven')").failure(1, &[&["breaks the constraint small"], &["id = 11"]]);
    insert("(3, 'Three')").failure(1, &[&["breaks the constraint small"]]);
    insert("(NULL, 'none')").failure(1, &[&["NOT NULL"]]);
    environment.run_sql("ALTER TABLE s DROP CONSTRAINT small; INSERT INTO s VALUES (11, 'Eleven')").output().success();
    let answers = spark(&[&format!("SELECT id FROM delta.`{path}` ORDER BY id")]);
    assert_eq!(rows(&answers[0]).len(), 3);
}

#[test]
fn a_table_that_was_altered_is_read_by_spark() {
    let environment = TestEnvironment::new();
    let sql = "CREATE TABLE t (ind INT, place STRUCT<city: STRING>);
        INSERT INTO t VALUES (1, named_struct('city', 'Paris'));
        ALTER TABLE t ADD COLUMNS (title STRING COMMENT 'as shown' FIRST, place.country STRING);
        ALTER TABLE t ALTER COLUMN ind SET NOT NULL;
        INSERT INTO t VALUES ('two', 2, named_struct('city', 'Quito', 'country', 'Ecuador'))";
    environment.run_sql(sql).output().success();
    let path = environment.table("t").display().to_string();
    let statements = [
        format!("SELECT title, ind, place.city, place.country FROM delta.`{path}` ORDER BY ind"),
        format!("INSERT INTO delta.`{path}` VALUES ('three', 3, named_struct('city', 'Lima', 'country', 'Peru'))"),
    ];
    let answers = spark(&statements.each_ref().map(String::as_str));
    let expected =
        serde_json::json!([[null, "1", "Paris", null], ["two", "2", "Quito", "Ecuador"]]).as_array().unwrap().clone();
    assert_eq!(*rows(&answers[0]), expected);
    rows(&answers[1]);
    assert_eq!(environment.value("SELECT count(*) FROM t WHERE place.country IS NOT NULL"), 2);
}

#[test]
fn the_statement_of_a_table_makes_it_again() {
    let environment = TestEnvironment::new();
    environment.run_sql(&format!("{TABLE}; INSERT INTO t (ind, title) VALUES (1, 'one')")).output().success();
    let ddl = environment.value("SHOW CREATE TABLE t").as_str().unwrap().to_owned();
    let described = environment.query("DESCRIBE t");

    // In Spark: the table appears, and one without the place has the same columns.
    let location = format!("LOCATION 'file://{}/default/t'", environment.warehouse());
    let at = ddl.find("LOCATION '").unwrap();
    let end = at + ddl[at..].find('\n').unwrap();
    let elsewhere = environment.path("elsewhere").display().to_string();
    let moved = format!("{}LOCATION '{elsewhere}'{}", &ddl[..at], &ddl[end..]);
    assert!(ddl[at..].starts_with(&location), "{ddl}");
    let statements = [
        ddl.as_str(),
        "SELECT ind, title FROM default.t",
        "DROP TABLE default.t",
        &moved,
        "DESCRIBE default.t",
        "SHOW TBLPROPERTIES default.t",
    ];
    let answers = spark(&statements);
    assert_eq!(*rows(&answers[1]), [serde_json::json!(["1", "one"])], "{}", answers[0]);
    let types: Vec<(String, String)> = rows(&answers[4])
        .iter()
        .take(described.len() - 2)
        .map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_str().unwrap().to_lowercase()))
        .collect();
    let ours: Vec<(String, String)> = described
        .iter()
        .take(described.len() - 2)
        .map(|row| {
            let data_type = row["data_type"].as_str().unwrap().to_lowercase().replace(": ", ":").replace(", ", ",");
            (row["col_name"].as_str().unwrap().to_owned(), data_type)
        })
        .collect();
    assert_eq!(types, ours);
    assert!(rows(&answers[5]).contains(&serde_json::json!(["delta.constraints.positive", "ind > 0"])));

    // Here: dropped, and made again by its own statement.
    environment.run_sql(&format!("DROP TABLE t; {ddl}")).output().success();
    assert_eq!(environment.query("DESCRIBE t"), described);
    assert_eq!(environment.value("SHOW CREATE TABLE t"), ddl);
    environment.run_sql("INSERT INTO t (ind, title) VALUES (0, 'zero')").output().failure(1, &[&["positive"]]);
}
