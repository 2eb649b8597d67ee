//! The tables for the tests of other readers: the pipeline's tables, every type, values at the limits of the types,
//! unusual partitions, and one table for each operation on an existing table.

use serde_json::{Map, Value, json};

use crate::environment::{TestEnvironment, file};
use crate::raw;

/// The tables of the pipeline.
const PIPELINE: [&str; 4] = ["pin_data", "geo_data", "user_data", "pin_data_rejects"];

/// Tables with later operations. Each entry has the statements after [`BEGINNING`].
const LIVES: [(&str, &str); 9] = [
    ("updated", "UPDATE {t} SET n = n + 1, p = 'moved' WHERE id % 5 = 0"),
    ("deleted_from", "DELETE FROM {t} WHERE id BETWEEN 30 AND 40; DELETE FROM {t} WHERE p IS NULL"),
    (
        "merged",
        "MERGE INTO {t} AS t USING (SELECT value AS id FROM generate_series(90, 110)) AS s ON t.id = s.id
         WHEN MATCHED AND s.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET name = 'merged'
         WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, 0)",
    ),
    ("optimized", "INSERT INTO {t} VALUES (1000, 1, '', ''); OPTIMIZE {t}"),
    ("in_order", "INSERT INTO {t} VALUES (1000, 1, '', ''); OPTIMIZE {t} ZORDER BY (id, n); VACUUM {t}"),
    ("restored", "INSERT OVERWRITE {t} VALUES (1, 2, 'x', 'y'); RESTORE TABLE {t} TO VERSION AS OF 1"),
    (
        "evolved",
        "ALTER TABLE {t} ADD COLUMN s STRUCT<a: INT>; INSERT INTO {t} VALUES (1000, 1, 'x', 'p', named_struct('a', 1));
         ALTER TABLE {t} ADD COLUMN s.b STRING; INSERT INTO {t} VALUES (1001, 1, 'x', 'p', named_struct('a', 1, 'b', 'y'));
         UPDATE {t} SET s = named_struct('a', 2, 'b', 'all') WHERE s IS NULL",
    ),
    (
        "checkpointed",
        "ALTER TABLE {t} SET TBLPROPERTIES ('delta.checkpointInterval' = '3'); DELETE FROM {t} WHERE id = 1;
         DELETE FROM {t} WHERE id = 2; DELETE FROM {t} WHERE id = 3; DELETE FROM {t} WHERE id = 4",
    ),
    (
        "kept_changes",
        "ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true');
         ALTER TABLE {t} ADD CONSTRAINT known CHECK (id > 0); UPDATE {t} SET n = 0 WHERE id < 10; TRUNCATE TABLE {t};
         INSERT INTO {t} VALUES (1, 2, 'after', 'x=y é')",
    ),
];

const BEGINNING: &str = "
    CREATE TABLE {t} PARTITIONED BY (p) AS
    SELECT value AS id, CAST(value % 7 AS INT) AS n, CASE WHEN value % 5 <> 1 THEN concat('name ', value) END AS name,
           CASE value % 3 WHEN 0 THEN 'a/b %' WHEN 1 THEN 'x=y é' END AS p FROM generate_series(1, 100);";

/// Values at the limits of the types, and nested values. Python's calendar starts in year 1 and needs spare days before
/// a value, so the first date is 0001-01-03.
const EDGES: &str = "
    CREATE TABLE edges (
        id INT, whole DECIMAL(38, 0), fraction DECIMAL(38, 38), a_double DOUBLE, a_float FLOAT, d DATE, t TIMESTAMP, s STRING,
        list ARRAY<INT>, lists ARRAY<ARRAY<STRING>>, m MAP<INT, STRUCT<a: DATE, b: ARRAY<MAP<STRING, BINARY>>>>,
        deep STRUCT<a: STRUCT<b: STRUCT<c: TIMESTAMP, d: DECIMAL(20, 3)>>>);
    INSERT INTO edges VALUES
    (1, CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)),
     CAST('0.99999999999999999999999999999999999999' AS DECIMAL(38, 38)), CAST('NaN' AS DOUBLE), CAST('NaN' AS FLOAT),
     DATE'0001-01-03', TIMESTAMP'0001-01-03 00:00:00', '', array(), array(array('a', NULL), array()),
     map(1, named_struct('a', DATE'2020-02-29', 'b', array(map('k', X'ff'))), -2, named_struct('a', NULL, 'b', array())),
     named_struct('a', named_struct('b', named_struct('c', TIMESTAMP'2024-03-31 02:30:00',
                                                     'd', CAST('-12345678901234567.891' AS DECIMAL(20, 3)))))),
    (2, CAST('-99999999999999999999999999999999999999' AS DECIMAL(38, 0)),
     CAST('-0.99999999999999999999999999999999999999' AS DECIMAL(38, 38)), CAST('Infinity' AS DOUBLE), CAST('-Infinity' AS FLOAT),
     DATE'9999-12-31', TIMESTAMP'9999-12-31 23:59:59.999999', 'a tab\t, a backslash \\\\ and 🎉', array(1, NULL, 2147483647),
     array(), map(), named_struct('a', named_struct('b', named_struct('c', TIMESTAMP'1969-12-31 23:59:59.999999',
                                                                     'd', CAST(0 AS DECIMAL(20, 3)))))),
    (3, 0, 0, -0.0D, CAST(3.4028235e38 AS FLOAT), DATE'1582-10-10', TIMESTAMP'1582-10-10 12:00:00', 'שלום', array(0),
     array(array('')), map(0, named_struct('a', NULL, 'b', array())),
     named_struct('a', named_struct('b', named_struct('c', NULL, 'd', NULL)))),
    (4, 1, CAST(0.5 AS DECIMAL(38, 38)), 4.9E-324D, CAST(1e-45 AS FLOAT), DATE'1899-12-31',
     TIMESTAMP'1899-12-31 23:59:59.999999', ' ', array(0), array(array('')), map(),
     named_struct('a', named_struct('b', named_struct('c', TIMESTAMP'2024-10-27 01:30:00', 'd', NULL))))";

