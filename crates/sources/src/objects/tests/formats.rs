//! CSV and Parquet.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt32Array};

use super::{Bucket, gzip};

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

#[tokio::test]
async fn csv_with_a_header_and_without() {
    let bucket = Bucket::new();
    bucket.put("in/a.csv", "n,s,t\n1,\"x, \"\"y\"\"\",2026-01-02 03:04:05\n").await;
    bucket.put("in/b.csv.gz", gzip("n,s,t\n2,,2026-01-02T03:04:05Z\n")).await;
    bucket.put("in/empty.csv", "").await;
    let outcome = bucket.rows("/in", &[("header", "true")]).await;
    assert_eq!(outcome.columns, "n BIGINT, s STRING, t TIMESTAMP");
    assert_eq!(outcome.rows, ["1|x, \"y\"|2026-01-02T03:04:05Z", "2|NULL|2026-01-02T03:04:05Z"]);

    bucket.put("bare/day=1/a.csv", "1;x\n2;y\n").await;
    let bare = bucket.rows("/bare", &[("sep", ";")]).await;
    assert_eq!(
        (bare.columns.as_str(), bare.rows.join(" ").as_str()),
        ("_c0 BIGINT, _c1 STRING, day INT", "1|x|1 2|y|1")
    );
    let sql = "SELECT s, n, _metadata.file_name, day FROM t ORDER BY n";
    let given = [("sep", ";"), ("schema", "day STRING, n INT, s STRING")];
    let outcome = bucket.select("/bare", &given, sql).await.unwrap();
    assert_eq!(outcome.rows, ["x|1|a.csv|1", "y|2|a.csv|1"]);
}

#[tokio::test]
async fn a_null_value_is_null_in_every_column() {
    let bucket = Bucket::new();
    bucket.put("day=1/a.csv", "n,s\n1,N/A+\nN/A+,x\n,N/A\n").await;
    let outcome = bucket.rows("/", &[("header", "true"), ("nullValue", "N/A+")]).await;
    assert_eq!(outcome.columns, "n BIGINT, s STRING, day INT");
    assert_eq!(outcome.rows, ["1|NULL|1", "NULL|N/A|1", "NULL|x|1"]);
    let sql = "SELECT _metadata.file_name, n FROM t WHERE s = 'x'";
    let options = [("header", "true"), ("nullValue", "N/A+"), ("schema", "n INT, s STRING")];
    assert_eq!(bucket.select("/", &options, sql).await.unwrap().rows, ["a.csv|NULL"]);
}

#[tokio::test]
async fn an_error_names_the_bad_csv_file() {
    let bucket = Bucket::new();
    bucket.put("in/good.csv", "1\n").await;
    bucket.put("in/wrong.csv", "2\nx\n").await;
    let error = bucket.error("/in", &[("schema", "n INT")]).await;
    assert_eq!(error.message, "s3://bucket/in/wrong.csv cannot be read as CSV");
    let error = bucket.error("/in", &[("schema", "n ARRAY<INT>")]).await;
    assert_eq!(error.message, "the column `n` is ARRAY<INT>, which CSV cannot contain");
    let error = bucket.error("/in", &[("mode", "PERMISSIVE")]).await;
    assert_eq!(error.message, "the option mode => 'PERMISSIVE' or 'DROPMALFORMED' is not implemented for csv");
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
