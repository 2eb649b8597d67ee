//! The objects of a path, in local folders and in a bucket.

use super::{Bucket, context, lines, select};
use pinsql_base::error::ErrorKind;

const A: (&str, &str) = ("schema", "a INT");

async fn bucket() -> Bucket {
    let bucket = Bucket::new();
    bucket.put("topics/u.pin/partition=0/u+0+1.json", "{\"a\":1}").await;
    bucket.put("topics/u.pin/partition=0/u+0+2.json", "{\"a\":2}").await;
    bucket.put("topics/u.pin/partition=1/u+1+1.json", "{\"a\":3}").await;
    bucket.put("topics/u.geo/partition=0/u+0+1.json", "{\"a\":4}").await;
    bucket.put("topics/u.pin/_SUCCESS", "").await;
    bucket.put("topics/u.pin/.hidden/x.json", "{\"a\":5}").await;
    bucket.put("topics/u.pin/partition=0/_x.json", "{\"a\":6}").await;
    bucket.put("topics/u.pin/partition=0/notes.txt", "{\"a\":7}").await;
    bucket
}

#[tokio::test]
async fn files_folders_and_patterns() {
    let bucket = bucket().await;
    for (path, options, expected) in [
        ("/topics/u.pin/partition=0/u+0+1.json", &[][..], "1"),
        ("/topics/u.pin", &[("pathGlobFilter", "*.json")], "1 2 3"),
        ("/topics/u.pin/", &[("pathGlobFilter", "u+0+*")], "1 2"),
        ("/topics/*.pin/partition=*/*.json", &[], "1 2 3"),
        ("/topics/*/partition=0/*.json", &[], "1 2 4"),
        ("/topics/*.pin/*.json", &[("pathGlobFilter", "*")], ""),
        ("/topics/u.{pin,geo}/partition=[1-9]", &[], "3"),
        ("/topics/u.???/partition=0/_x.json", &[], "6"),
        ("/topics/u.pin/.*/x.json", &[], "5"),
        ("/topics/u.pin", &[("recursiveFileLookup", "false"), ("pathGlobFilter", "*.json")], "1 2 3"),
        ("/topics", &[("recursiveFileLookup", "false"), ("pathGlobFilter", "*.json")], ""),
    ] {
        let mut all = options.to_vec();
        all.push(A);
        if expected.is_empty() {
            assert_eq!(bucket.error(path, &all).await.kind(), ErrorKind::Data, "{path}");
        } else {
            assert_eq!(bucket.rows(path, &all).await.rows.join(" "), expected, "{path}");
        }
    }
}

#[tokio::test]
async fn the_error_without_objects_names_existing_ones() {
    let bucket = bucket().await;
    let error = bucket.error("/topics/u.pim/partition=*/*.json", &[A]).await;
    assert_eq!(error.message, "no file matches s3://bucket/topics/u.pim/partition=*/*.json");
    assert_eq!(
        error.hint.as_deref(),
        Some("the nearest folder that exists is s3://bucket/topics; it has u.geo/, u.pin/")
    );
    let error = bucket.error("/topics", &[A, ("modifiedBefore", "2001-01-01T00:00:00Z")]).await;
    assert_eq!(
        error.hint.as_deref(),
        Some("5 do, but pathGlobFilter, modifiedAfter and modifiedBefore leave none of them")
    );
    let error = bucket.error("gs://other/x.json", &[A]).await;
    assert_eq!((error.kind(), error.message.as_str()), (ErrorKind::Config, "no storage is set up for gs://other/"));
}

#[tokio::test]
async fn the_format_comes_from_names_or_from_the_option() {
    let bucket = bucket().await;
    let error = bucket.error("/topics/u.pin", &[A]).await;
    assert_eq!(error.message, "the name notes.txt does not show its format");
    assert_eq!(bucket.rows("/topics/u.pin", &[A, ("format", "json")]).await.rows, ["1", "2", "3", "7"]);
    bucket.put("mixed/a.json", "{}").await;
    bucket.put("mixed/b.csv", "1").await;
    let error = bucket.error("/mixed", &[A]).await;
    assert_eq!(error.message, "the files are of several formats: a.json is json, b.csv is csv");
    bucket.put("odd/a.json.lz4", "{}").await;
    let error = bucket.error("/odd", &[A]).await;
    assert_eq!(error.message, "a.json.lz4 is compressed in a way that is not supported (.lz4)");
}

