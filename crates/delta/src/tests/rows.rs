//! Written rows: types, partitions, statistics, rules.

use std::collections::BTreeMap;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, NullArray, StringArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use serde_json::json;

use super::*;
use pinsql_base::error::ErrorKind;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_created_filled_and_replaced() {
    let fixture = Fixture::new();
    let created = fixture.create_as("SELECT * FROM (VALUES (1, 'a'), (2, NULL)) v(ind, title)").await.unwrap();
    assert_eq!((created.version, created.rows, created.warnings), (0, 2, vec![]));
    assert_eq!(fixture.actions(0, "protocol"), [json!({"minReaderVersion": 1, "minWriterVersion": 2})]);
    let metadata = &fixture.actions(0, "metaData")[0];

    let appended = fixture.append("SELECT 3, 'c'").await.unwrap();
    assert_eq!((appended.version, appended.rows, appended.files), (1, 1, 1));
    let rows = fixture.query("SELECT ind, title FROM t ORDER BY ind").await;
    assert_eq!(
        rows,
        table(&[
            "+-----+-------+",
            "| ind | title |",
            "+-----+-------+",
            "| 1   | a     |",
            "| 2   |       |",
            "| 3   | c     |",
            "+-----+-------+",
        ])
    );

    let replaced = fixture.replace_as("SELECT 'x' AS other").await.unwrap();
    assert_eq!((replaced.version, replaced.rows), (2, 1));
    assert_ne!(fixture.actions(2, "metaData")[0]["id"], metadata["id"], "the id is new, as Spark's is");
    assert_eq!(fixture.actions(2, "remove").len(), created.files + appended.files);
    assert!(fixture.query("SELECT * FROM t").await.contains("| x     |"));
    let before = fixture.location.open_version(1).await.unwrap();
    assert!(fixture.query_table(&before, "SELECT count(*) AS n FROM t").await.contains("| 3 |"), "history keeps it");

    let overwritten = fixture.write(WriteKind::Overwrite, "SELECT 'y'").await.unwrap();
    assert_eq!(overwritten.version, 3);
    assert!(fixture.actions(3, "metaData").is_empty());
    assert!(fixture.query("SELECT * FROM t").await.contains("| y     |"));
    let info = &fixture.actions(3, "commitInfo")[0];
    assert_eq!(info["userMetadata"], r#"{"read":1}"#);
    assert_eq!(info["operation"], "WRITE");
    assert_eq!(info["operationParameters"], json!({"mode": "Overwrite"}));
    assert_eq!(info["operationMetrics"]["numOutputRows"], "1");
    assert_eq!(fixture.actions(2, "commitInfo")[0]["operation"], "CREATE OR REPLACE TABLE AS SELECT");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rows_make_a_table_without_files() {
    let fixture = Fixture::new();
    let created = fixture.create_as("SELECT 1 AS a, 'b' AS b WHERE false").await.unwrap();
    assert_eq!((created.version, created.files, created.rows), (0, 0, 0));
    assert!(fixture.query("SELECT count(*) AS n FROM t").await.contains("| 0 |"));
    assert_eq!(fixture.append("SELECT 2, 'c' WHERE false").await.unwrap().version, 1);
    assert_eq!(fixture.files_on_disk(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_defined_without_rows() {
    let fixture = Fixture::new();
    let definition = TableDefinition {
        columns: vec![
            Column { name: "ind".into(), data_type: DataType::Int64, nullable: false, comment: Some("the key".into()) },
            Column { name: "at".into(), data_type: crate::spec::types::timestamp(), nullable: true, comment: None },
        ],
        comment: Some("pins".into()),
        properties: BTreeMap::from([("quality".into(), "gold".into())]),
        ..TableDefinition::default()
    };
    let create = |kind| PreparedWrite::define(WriteRequest::new(fixture.location.clone(), kind));
    create(WriteKind::Create(definition.clone())).await.unwrap().commit(None).await.unwrap();
    let metadata = &fixture.actions(0, "metaData")[0];
    assert_eq!(metadata["description"], "pins");
    assert_eq!(metadata["configuration"], json!({"quality": "gold"}));
    assert!(metadata["schemaString"].as_str().unwrap().contains(r#""comment":"the key""#));

    let again = create(WriteKind::Create(definition.clone())).await.unwrap_err();
    assert_eq!(again.message, "the table default.t already exists");
    let replaced = create(WriteKind::CreateOrReplace(definition)).await.unwrap().commit(None).await.unwrap();
    assert_eq!(replaced.version, 1);

    let null = fixture.append("SELECT NULL, now()").await.unwrap_err();
    assert_eq!(
        (null.kind(), null.message.as_str()),
        (ErrorKind::Data, "the column ind is NOT NULL, but a row has no value for it")
    );
    assert!(null.hint.unwrap().starts_with("the row is ind = NULL, at = 2"));
    let few = fixture.append("SELECT 1").await.unwrap_err();
    assert_eq!(few.message, "the query gives 1 columns, but the table default.t has 2");
    let text = fixture.append("SELECT 'seven', now()").await.unwrap_err();
    assert_eq!(text.message, "a STRING cannot be stored in the column ind of type BIGINT");
    assert_eq!(fixture.files_on_disk(), 0, "failed writes leave nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_stored_as_every_reader_has_them() {
    let fixture = Fixture::new();
    let words: DictionaryArray<Int32Type> = vec!["x", "y", "x"].into_iter().collect();
    fixture.register(
        "source",
        batch(vec![
            ("nanos", Arc::new(TimestampNanosecondArray::from(vec![Some(1_500), Some(-1), None])) as ArrayRef),
            ("local", Arc::new(TimestampMicrosecondArray::from(vec![0, 1, 2]).with_timezone("Europe/Paris"))),
            ("unsigned", Arc::new(UInt64Array::from(vec![1, 2, 3]))),
            ("words", Arc::new(words)),
        ]),
    );
    fixture
        .create_as("SELECT *, arrow_cast(words, 'Utf8View') AS seen, make_array(1, 2) AS list FROM source")
        .await
        .unwrap();
    let types =
        fixture.query("SELECT arrow_typeof(nanos), arrow_typeof(local), arrow_typeof(unsigned) FROM t LIMIT 1").await;
    assert!(types.contains(r#"| Timestamp(µs, "UTC")  | Timestamp(µs, "UTC")  | Int64  "#), "{types}");
    let rows = fixture.query("SELECT nanos, words, seen, list FROM t").await;
    assert!(rows.contains("| 1970-01-01T00:00:00.000001Z | x     | x    | [1, 2] |"), "{rows}");

    fixture.register("huge", batch(vec![("n", Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef)]));
    let huge = fixture.replace_as("SELECT n FROM huge").await.unwrap_err();
    assert_eq!((huge.kind(), huge.message.as_str()), (ErrorKind::Data, "a value does not fit the column n BIGINT"));
    fixture.register("void", batch(vec![("v", Arc::new(NullArray::new(1)) as ArrayRef)]));
    let query = fixture.session.sql("SELECT v FROM void").await.unwrap();
    let definition = TableDefinition::of_query(query.schema().as_arrow());
    let void = fixture.write(WriteKind::CreateOrReplace(definition), "SELECT v FROM void").await.unwrap_err();
    assert_eq!(void.hint.unwrap(), "give it one: CAST(NULL AS STRING) AS v");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_has_statistics() {
    let fixture = Fixture::new();
    let before_1900 = -2_500_000_000_000_001;
    fixture.register(
        "source",
        batch(vec![
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![before_1900, 1]).with_timezone("UTC")) as ArrayRef),
            ("text", Arc::new(StringArray::from(vec![Some("b"), None]))),
            ("number", Arc::new(Float64Array::from(vec![1.5, f64::NAN]))),
        ]),
    );
    let sql = "SELECT *, CAST('12345678901234567.89' AS DECIMAL(30, 2)) AS amount, DATE '2020-02-29' AS day, \
               named_struct('inner', 7) AS nested, make_array(1) AS list, text = 'b' AS flag FROM source";
    fixture.create_as(sql).await.unwrap();
    let statistics = &fixture.statistics(0)[0];
    assert_eq!(statistics["numRecords"], 2);
    assert_eq!(statistics["minValues"]["at"], "1890-10-11T19:33:19.999Z");
    assert_eq!(statistics["maxValues"]["at"], "1970-01-01T00:00:00.001Z");
    assert_eq!(statistics["minValues"]["text"], "b");
    assert_eq!(statistics["nullCount"]["text"], 1);
    assert_eq!(statistics["minValues"]["number"], Value::Null, "NaN is not ordered as Parquet thinks");
    assert_eq!(statistics["nullCount"]["number"], 0);
    assert_eq!(statistics["maxValues"]["day"], "2020-02-29");
    assert_eq!(statistics["maxValues"]["nested"], json!({"inner": 7}));
    assert_eq!(statistics["nullCount"]["list"], Value::Null);
    let text = fixture.actions(0, "add")[0]["stats"].as_str().unwrap().to_owned();
    assert!(text.contains(r#""amount":12345678901234567.89"#), "{text}");
    let rows = fixture.query("SELECT at FROM t WHERE at < TIMESTAMP '1900-01-01T00:00:00Z'").await;
    assert!(rows.contains("1890-10-11T19:33:19.999999Z"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_keep_odd_values() {
    let fixture = Fixture::new();
    let sql =
        "SELECT * FROM (VALUES (1, 'a b/c=%é'), (2, ''), (3, NULL), (4, 'a b/c=%é'), (5, '../x'), (6, '日本')) v(n, p)";
    let mut definition = fixture.definition_of(sql).await;
    definition.partition_columns = vec!["p".into()];
    fixture.write(WriteKind::Create(definition), sql).await.unwrap();
    let rows = fixture.query("SELECT p, count(*) AS n FROM t GROUP BY p ORDER BY p NULLS FIRST").await;
    assert_eq!(
        rows,
        table(&[
            "+----------+---+",
            "| p        | n |",
            "+----------+---+",
            "|          | 2 |",
            "| ../x     | 1 |",
            "| a b/c=%é | 2 |",
            "| 日本     | 1 |",
            "+----------+---+",
        ])
    );
    assert!(fixture.query("SELECT n FROM t WHERE p = 'a b/c=%é' AND n > 1").await.contains("| 4 |"));
    let empty = fixture.actions(0, "add").into_iter().filter(|add| add["partitionValues"]["p"].is_null()).count();
    assert_eq!(empty, 1, "an empty string and NULL are one partition");
    let values = fixture.actions(0, "add");
    assert_eq!(values.len(), 4, "one file a value");
    assert!(fixture.statistics(0)[0]["minValues"].get("p").is_none());

    let paths = fixture.actions(0, "add").into_iter().map(|add| add["path"].as_str().unwrap().to_owned());
    assert!(paths.clone().any(|path| path.contains("%252F")), "escaped once for the folder and once for the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_every_type_come_back() {
    let fixture = Fixture::new();
    let sql = "SELECT 1 AS n, TIMESTAMP '1890-01-02T03:04:05.000006Z' AS at, DATE '2020-02-29' AS day, true AS flag, \
               CAST(-7 AS TINYINT) AS small, CAST('1.50' AS DECIMAL(5, 2)) AS amount, CAST('inf' AS DOUBLE) AS real";
    let mut definition = fixture.definition_of(sql).await;
    definition.partition_columns = ["at", "day", "flag", "small", "amount"].map(str::to_owned).to_vec();
    fixture.write(WriteKind::Create(definition), sql).await.unwrap();
    let rows = fixture.query("SELECT at, day, flag, small, amount, real FROM t").await;
    assert!(rows.contains("| 1890-01-02T03:04:05.000006Z | 2020-02-29 | true | -7    | 1.50   | inf  |"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_that_others_set_are_kept() {
    let fixture = Fixture::new();
    fixture.create_as("SELECT 1 AS n, 'a' AS s").await.unwrap();
    let mut metadata = fixture.actions(0, "metaData").remove(0);
    metadata["configuration"]["delta.constraints.positive"] = json!("n > 0");
    fixture.commit(
        1,
        &[json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 3}}), json!({"metaData": metadata})],
    );
    fixture.append("SELECT 2, 'b'").await.unwrap();
    let broken = fixture.append("SELECT * FROM (VALUES (3, 'c'), (-4, 'd')) v(n, s)").await.unwrap_err();
    assert_eq!(
        (broken.kind(), broken.message.as_str()),
        (ErrorKind::Data, "a row breaks the constraint positive: n > 0")
    );
    assert_eq!(broken.hint.unwrap(), "the row is n = -4, s = d");
    let unknown = fixture.append("SELECT NULL, 'e'").await.unwrap_err();
    assert_eq!(unknown.message, "a row breaks the constraint positive: n > 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_inputs_make_several_files_in_order() {
    let fixture = Fixture::new();
    let sql = "SELECT value AS n, sha256(CAST(value AS STRING)) AS noise FROM generate_series(1, 200000) ORDER BY n";
    let mut definition = fixture.definition_of(sql).await;
    definition.properties.insert("delta.targetFileSize".into(), "2mb".into());
    let created = fixture.write(WriteKind::Create(definition), sql).await.unwrap();
    assert_eq!(created.rows, 200_000);
    assert!((3..=6).contains(&created.files), "{} files", created.files);
    let starts: Vec<i64> = fixture.statistics(0).iter().map(|file| file["minValues"]["n"].as_i64().unwrap()).collect();
    assert!(starts.is_sorted(), "{starts:?}");
    assert!(fixture.query("SELECT sum(n) AS s, count(*) AS c FROM t").await.contains("| 20000100000 | 200000 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_stop_all_writers_and_leave_nothing() {
    let fixture = Fixture::new();
    fixture.register("source", batch(vec![("n", Arc::new(Int32Array::from_iter_values(0..100_000)) as ArrayRef)]));
    fixture.create_as("SELECT CAST(1 AS TINYINT) AS n").await.unwrap();
    let files = fixture.files_on_disk();
    let overflow = fixture.append("SELECT n FROM source").await.unwrap_err();
    assert_eq!(
        (overflow.kind(), overflow.message.as_str()),
        (ErrorKind::Data, "a value does not fit the column n TINYINT")
    );
    assert_eq!(fixture.files_on_disk(), files);
    assert_eq!(fixture.location.open_existing().await.unwrap().version(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn little_memory_makes_small_row_groups() {
    let fixture = Fixture::new();
    let sql = "SELECT value AS n, sha256(CAST(value AS STRING)) AS noise FROM generate_series(1, 100000)";
    fixture.create_as(&format!("{sql} WHERE false")).await.unwrap();
    let run = async |pool_bytes| {
        let runtime =
            RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(pool_bytes))).build_arc();
        let context = TaskContext::default().with_runtime(runtime.unwrap());
        fixture.plan(WriteKind::Append, sql).await.unwrap().run(Arc::new(context)).await
    };
    let prepared = run(2 << 20).await.unwrap();
    assert_eq!(prepared.rows(), 100_000);
    prepared.commit(None).await.unwrap();
    assert_eq!(fixture.statistics(1).iter().map(|file| file["numRecords"].as_u64().unwrap()).sum::<u64>(), 100_000);
}
