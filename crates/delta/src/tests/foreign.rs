//! Tables and logs of other writers: their types, and what is damaged or odd.

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, LargeStringArray, StringArray};
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::rewrites::deleting;
use super::*;
use pinsql_base::error::ErrorCode;

/// A table `id BIGINT, s STRING` with one file that another writer wrote.
fn with_file(columns: Vec<(&str, ArrayRef)>) -> Fixture {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().join("t");
    std::fs::create_dir_all(folder.join("_delta_log")).unwrap();
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let file = std::fs::File::create(folder.join("f.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let size = std::fs::metadata(folder.join("f.parquet")).unwrap().len();
    let field =
        |name: &str, data_type: &str| json!({"name": name, "type": data_type, "nullable": true, "metadata": {}});
    let schema = json!({"type": "struct", "fields": [field("id", "long"), field("s", "string")]}).to_string();
    fixture.commit(
        0,
        &[
            json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
            json!({"metaData": {"id": "0", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
                "partitionColumns": [], "configuration": {}, "createdTime": 1}}),
            json!({"add": {"path": "f.parquet", "partitionValues": {}, "size": size, "modificationTime": 1,
                "dataChange": true, "stats": "{oops"}}),
        ],
    );
    fixture
}

fn ids() -> ArrayRef {
    Arc::new(Int32Array::from(vec![1, 2]))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_writers_are_read_and_changed() {
    let words: DictionaryArray<Int32Type> = vec!["a", "b"].into_iter().collect();
    let marks: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
    for texts in [Arc::new(words) as ArrayRef, Arc::new(LargeStringArray::from(vec!["a", "b"]))] {
        let fixture = with_file(vec![("ID", ids()), ("S", texts), ("_change_type", Arc::clone(&marks))]);
        assert!(fixture.query("SELECT max(s) AS m FROM t WHERE id = 2").await.contains("| b |"));
        deleting(&fixture, "id = 2").await.commit(None).await.unwrap();
        let rows = fixture.query("SELECT id, s FROM t").await;
        assert_eq!(rows, table(&["+----+---+", "| id | s |", "+----+---+", "| 1  | a |", "+----+---+"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_could_change_values_is_refused_if_it_is_read() {
    let floats: ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![1.5, 2.5]));
    let fixture = with_file(vec![("id", floats), ("s", Arc::new(StringArray::from(vec!["a", "b"])))]);
    assert!(fixture.query("SELECT max(s) AS m FROM t").await.contains("| b |"));
    let provider = fixture.location.provider(&fixture.location.open_existing().await.unwrap()).unwrap();
    let rows = fixture.session.read_table(provider).unwrap().collect().await;
    assert!(rows.unwrap_err().to_string().contains("its column id is DOUBLE and that of the table is BIGINT"));
}

/// Eleven versions with a checkpoint of version 9.
async fn with_checkpoint() -> Fixture {
    let fixture = Fixture::new();
    let sql = "SELECT CAST(0 AS BIGINT) AS n";
    let mut definition = fixture.definition_of(sql).await;
    definition.properties.insert("delta.checkpointInterval".into(), "10".into());
    fixture.write(WriteKind::Create(definition), sql).await.unwrap();
    for _ in 1..=10 {
        fixture.append("SELECT CAST(1 AS BIGINT)").await.unwrap();
    }
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_or_hint_is_replaced_by_the_commits() {
    const SUM: &str = "SELECT count(*) AS c, sum(n) AS s FROM t";
    let fixture = with_checkpoint().await;
    let log = fixture.folder.path().join("t/_delta_log");
    let checkpoint = log.join("00000000000000000009.checkpoint.parquet");
    let bytes = std::fs::read(&checkpoint).unwrap();
    for hint in [r#"{"version":99,"size":5}"#, "oops", ""] {
        std::fs::write(log.join("_last_checkpoint"), hint).unwrap();
        assert!(fixture.query(SUM).await.contains("| 11 | 10 |"), "{hint}");
    }
    std::fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    assert!(fixture.query(SUM).await.contains("| 11 | 10 |"));
    fixture.append("SELECT CAST(1 AS BIGINT)").await.unwrap();
    assert!(fixture.query(SUM).await.contains("| 12 | 11 |"));

    std::fs::remove_file(log.join("00000000000000000000.json")).unwrap();
    let error = fixture.location.open().await.unwrap_err();
    let said = "cannot read the table default.t: _delta_log/00000000000000000009.checkpoint.parquet is damaged";
    assert_eq!((error.code, error.message.as_str()), (ErrorCode::InvalidDeltaLog, said));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_of_a_damaged_log_names_the_file() {
    let fixture = with_checkpoint().await;
    let last = fixture.folder.path().join("t/_delta_log/00000000000000000010.json");
    let text = std::fs::read_to_string(&last).unwrap();
    std::fs::write(&last, &text[..text.len() - 20]).unwrap();
    let error = fixture.location.open().await.unwrap_err();
    assert_eq!(error.message, "cannot read the table default.t: _delta_log/00000000000000000010.json is damaged");
    assert!(error.source.unwrap().to_string().starts_with("line "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_shows_versions_with_odd_actions() {
    let fixture = Fixture::new();
    fixture.create_as("SELECT 1 AS a").await.unwrap();
    let odd = json!({"commitInfo": {"timestamp": 7, "operation": "ODD", "isolationLevel": 3, "userName": "x"}});
    fixture.commit(1, &[json!({"metaData": {"id": "0"}}), odd]);
    let history = history(&fixture.location, None).await.unwrap();
    assert_eq!((history[0].version, history[0].timestamp_ms), (1, Some(7)));
    assert_eq!((history[0].operation.as_deref(), history[0].user_name.as_deref()), (Some("ODD"), Some("x")));
    assert_eq!((history[0].isolation_level.as_deref(), history.len()), (None, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_counts_at_any_age() {
    let fixture = with_checkpoint().await;
    let mut metadata = fixture.actions(0, "metaData").remove(0);
    metadata["configuration"]["delta.setTransactionRetentionDuration"] = json!("interval 1 days");
    fixture.commit(11, &[json!({"metaData": metadata})]);
    fixture.commit(12, &[json!({"txn": {"appId": "a", "version": 6, "lastUpdated": 1}})]);
    fixture.commit(13, &[json!({"txn": {"appId": "a", "version": 7, "lastUpdated": 1}})]);
    let table = fixture.location.open_existing().await.unwrap();
    assert_eq!(transaction_version(&table, "a").await.unwrap(), Some(7));
    assert_eq!(transaction_version(&table, "b").await.unwrap(), None);
    // Without its first commit, the log may have forgotten a transaction.
    std::fs::remove_file(fixture.folder.path().join("t/_delta_log/00000000000000000000.json")).unwrap();
    assert_eq!(transaction_version(&table, "a").await.unwrap(), Some(7));
    assert_eq!(transaction_version(&table, "b").await.unwrap_err().code, ErrorCode::InvalidProperty);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_write_leaves_no_files() {
    let fixture = Fixture::new();
    let definition = fixture.definition_of("SELECT 1 AS a").await;
    let prepared = fixture.prepare(WriteKind::Create(definition), "SELECT 1 AS a").await.unwrap();
    assert_eq!(fixture.files_on_disk(), 1);
    drop(prepared);
    finish_discards().await;
    assert_eq!(fixture.files_on_disk(), 0);
    fixture.create_as("SELECT 1 AS a").await.unwrap();
    finish_discards().await;
    assert_eq!(fixture.files_on_disk(), 1);
}
