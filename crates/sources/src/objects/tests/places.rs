//! For every way to cut the objects, a scan that keeps positions finds each record with its line and its bytes.

use std::collections::BTreeMap;

use super::{Bucket, call, gzip, unwrap_external};
use crate::objects::{ScanObjects, SourceEnvironment, keeping_places, plan_scan};
use pinsql_base::rejects::Rejects;

/// The bytes of each record, by object and line.
async fn found(bucket: &Bucket, options: &[(&str, &str)]) -> BTreeMap<(String, String), Vec<String>> {
    let context = bucket.context();
    let (rejects, _receiver) = Rejects::channel();
    let mut environment = SourceEnvironment::new(context.state(), rejects.clone());
    environment.limits = bucket.limits;
    environment.packing.split_bytes_min = bucket.split_bytes;
    let table = plan_scan(call("s3://bucket/in", options, ""), ScanObjects::Matching, &environment).await.unwrap();
    let kept = keeping_places(table.as_ref(), &rejects).unwrap();
    let frame = context.read_table(kept.table).unwrap();
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for batch in frame.collect().await.map_err(unwrap_external).unwrap() {
        assert_eq!(batch.num_columns(), 1 + kept.columns);
        for row in 0..batch.num_rows() {
            let origin = kept.places.of(&batch, row).await.unwrap();
            let raw = String::from_utf8(origin.raw.to_vec()).unwrap();
            found.entry((origin.source, origin.position)).or_default().push(raw);
        }
    }
    found
}

#[tokio::test]
async fn every_record_is_found_again() {
    let mut content = String::from("\u{feff}");
    let mut expected = BTreeMap::new();
    let mut line = 0;
    let mut push = |content: &mut String, text: String, is_record: bool| {
        line += 1;
        content.push_str(&text);
        content.push('\n');
        if is_record {
            expected.insert(("s3://bucket/in/a.json".to_owned(), format!("line {line}")), vec![text]);
        }
    };
    for number in 0..60 {
        push(&mut content, format!("{{\"a\": {number}, \"b\": \"{}\"}}", "é".repeat(number * 7 % 23)), true);
        if number % 7 == 0 {
            push(&mut content, "  ".to_owned(), false);
            push(&mut content, "bad".to_owned(), false);
        }
    }
    expected.insert(("s3://bucket/in/b.json.gz".to_owned(), "line 1".to_owned()), vec!["{\"a\":1}".to_owned()]);
    for (split_bytes, block_bytes, batch_rows) in [(3, 2, 1), (64, 7, 3), (100, 1000, 20), (1 << 20, 16, 8192)] {
        let bucket = Bucket::new().with_tiny_units(split_bytes, block_bytes, batch_rows);
        bucket.put("in/a.json", &content).await;
        bucket.put("in/b.json.gz", gzip("{\"a\":1}\n")).await;
        assert_eq!(found(&bucket, &[("schema", "a INT")]).await, expected, "{split_bytes} {block_bytes} {batch_rows}");
    }
}

#[tokio::test]
async fn a_record_with_many_rows_is_kept_once_and_found_for_each_row() {
    let bucket = Bucket::new();
    bucket.put("in/a.json", "[{\"a\":1},{\"a\":2}]\n{\"a\":3}\n").await;
    let found: Vec<_> = found(&bucket, &[("schema", "a INT")]).await.into_values().collect();
    assert_eq!(found, [vec!["[{\"a\":1},{\"a\":2}]"; 2], vec!["{\"a\":3}"]]);
}
