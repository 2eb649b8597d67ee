//! Definitions that pinsql and Spark make, each used by the other: constraints, protocols, and the statement that makes
//! a table available in Databricks.

use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::spark::{self, Session};

/// The properties of a table, one row of Spark for each.
fn properties(spark: &Session<'_>, table: &str) -> Vec<Value> {
    spark.sql(&format!("SHOW TBLPROPERTIES {table}"))
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
fn spark_enforces_the_constraints_that_pinsql_made() {
    let environment = TestEnvironment::new();
    let sql = format!("{TABLE}; INSERT INTO t (ind, title) VALUES (1, 'one')");
    environment.run_sql(&sql).output().success();
    let path = environment.table("t");
    let table = spark::at(&path);
    let insert = |ind: &str, title: &str| {
        format!(
            "INSERT INTO {table} (ind, title, amount, place, tags, counts, day) VALUES ({ind}, {title}, NULL, NULL, NULL, NULL, NULL)"
        )
    };
    let spark = spark::session();
    assert_eq!(spark.sql(&insert("2", "'two'")).len(), 0);
    for (ind, title, constraint, why) in [
        ("-3", "'three'", "positive", "a number that is too small"),
        ("4", "'it\\'s bad'", "titled", "a text that is refused"),
        ("5", "NULL", "titled", "NULL is not true"),
        ("NULL", "'six'", "null", "a column that is NOT NULL"),
    ] {
        let error = spark.refusal(&insert(ind, title)).to_lowercase();
        assert!(error.contains(constraint), "{why}: {error}");
    }
    let properties = properties(&spark, &table);
    for (key, value) in [
        ("delta.constraints.positive", "ind > 0"),
        ("delta.constraints.titled", "title <> 'it\\'s bad' AND length(title) BETWEEN 1 AND 9"),
        ("delta.minReaderVersion", "1"),
        ("delta.minWriterVersion", "4"),
        ("quality", "gold"),
    ] {
        assert!(properties.contains(&json!({"key": key, "value": value})), "{key}: {properties:?}");
    }
    let ind = spark.sql(&format!("SELECT ind FROM {table} ORDER BY ind"));
    assert_eq!(ind, [json!({"ind": 1}), json!({"ind": 2})]);
    let changes = spark.sql(&format!(
        "SELECT _change_type AS change, ind FROM table_changes_by_path('{}', 0) ORDER BY ind",
        path.display()
    ));
    assert_eq!(changes, [json!({"change": "insert", "ind": 1}), json!({"change": "insert", "ind": 2})]);
    // And the other direction.
    environment.run_sql("INSERT INTO t (ind, title) VALUES (0, 'zero')").output().failure(1, &[&["positive"]]);
}

#[test]
fn pinsql_enforces_the_constraints_that_spark_made() {
    let environment = TestEnvironment::new();
    let path = environment.table("s");
    let table = spark::at(&path);
    let spark = spark::session();
    spark.sql(&format!("CREATE TABLE {table} (id INT NOT NULL, Name STRING) USING DELTA"));
    spark.sql(&format!("INSERT INTO {table} VALUES (1, 'one')"));
    spark.sql(&format!("ALTER TABLE {table} ADD CONSTRAINT Small CHECK (ID < 10 AND name RLIKE '^[a-z]+$')"));
    let insert = |values: &str| environment.run_sql(&format!("INSERT INTO s VALUES {values}")).output();
    insert("(2, 'two')").success();
    insert("(11, 'eleven')").failure(1, &[&["breaks the constraint small"], &["id = 11"]]);
    insert("(3, 'Three')").failure(1, &[&["breaks the constraint small"]]);
    insert("(NULL, 'none')").failure(1, &[&["NOT NULL"]]);
    environment.run_sql("ALTER TABLE s DROP CONSTRAINT small; INSERT INTO s VALUES (11, 'Eleven')").output().success();
    assert_eq!(spark.rows(&path).len(), 3);
}

#[test]
fn spark_reads_an_altered_table() {
    let environment = TestEnvironment::new();
    let sql = "CREATE TABLE t (ind INT, place STRUCT<city: STRING>);
        INSERT INTO t VALUES (1, named_struct('city', 'Paris'));
        ALTER TABLE t ADD COLUMNS (title STRING COMMENT 'as shown' FIRST, place.country STRING);
        ALTER TABLE t ALTER COLUMN ind SET NOT NULL;
        INSERT INTO t VALUES ('two', 2, named_struct('city', 'Quito', 'country', 'Ecuador'))";
    environment.run_sql(sql).output().success();
    let table = spark::at(&environment.table("t"));
    let spark = spark::session();
    let found = spark.sql(&format!("SELECT title, ind, place.city, place.country FROM {table} ORDER BY ind"));
    let expected = [
        json!({"title": null, "ind": 1, "city": "Paris", "country": null}),
        json!({"title": "two", "ind": 2, "city": "Quito", "country": "Ecuador"}),
    ];
    assert_eq!(found, expected);
    spark.sql(&format!("INSERT INTO {table} VALUES ('three', 3, named_struct('city', 'Lima', 'country', 'Peru'))"));
    assert_eq!(environment.value("SELECT count(*) FROM t WHERE place.country IS NOT NULL"), 2);
}

#[test]
fn show_create_table_makes_the_same_table_again() {
    let environment = TestEnvironment::new();
    // A separate name in the catalog, because all tests of Spark share it.
    let create = TABLE.replacen("TABLE t", "TABLE made_again", 1);
    environment.run_sql(&format!("{create}; INSERT INTO made_again (ind, title) VALUES (1, 'one')")).output().success();
    let ddl = environment.value("SHOW CREATE TABLE made_again").as_str().unwrap().to_owned();
    let described = environment.query("DESCRIBE made_again");

    // In Spark: the table exists by its name. A table created without the location has the same columns.
    let location = format!("LOCATION 'file://{}/default/made_again'", environment.warehouse());
    let at = ddl.find("LOCATION '").unwrap();
    let end = at + ddl[at..].find('\n').unwrap();
    let elsewhere = environment.path("elsewhere").display().to_string();
    let moved = format!("{}LOCATION '{elsewhere}'{}", &ddl[..at], &ddl[end..]);
    assert!(ddl[at..].starts_with(&location), "{ddl}");
    let spark = spark::session();
    spark.sql(&ddl);
    assert_eq!(spark.sql("SELECT ind, title FROM default.made_again"), [json!({"ind": 1, "title": "one"})]);
    spark.sql("DROP TABLE default.made_again");
    spark.sql(&moved);
    let columns = |rows: Vec<Value>| -> Vec<(String, String)> {
        let column = |row: &Value| {
            let data_type = row["data_type"].as_str().unwrap().to_lowercase().replace(": ", ":").replace(", ", ",");
            (row["col_name"].as_str().unwrap().to_owned(), data_type)
        };
        rows.iter().take(described.len() - 2).map(column).collect()
    };
    assert_eq!(columns(spark.sql("DESCRIBE default.made_again")), columns(described.clone()));
    let properties = properties(&spark, "default.made_again");
    assert!(properties.contains(&json!({"key": "delta.constraints.positive", "value": "ind > 0"})), "{properties:?}");
    spark.sql("DROP TABLE default.made_again");

    // In pinsql: the table is dropped and created again with its own statement.
    environment.run_sql(&format!("DROP TABLE made_again; {ddl}")).output().success();
    assert_eq!(environment.query("DESCRIBE made_again"), described);
    assert_eq!(environment.value("SHOW CREATE TABLE made_again"), ddl);
    environment.run_sql("INSERT INTO made_again (ind, title) VALUES (0, 'zero')").output().failure(1, &[&["positive"]]);
}