/// Every type that a table can have, with Spark's name and a limit value as JSON.
pub(crate) fn every_type() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("a_boolean", "boolean", json!(true)),
        ("a_tinyint", "tinyint", json!(-128)),
        ("a_smallint", "smallint", json!(32_767)),
        ("an_int", "int", json!(-2_147_483_648)),
        ("a_bigint", "bigint", json!(9_223_372_036_854_775_807_i64)),
        ("a_float", "float", json!(-0.5)),
        ("a_double", "double", json!(0.1)),
        ("a_decimal", "decimal(10,2)", json!(12_345_678.25)),
        ("a_string", "string", json!("a\nline, \"quotes\", a no-break\u{a0}space, שלום and 🎉")),
        ("a_binary", "binary", json!("AP8Q")),
        ("a_date", "date", json!("1904-02-29")),
        ("a_timestamp", "timestamp", json!("1883-11-18 12:03:58.000001")),
        ("an_array", "array<double>", json!([1.5, null, -2.5])),
        ("a_struct", "struct<number:int,text:string>", json!({"number": 1, "text": "one"})),
        ("a_map", "map<string,int>", json!({"one": 1, "two": 2})),
    ]
}

/// The same values in the form of the readers' script.
pub(crate) fn every_type_as_read() -> Value {
    let mut row: Map<String, Value> =
        every_type().into_iter().map(|(name, _, value)| (name.to_owned(), value)).collect();
    row["a_decimal"] = json!("12345678.25");
    row["a_binary"] = json!("00ff10");
    Value::Object(row)
}

/// The row of that table in which every value is NULL.
pub(crate) fn every_type_without_value() -> Value {
    every_type().iter().map(|(name, _, _)| ((*name).to_owned(), Value::Null)).collect::<Map<_, _>>().into()
}

/// Partition values that must be escaped in a path, or are NULL.
const COUNTRIES: [Option<&str>; 9] = [
    Some("France"),
    Some("Côte d'Ivoire"),
    Some("a/b"),
    Some("x=y"),
    Some("100%"),
    Some("a%2Fb"),
    Some(" with space "),
    Some("colon: \"quoted\"?*"),
    None,
];

/// The rows of the table with unusual partitions.
pub(crate) fn partitioned() -> Vec<Value> {
    let row = |(country, id): (&Option<&str>, i64)| json!({"id": id, "day": "2020-02-29", "country": country});
    let rows: Vec<Value> = COUNTRIES.iter().zip(0..).map(row).collect();
    [rows.clone(), rows].concat()
}

/// The names of all tables.
pub(crate) fn names() -> Vec<&'static str> {
    let lives = LIVES.iter().map(|(name, _)| *name);
    PIPELINE.into_iter().chain(["every_type", "edges", "partitioned"]).chain(lives).collect()
}

/// Creates the tables in the environment's warehouse, in a folder or in S3.
pub(crate) fn make(environment: &TestEnvironment) {
    let [pin, geo, user] = ["pin", "geo", "user"].map(|topic| file(&format!("sql/clean_{topic}.sql")));
    let raw = raw::examples();
    environment.pinsql(&["run", &pin, &geo, &user]).parameter("raw", raw.to_str().unwrap()).output().success();

    let values: Map<String, Value> =
        every_type().into_iter().map(|(name, _, value)| (name.to_owned(), value)).collect();
    let records = environment.write("types/records.json", format!("{}\n{{}}\n", Value::Object(values)));
    let schema: Vec<String> = every_type().iter().map(|(name, r#type, _)| format!("{name} {type}")).collect();
    let types = format!("SELECT * FROM read_files('{records}', format => 'json', schema => '{}')", schema.join(", "));

    let rows: String = partitioned().iter().take(COUNTRIES.len()).map(|row| format!("{row}\n")).collect();
    let records = environment.write("partitions/records.json", rows);
    let read = format!(
        "SELECT * FROM read_files('{records}', format => 'json', schema => 'id BIGINT, day DATE, country STRING')"
    );
    let partitions =
        format!("CREATE TABLE partitioned PARTITIONED BY (country, day) AS {read}; INSERT INTO partitioned {read}");

    let lives = LIVES.map(|(name, statements)| format!("{BEGINNING}{statements}").replace("{t}", name));
    let all = [format!("CREATE TABLE every_type AS {types}"), EDGES.to_owned(), partitions, lives.join(";\n")];
    environment.run_sql(&all.join(";\n")).output().success();
}
