//! Every type with its limit values, nested values and NULL, and partitions by unusual values.

use serde_json::{Map, Value, json};

use crate::environment::TestEnvironment;
use crate::oracle::assert_same_rows;
use crate::spark;

/// Spark's name of a column's type, and the values: as SQL, and as Spark returns them.
type Column = (&'static str, Vec<(&'static str, Value)>);

/// A number parsed from text. Its last digit can differ from the number itself.
fn double(value: f64) -> Value {
    serde_json::from_str(&format!("{value:e}")).unwrap()
}

fn numbers() -> Vec<Column> {
    let nines = "9".repeat(38);
    vec![
        ("boolean", vec![("true", json!(true)), ("false", json!(false))]),
        ("tinyint", vec![("-128", json!(-128)), ("127", json!(127))]),
        ("smallint", vec![("-32768", json!(-32_768)), ("32767", json!(32_767))]),
        ("int", vec![("-2147483648", json!(i32::MIN)), ("2147483647", json!(i32::MAX))]),
        ("bigint", vec![("-9223372036854775808", json!(i64::MIN)), ("9223372036854775807", json!(i64::MAX))]),
        (
            "float",
            vec![
                ("CAST('NaN' AS FLOAT)", json!("NaN")),
                ("CAST('Infinity' AS FLOAT)", json!("Infinity")),
                ("CAST('-Infinity' AS FLOAT)", json!("-Infinity")),
                ("CAST('-0.0' AS FLOAT)", json!(-0.0)),
                ("CAST('3.4028234663852886E38' AS FLOAT)", double(f32::MAX.into())),
                ("CAST('1.4E-45' AS FLOAT)", double(f32::from_bits(1).into())),
            ],
        ),
        (
            "double",
            vec![
                ("CAST('NaN' AS DOUBLE)", json!("NaN")),
                ("CAST('Infinity' AS DOUBLE)", json!("Infinity")),
                ("CAST('-Infinity' AS DOUBLE)", json!("-Infinity")),
                ("CAST('-0.0' AS DOUBLE)", json!(-0.0)),
                ("CAST('1.7976931348623157E308' AS DOUBLE)", double(f64::MAX)),
                ("CAST('4.9E-324' AS DOUBLE)", double(f64::from_bits(1))),
            ],
        ),
        (
            "decimal(38,0)",
            vec![
                ("99999999999999999999999999999999999999BD", json!(nines)),
                ("-99999999999999999999999999999999999999BD", json!(format!("-{nines}"))),
                ("0BD", json!("0")),
            ],
        ),
        (
            "decimal(38,38)",
            vec![
                ("CAST('0.99999999999999999999999999999999999999' AS DECIMAL(38,38))", json!(format!("0.{nines}"))),
                ("CAST('-0.99999999999999999999999999999999999999' AS DECIMAL(38,38))", json!(format!("-0.{nines}"))),
                (
                    "CAST('0.00000000000000000000000000000000000001' AS DECIMAL(38,38))",
                    json!(format!("0.{}1", "0".repeat(37))),
                ),
            ],
        ),
        (
            "decimal(18,2)",
            vec![
                ("9999999999999999.99BD", json!("9999999999999999.99")),
                ("-9999999999999999.99BD", json!("-9999999999999999.99")),
            ],
        ),
        (
            "decimal(5,5)",
            vec![
                ("CAST('0.99999' AS DECIMAL(5,5))", json!("0.99999")),
                ("CAST('-0.00001' AS DECIMAL(5,5))", json!("-0.00001")),
            ],
        ),
    ]
}