#[tokio::test]
async fn partition_folders_become_columns() {
    let bucket = bucket().await;
    let path = "/topics/*.pin/partition=*/*.json";
    let inferred = bucket.rows(path, &[]).await;
    assert_eq!(
        (inferred.columns.as_str(), inferred.rows.join(" ").as_str()),
        ("a BIGINT, partition INT", "1|0 2|0 3|1")
    );
    assert_eq!(bucket.rows(path, &[("partitionColumns", "")]).await.columns, "a BIGINT");
    assert_eq!(bucket.rows(path, &[A]).await.columns, "a INT");
    let given = bucket.rows(path, &[("schema", "Partition STRING, a INT")]).await;
    assert_eq!(given.rows.join(" "), "0|1 0|2 1|3");
    bucket.put("days/day=2026-01-01/a b.json", "{\"a\":1}").await;
    bucket.put("days/day=__HIVE_DEFAULT_PARTITION__/name=x%2Fy/a.json", "{\"a\":2}").await;
    let days = bucket.rows("/days", &[]).await;
    assert_eq!(
        (days.columns.as_str(), days.rows.join(" ").as_str()),
        ("a BIGINT, day DATE, name STRING", "1|2026-01-01|NULL 2|NULL|x/y")
    );
}

#[tokio::test]
async fn metadata_has_the_object_of_each_row() {
    let bucket = Bucket::new().with_partitions(1);
    bucket.put("in/a.json", lines(0..2)).await;
    bucket.put("in/b.json", lines(2..3)).await;
    let sql = "SELECT a, _metadata.file_path, _metadata.file_name, _metadata.file_size, _metadata.file_block_start,
               _metadata.file_block_length, _metadata.file_modification_time > TIMESTAMP '2020-01-01T00:00:00Z'
               FROM t ORDER BY a";
    let outcome = bucket.select("/in", &[A], sql).await.unwrap();
    assert_eq!(
        outcome.rows,
        [
            "0|s3://bucket/in/a.json|a.json|42|0|42|true",
            "1|s3://bucket/in/a.json|a.json|42|0|42|true",
            "2|s3://bucket/in/b.json|b.json|21|0|21|true",
        ]
    );
    let only = bucket.select("/in", &[A], "SELECT DISTINCT _metadata.file_name FROM t").await.unwrap();
    assert_eq!((only.rows.len(), only.read), (2, 3));
}

#[tokio::test]
async fn local_folders() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("in/deep er")).unwrap();
    std::fs::write(root.join("in/deep er/ä 100%.json"), "{\"a\":1}\nbad").unwrap();
    std::fs::write(root.join("in/b.json"), "{\"a\":2}").unwrap();
    let root = root.to_str().unwrap();
    let context = context(2, 8192);
    let sql = "SELECT a, _metadata.file_path FROM t ORDER BY a";
    for path in [format!("{root}/in"), format!("file://{root}/in/"), format!("{root}/./x/../in/**/*.json")] {
        let outcome = select(&context, &path, &[A], sql, |_| {}).await.unwrap();
        assert_eq!(
            outcome.rows,
            [format!("1|file://{root}/in/deep er/ä 100%.json"), format!("2|file://{root}/in/b.json")]
        );
        assert_eq!(outcome.rejects[0].source, format!("{root}/in/deep er/ä 100%.json"));
    }
    let error = select(&context, &format!("{root}/inn/*.json"), &[A], sql, |_| {}).await.unwrap_err();
    assert_eq!(error.hint, Some(format!("the nearest folder that exists is {root}; it has in/")));
    let error = select(&context, &format!("{root}/in/b.json/x"), &[A], sql, |_| {}).await.unwrap_err();
    assert_eq!(error.message, format!("cannot read {root}/in/b.json/x: a part of the path is a file, not a folder"));
}

#[tokio::test]
async fn a_condition_on_folders_leaves_out_their_objects() {
    let bucket = Bucket::new();
    for day in 1..=9 {
        bucket.put(&format!("in/dt=2024-01-0{day}/a.json"), format!("{{\"a\":{day}}}\n")).await;
    }
    let options = [("schema", "a INT, dt DATE")];
    let sql = "SELECT a FROM t WHERE dt = DATE '2024-01-05' AND a > 0";
    let outcome = bucket.select("/in", &options, sql).await.unwrap();
    assert_eq!((outcome.rows, outcome.read), (vec!["5".to_owned()], 1));
    assert!(outcome.plan.contains("objects=1"), "{}", outcome.plan);
    let none = bucket.select("/in", &options, "SELECT a FROM t WHERE dt < DATE '2024-01-01'").await.unwrap();
    assert_eq!((none.rows.len(), none.read), (0, 0));
    let sql = "SELECT a FROM t WHERE dt = DATE '2024-01-05' OR a = 1 ORDER BY a";
    let either = bucket.select("/in", &options, sql).await.unwrap();
    assert_eq!((either.rows.join(" ").as_str(), either.read), ("1 5", 9));
}
