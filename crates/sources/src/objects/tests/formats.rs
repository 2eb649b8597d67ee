//! Parquet.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt32Array};

use super::Bucket;

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

#[tokio::test]
async fn parquet_types_become_those_of_sql() {
    let bucket = Bucket::new();
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
    let unsigned: ArrayRef = Arc::new(UInt32Array::from(vec![1, u32::MAX]));
    let instant: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_000, 2_000]));
    bucket.put("in/p=1/a.parquet", parquet(vec![("s", text), ("u", unsigned), ("t", instant)])).await;
    let outcome = bucket.rows("/in", &[]).await;
    assert_eq!(outcome.columns, "s STRING, u BIGINT, t TIMESTAMP, p INT");
    assert_eq!(outcome.rows, ["x|1|1970-01-01T00:00:00.000001Z|1", "y|4294967295|1970-01-01T00:00:00.000002Z|1"]);
    let sql = "SELECT u, _metadata.file_path FROM t WHERE s = 'y'";
    let outcome = bucket.select("/in", &[], sql).await.unwrap();
    assert_eq!(outcome.rows, ["4294967295|s3://bucket/in/p=1/a.parquet"]);
}

#[tokio::test]
async fn an_error_names_the_parquet_file_with_other_columns() {
    let bucket = Bucket::new();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    bucket.put("in/a.parquet", parquet(vec![("v", numbers)])).await;
    bucket.put("in/b.parquet", parquet(vec![("v", texts)])).await;
    let error = bucket.error("/in", &[]).await;
    assert_eq!(error.message, "the columns of s3://bucket/in/b.parquet do not fit those of the files before it");
    bucket.put("bad/c.parquet", "PAR1 but no more").await;
    let error = bucket.error("/bad", &[("schema", "v INT")]).await;
    assert_eq!(error.message, "s3://bucket/bad/c.parquet cannot be read as Parquet");
}

#[tokio::test]
async fn names_of_parquet_columns_do_not_differ_by_case() {
    let bucket = Bucket::new();
    let number = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    bucket.put("in/a.parquet", parquet(vec![("Id", number(1))])).await;
    bucket.put("in/b.parquet", parquet(vec![("x", number(9)), ("id", number(2))])).await;
    let outcome = bucket.select("/in", &[], "SELECT \"Id\", x FROM t ORDER BY 1").await.unwrap();
    assert_eq!(outcome.rows, ["1|NULL", "2|9"]);
    let declared = [("schema", "id BIGINT")];
    assert_eq!(bucket.select("/in", &declared, "SELECT sum(id) FROM t WHERE id > 0").await.unwrap().rows, ["3"]);
}

#[tokio::test]
async fn the_files_of_a_delta_table_are_refused() {
    let bucket = Bucket::new();
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    bucket.put("t/_delta_log/00000000000000000000.json", "{}").await;
    bucket.put("t/p=1/a.parquet", parquet(vec![("a", number.clone())])).await;
    bucket.put("plain/a.parquet", parquet(vec![("a", number)])).await;
    for path in ["/t", "/t/p=1", "/t/*/*.parquet", "/t/p=1/a.parquet", "/"] {
        let error = bucket.error(path, &[("format", "parquet")]).await;
        assert_eq!(
            error.message, "s3://bucket/t is a Delta table: its Parquet files also have the rows of old versions",
            "{path}"
        );
        assert_eq!(error.hint.as_deref(), Some("read it with FROM delta.`s3://bucket/t`"));
    }
    assert_eq!(bucket.rows("/plain", &[]).await.rows, ["1"]);
    assert_eq!(bucket.rows("/t/_delta_log/*.json", &[("schema", "a INT")]).await.rows, ["NULL"]);
}

#[tokio::test]
async fn the_files_of_a_dropped_table_are_refused() {
    let bucket = Bucket::new();
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    bucket.put("t/_dropped/00000000000000000001/_delta_log/00000000000000000000.json", "{}").await;
    bucket.put("t/a.parquet", parquet(vec![("a", number)])).await;
    for path in ["/t", "/t/*.parquet", "/t/a.parquet", "/"] {
        let error = bucket.error(path, &[("format", "parquet")]).await;
        assert!(error.message.starts_with("s3://bucket/t is a dropped Delta table"), "{path}: {}", error.message);
        assert_eq!(error.hint.as_deref(), Some("UNDROP TABLE brings it back"));
    }
}