fn texts_and_times() -> Vec<Column> {
    vec![
        (
            "string",
            vec![
                ("''", json!("")),
                (r"'a\0b'", json!("a\0b")),
                (r#"'\'single\' and "double" and `back`'"#, json!("'single' and \"double\" and `back`")),
                (r"'one\ntwo\r\nthree\tfour\\'", json!("one\ntwo\r\nthree\tfour\\")),
                (
                    "'🎉👩‍👩‍👧 שלום مرحبا e\u{301} \u{202e}turned\u{202c} \u{feff}'",
                    json!("🎉👩‍👩‍👧 שלום مرحبا e\u{301} \u{202e}turned\u{202c} \u{feff}"),
                ),
                (r"'\U0010FFFF'", json!("\u{10FFFF}")),
                ("' spaces  '", json!(" spaces  ")),
                ("'NULL'", json!("NULL")),
            ],
        ),
        ("binary", vec![("X''", json!("")), ("X'00FF10'", json!("00ff10")), ("X'EDA080'", json!("eda080"))]),
        (
            "date",
            vec![
                ("DATE'0001-01-01'", json!("0001-01-01")),
                ("DATE'9999-12-31'", json!("9999-12-31")),
                ("DATE'1582-10-10'", json!("1582-10-10")),
                ("DATE'1900-02-28'", json!("1900-02-28")),
            ],
        ),
        (
            "timestamp",
            vec![
                ("TIMESTAMP'0001-01-01 00:00:00'", json!("0001-01-01 00:00:00")),
                ("TIMESTAMP'9999-12-31 23:59:59.999999'", json!("9999-12-31 23:59:59.999999")),
                ("TIMESTAMP'1883-11-18 12:03:58.000001'", json!("1883-11-18 12:03:58.000001")),
                ("TIMESTAMP'1582-10-10 00:00:00'", json!("1582-10-10 00:00:00")),
                // Hours that do not exist in Berlin and New York, and an hour that exists twice.
                ("TIMESTAMP'2021-03-28 02:30:00'", json!("2021-03-28 02:30:00")),
                ("TIMESTAMP'2021-03-14 02:30:00.5'", json!("2021-03-14 02:30:00.500000")),
                ("TIMESTAMP'2021-10-31 02:30:00'", json!("2021-10-31 02:30:00")),
                ("TIMESTAMP'1969-12-31 23:59:59.999999'", json!("1969-12-31 23:59:59.999999")),
            ],
        ),
    ]
}

fn nested() -> Vec<Column> {
    let deep = json!({"b": [{"k": {"c": [{"d": "five"}, null]}}, null]});
    vec![
        (
            "array<double>",
            vec![
                ("array()", json!([])),
                ("array(1.5D, NULL, CAST('NaN' AS DOUBLE))", json!([1.5, null, "NaN"])),
                ("array(CAST(NULL AS DOUBLE))", json!([null])),
            ],
        ),
        ("map<string,int>", vec![("map()", json!({})), ("map('', 1, 'two', NULL)", json!({"": 1, "two": null}))]),
        ("map<int,array<string>>", vec![("map(-1, array('x', NULL), 2, NULL)", json!({"-1": ["x", null], "2": null}))]),
        (
            "struct<number:int,text:string>",
            vec![
                ("named_struct('number', 1, 'text', 'one')", json!({"number": 1, "text": "one"})),
                ("named_struct('number', NULL, 'text', NULL)", json!({"number": null, "text": null})),
            ],
        ),
        (
            "struct<b:array<map<string,struct<c:array<struct<d:string>>>>>>",
            vec![
                (
                    "named_struct('b', array(map('k', named_struct('c', array(named_struct('d', 'five'), NULL))), NULL))",
                    deep,
                ),
                ("named_struct('b', NULL)", json!({"b": null})),
            ],
        ),
    ]
}

/// Checks a table of these columns, with names by index. The first rows have the values of each column. The other rows
/// are NULL.
fn check(table: &str, columns: &[Column]) {
    let environment = TestEnvironment::new();
    let rows_count = columns.iter().map(|(_, values)| values.len()).max().unwrap() + 1;
    let names: Vec<String> = (0..columns.len()).map(|at| format!("c{at}")).collect();
    let schema: Vec<String> = names.iter().zip(columns).map(|(name, (of, _))| format!("{name} {of}")).collect();
    let (mut sql, mut expected) = (Vec::new(), Vec::new());
    for at in 0..rows_count {
        let value = |(_, values): &Column| values.get(at).cloned().unwrap_or(("NULL", Value::Null));
        let (literals, values): (Vec<_>, Vec<_>) = columns.iter().map(value).unzip();
        sql.push(format!("({at}, {})", literals.join(", ")));
        let row = [("id".to_owned(), json!(at))].into_iter().chain(names.iter().cloned().zip(values));
        expected.push(Value::Object(row.collect::<Map<_, _>>()));
    }
    let inserts: Vec<String> = sql.iter().map(|row| format!("INSERT INTO {table} VALUES {row}")).collect();
    let create = format!("CREATE TABLE {table} (id INT, {})", schema.join(", "));
    // First one row per file, so that in some files a column has only NULL. Then all rows in one file.
    environment.run_sql(&format!("{create}; {}", inserts.join("; "))).output().success();
    let spark = spark::session();
    let path = environment.table(table);
    assert_same_rows(table, &expected, &spark.rows(&path));
    environment.run_sql(&format!("OPTIMIZE {table}")).output().success();
    let read = spark.table(&path);
    assert_same_rows(&format!("{table} in one file"), &expected, read["rows"].as_array().unwrap());
    assert_eq!(spark.detail(&path)["files"], 1);

    let types: Vec<Value> = names.iter().zip(columns).map(|(name, (of, _))| json!([name, of])).collect();
    assert_eq!(read["types"].as_array().unwrap()[1..], types, "{table}");
    let described: Vec<Value> = environment.query(&format!("DESCRIBE {table}")).iter().map(described).collect();
    assert_eq!(described[1..], types, "{table}: what DESCRIBE says");
}

/// A row of DESCRIBE in the form of Spark's columns.
fn described(row: &Value) -> Value {
    let data_type = row["data_type"].as_str().unwrap().to_lowercase();
    json!([row["col_name"], data_type.replace(": ", ":").replace(", ", ",")])
}

#[test]
fn limit_values_of_numbers_are_the_same_in_spark() {
    check("numbers", &numbers());
}

#[test]
fn limit_values_of_texts_and_times_are_the_same_in_spark() {
    check("texts_and_times", &texts_and_times());
}

#[test]
fn nested_values_are_the_same_in_spark() {
    check("nested", &nested());
}

/// Partition columns with values that are unusual in a folder name or in the log.
fn partitions() -> Vec<Column> {
    vec![
        (
            "string",
            vec![
                ("'a/b\\\\c'", json!("a/b\\c")),
                ("'100% of %2F'", json!("100% of %2F")),
                ("' '", json!(" ")),
                ("'=&?#:;\"<>|*\\''", json!("=&?#:;\"<>|*'")),
                ("'Ünïcödé 🎉 e\u{301}'", json!("Ünïcödé 🎉 e\u{301}")),
                ("'__HIVE_DEFAULT_PARTITION__'", json!("__HIVE_DEFAULT_PARTITION__")),
                ("'..'", json!("..")),
                ("'line\\nbreak\\t'", json!("line\nbreak\t")),
            ],
        ),
        ("date", vec![("DATE'0001-01-01'", json!("0001-01-01")), ("DATE'9999-12-31'", json!("9999-12-31"))]),
        (
            "timestamp",
            vec![
                ("TIMESTAMP'1883-11-18 12:03:58.000001'", json!("1883-11-18 12:03:58.000001")),
                ("TIMESTAMP'9999-12-31 23:59:59.999999'", json!("9999-12-31 23:59:59.999999")),
                ("TIMESTAMP'2021-03-28 02:30:00'", json!("2021-03-28 02:30:00")),
            ],
        ),
        ("bigint", vec![("-9223372036854775808", json!(i64::MIN)), ("-1", json!(-1))]),
        ("boolean", vec![("false", json!(false)), ("true", json!(true))]),
        (
            "decimal(38,10)",
            vec![
                ("-0.0000000001BD", json!("-0.0000000001")),
                ("12345678901234567890BD", json!("12345678901234567890.0000000000")),
            ],
        ),
        (
            "double",
            vec![
                ("CAST('NaN' AS DOUBLE)", json!("NaN")),
                ("-1.5E300D", double(-1.5e300)),
                ("CAST('-Infinity' AS DOUBLE)", json!("-Infinity")),
            ],
        ),
    ]
}

#[test]
fn unusual_partitions_are_the_same_in_spark() {
    let environment = TestEnvironment::new();
    let spark = spark::session();
    for (at, (data_type, values)) in partitions().into_iter().enumerate() {
        let table = format!("by_{at}");
        let rows = values.iter().enumerate().map(|(id, (literal, _))| format!("({id}, {literal})"));
        let rows: Vec<String> = rows.chain(["(-1, NULL)".to_owned()]).collect();
        let create = format!("CREATE TABLE {table} (id INT, p {data_type}) PARTITIONED BY (p)");
        environment.run_sql(&format!("{create}; INSERT INTO {table} VALUES {}", rows.join(", "))).output().success();
        let mut expected: Vec<Value> =
            values.iter().enumerate().map(|(id, (_, value))| json!({"id": id, "p": value})).collect();
        expected.push(json!({"id": -1, "p": null}));
        let path = environment.table(&table);
        assert_same_rows(&format!("by {data_type}"), &expected, &spark.rows(&path));
        assert_eq!(spark.detail(&path)["partitions"], json!(["p"]));
        // In both engines, each value selects exactly one folder.
        for (id, (literal, value)) in values.iter().enumerate() {
            let wanted = [json!({"id": id, "p": value})];
            let (files, rows) = spark.filtered(&path, &format!("p = {literal}"));
            assert_eq!((files.len(), rows.as_slice()), (1, wanted.as_slice()), "{literal}");
            let ours = environment.query(&format!("SELECT id FROM {table} WHERE p = {literal}"));
            assert_eq!(ours, [json!({"id": id})], "{literal}");
        }
        let (files, rows) = spark.filtered(&path, "p IS NULL");
        assert_eq!((files.len(), rows), (1, vec![json!({"id": -1, "p": null})]), "{data_type}");
    }
}

#[test]
fn an_empty_partition_value_is_null_as_in_spark() {
    let environment = TestEnvironment::new();
    let create = "CREATE TABLE t (id INT, p STRING) PARTITIONED BY (p)";
    environment.run_sql(&format!("{create}; INSERT INTO t VALUES (1, '')")).output().success();
    let spark = spark::session();
    let theirs = environment.path("theirs");
    spark.sql(&create.replace(" t ", &format!(" {} ", spark::at(&theirs))).replace(") PART", ") USING delta PART"));
    spark.sql(&format!("INSERT INTO {} VALUES (1, '')", spark::at(&theirs)));
    let rows = spark.rows(&environment.table("t"));
    assert_eq!(rows, [json!({"id": 1, "p": null})]);
    assert_eq!(rows, spark.rows(&theirs));
    assert_eq!(rows, environment.query("SELECT * FROM t"));
}
