//! What others read in the tables: deltalake's Python package, Spark with Delta, and DuckDB.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::environment::{TestEnvironment, file, repository};
use crate::oracle::assert_same_rows;
use crate::python::Script;
use crate::raw;
use crate::spark;

const READERS: [&str; 3] = ["deltalake", "spark", "duckdb"];

/// Every type that a table can have, as Spark names it, with a value at an edge of it in JSON.
fn every_type() -> Vec<(&'static str, &'static str, Value)> {
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

/// The same values as the readers' script gives them.
fn every_type_as_read() -> Value {
    let mut row: serde_json::Map<String, Value> =
        every_type().into_iter().map(|(name, _, value)| (name.to_owned(), value)).collect();
    row["a_decimal"] = json!("12345678.25");
    row["a_binary"] = json!("00ff10");
    Value::Object(row)
}

/// Partition values that have to be escaped in a path, or are none.
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

fn make_tables(environment: &TestEnvironment) {
    let [pin, geo, user] = ["pin", "geo", "user"].map(|topic| file(&format!("sql/clean_{topic}.sql")));
    let raw = raw::examples();
    environment.pinsql(&["run", &pin, &geo, &user]).parameter("raw", raw.to_str().unwrap()).output().success();

    let values: serde_json::Map<String, Value> =
        every_type().into_iter().map(|(name, _, value)| (name.to_owned(), value)).collect();
    let records = environment.write("types/records.json", format!("{}\n{{}}\n", Value::Object(values)));
    let schema: Vec<String> = every_type().iter().map(|(name, r#type, _)| format!("{name} {type}")).collect();
    let read = format!("SELECT * FROM read_files('{records}', format => 'json', schema => '{}')", schema.join(", "));
    environment.run_sql(&format!("CREATE TABLE every_type AS {read}")).output().success();

    let rows: String = COUNTRIES.iter().zip(0..).map(|(country, id)| partition_row(id, *country)).collect();
    let records = environment.write("partitions/records.json", rows);
    let read = format!(
        "SELECT * FROM read_files('{records}', format => 'json', schema => 'id BIGINT, day DATE, country STRING')"
    );
    let create = format!("CREATE TABLE partitioned PARTITIONED BY (country, day) AS {read}");
    environment.run_sql(&format!("{create}; INSERT INTO partitioned {read}")).output().success();
}

fn partition_row(id: i64, country: Option<&str>) -> String {
    format!("{}\n", json!({"id": id, "day": "2020-02-29", "country": country}))
}

#[test]
fn every_reader_finds_the_same_rows_types_and_protocol() {
    let environment = TestEnvironment::new();
    make_tables(&environment);
    let names = ["pin_data", "geo_data", "user_data", "pin_data_rejects", "every_type", "partitioned"];
    let paths = names.map(|name| environment.table(name).to_str().unwrap().to_owned());
    let start = |reader| (reader, read(reader, &paths.each_ref().map(String::as_str), &[]));
    let scripts = ["deltalake", "duckdb"].map(start);
    let mut answers = BTreeMap::from([("spark", read_with_spark(&paths))]);
    answers.extend(scripts.map(|(reader, script)| (reader, script.answer())));

    for (name, path) in names.iter().zip(&paths) {
        let rows = |reader: &str| answers[reader][path]["rows"].as_array().unwrap().clone();
        let count = environment.value(&format!("SELECT count(*) FROM {name}"));
        for reader in READERS {
            assert_eq!(rows(reader).len(), count, "{reader}: the rows of {name}");
            assert_same_rows(&format!("{name} in {reader}"), &rows("deltalake"), &rows(reader));
        }
        for reader in ["deltalake", "spark"] {
            assert_eq!(answers[reader][path]["protocol"], json!([1, 2]), "{reader}: the protocol of {name}");
        }
    }

    let types = &answers["spark"][&paths[4]]["types"];
    assert_eq!(*types, every_type().iter().map(|(name, r#type, _)| json!([name, r#type])).collect::<Value>());
    let nulls = every_type().iter().map(|(name, _, _)| ((*name).to_owned(), Value::Null)).collect();
    let rows = answers["spark"][&paths[4]]["rows"].as_array().unwrap();
    assert_same_rows("every_type", &[every_type_as_read(), Value::Object(nulls)], rows);

    let wanted: Vec<Value> = COUNTRIES
        .iter()
        .zip(0..)
        .map(|(country, id)| json!({"id": id, "day": "2020-02-29", "country": country}))
        .collect();
    let rows = answers["spark"][&paths[5]]["rows"].as_array().unwrap();
    assert_same_rows("partitioned", &[wanted.clone(), wanted].concat(), rows);
    let parts = &answers["deltalake"][&paths[5]]["partitions"];
    assert_eq!(*parts, json!(["country", "day"]));
}

fn read_with_spark(paths: &[String]) -> Value {
    let spark = spark::session();
    let found = paths.iter().map(|path| {
        let mut found = spark.table(path.as_ref());
        found["protocol"] = spark.detail(path.as_ref())["protocol"].take();
        (path.clone(), found)
    });
    Value::Object(found.collect())
}

/// All versions of a table as deltalake's Python package reads them, with the number of rows of each.
pub(crate) fn versions(table: &str, variables: &[(&str, String)]) -> Value {
    let answer = read("deltalake-versions", &[table], variables).answer();
    answer[table].clone()
}

pub(crate) fn read(reader: &str, tables: &[&str], variables: &[(&str, String)]) -> Script {
    let arguments: Vec<&str> = [reader].into_iter().chain(tables.iter().copied()).collect();
    Script::start(&repository().join("tests/e2e/read_tables.py"), &arguments, variables)
}
