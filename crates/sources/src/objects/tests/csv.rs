//! CSV: columns, bad records, modes, and what the first records show.

use super::{Bucket, gzip};

/// The rows, and the rejects as `position: reason`.
async fn read(content: &str, options: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let bucket = Bucket::new();
    bucket.put("in/a.csv", content).await;
    let outcome = bucket.rows("/in", options).await;
    assert_eq!(outcome.rows.len() + outcome.rejected + outcome.dropped, outcome.read);
    let rejects =
        outcome.rejects.iter().map(|reject| format!("{}: {}", reject.position, reject.fault.reason)).collect();
    (outcome.rows, rejects)
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
async fn a_bad_record_is_rejected_alone() {
    let header = ("header", "true");
    let (rows, rejects) = read("id,a,b\n1,x,y\n2,x\n\n   \n3,x,y,z\n4,\"q\"r,y\n5,x,y\n", &[header]).await;
    assert_eq!(rows, ["1|x|y", "5|x|y"]);
    let expected = [
        "line 3: expected 3 fields, found 2",
        "line 6: expected 3 fields, found 4",
        "line 7: byte 5: text follows the closing quote of a value",
    ];
    assert_eq!(rejects, expected);
    let (rows, rejects) = read("n\n1\nx\n2\n", &[header, ("schema", "n INT")]).await;
    assert_eq!(
        (rows.join(" ").as_str(), rejects),
        ("1 2", vec!["line 3: expected INT for `n`, found the text \"x\"".to_owned()])
    );

    let bucket = Bucket::new();
    bucket.put("in/a.csv", b"a,b\n1,\xff\n2,x\n").await;
    let outcome = bucket.rows("/in", &[header]).await;
    assert_eq!((outcome.rows.join(" ").as_str(), outcome.rejects[0].raw.as_ref()), ("2|x", &b"1,\xff"[..]));
    let error = bucket.error("/in", &[("schema", "n ARRAY<INT>")]).await;
    assert_eq!(error.message, "the column `n` is ARRAY<INT>, which CSV cannot contain");
}

#[tokio::test]
async fn the_modes_work_as_in_spark() {
    let content = "a,b\n1,x\ny,z\n3\n";
    let (header, schema) = (("header", "true"), ("schema", "a INT, b STRING, _corrupt_record STRING"));
    let (rows, _) = read(content, &[header, schema, ("mode", "PERMISSIVE")]).await;
    assert_eq!(rows, ["1|x|NULL", "3|NULL|3", "NULL|z|y,z"]);
    let schema = ("schema", "a INT, b STRING");
    assert_eq!(read(content, &[header, schema, ("mode", "DROPMALFORMED")]).await.0, ["1|x"]);
    let bucket = Bucket::new();
    bucket.put("in/a.csv", content).await;
    let error = bucket.error("/in", &[header, schema, ("mode", "FAILFAST")]).await;
    assert_eq!(error.message, "s3://bucket/in/a.csv, line 3: expected INT for `a`, found the text \"y\"");
    let rescued = [header, schema, ("rescuedDataColumn", "_rescued")];
    let (rows, rejects) = read("b,a,c\nx,1,2\ny,z,\n", &rescued).await;
    let expected = [
        r#"1|x|{"c":"2","_file_path":"s3://bucket/in/a.csv"}"#,
        r#"NULL|y|{"a":"z","_file_path":"s3://bucket/in/a.csv"}"#,
    ];
    assert_eq!((rows, rejects.len()), (expected.map(str::to_owned).to_vec(), 0));
}

#[tokio::test]
async fn columns_are_those_of_the_header() {
    let bucket = Bucket::new();
    bucket.put("in/a.csv", "id,name\n1,x\n").await;
    bucket.put("in/b.csv", "NAME,id,more\ny,2,z\n").await;
    let outcome = bucket.rows("/in", &[("header", "true")]).await;
    assert_eq!(outcome.columns, "id BIGINT, name STRING, more STRING");
    assert_eq!(outcome.rows, ["1|x|NULL", "2|y|z"]);
    let declared = [("header", "true"), ("schema", "name STRING, id STRING")];
    assert_eq!(bucket.rows("/in", &declared).await.rows, ["x|1", "y|2"]);
    // As many columns with other names are new names for them.
    let renamed = [("header", "true"), ("schema", "a INT, b STRING")];
    assert_eq!(bucket.rows("/in/a.csv", &renamed).await.rows, ["1|x"]);
    let unrelated = bucket.rows("/in/b.csv", &renamed).await;
    assert_eq!(unrelated.rejects[0].fault.reason, "the header has none of the columns: it has NAME, id, more");
    let partly = bucket.rows("/in/a.csv", &[("header", "true"), ("schema", "id INT, title STRING")]).await;
    assert_eq!(
        (partly.rows, partly.notices),
        (vec!["1|NULL".to_owned()], vec!["s3://bucket/in/a.csv: the header has no title, so it is NULL".to_owned()],)
    );
    bucket.put("twice/a.csv", "id,id,ID\n1,2,3\n").await;
    let outcome = bucket.rows("/twice", &[("header", "true")]).await;
    assert_eq!((outcome.columns.as_str(), outcome.rows[0].as_str()), ("id0 BIGINT, id1 BIGINT, ID2 BIGINT", "1|2|3"));
}

#[tokio::test]
async fn quotes_and_escapes_are_those_of_spark() {
    let header = ("header", "true");
    let (rows, _) = read("id,t,u\n1,\"a \\\"b\\\" c\",x\n2,\"say \\\"hi\\\", ok\",y\n", &[header]).await;
    assert_eq!(rows, ["1|a \"b\" c|x", "2|say \"hi\", ok|y"]);
    let (rows, _) = read("t,u\n\"C:\\\",x\n", &[header, ("escape", "\"")]).await;
    assert_eq!(rows, ["C:\\|x"]);
    let (rows, _) = read("t,u\n'a,b',\"x\n", &[header, ("quote", "'")]).await;
    assert_eq!(rows, ["a,b|\"x"]);
    let (rows, _) = read("# c\nt,u\n#x,y\n1,2\n", &[header, ("comment", "#")]).await;
    assert_eq!(rows, ["1|2"]);
}

#[tokio::test]
async fn the_first_records_show_the_delimiter_and_the_header() {
    let check = |content: &'static str, columns: &'static str, count: usize| async move {
        let bucket = Bucket::new();
        bucket.put("in/a.csv", content).await;
        let outcome = bucket.rows("/in", &[]).await;
        assert_eq!((outcome.columns.as_str(), outcome.rows.len()), (columns, count), "{content}");
        outcome.notices
    };
    assert!(check("id;name\n1;x\n2;y\n", "id BIGINT, name STRING", 2).await.is_empty());
    assert!(check("1\tx\n2\ty\n", "_c0 BIGINT, _c1 STRING", 2).await.is_empty());
    assert_eq!(check("city,country\nParis,France\n", "_c0 STRING, _c1 STRING", 2).await.len(), 1);
    assert!(check("one line\n", "_c0 STRING", 1).await.is_empty());
    let (rows, _) = read("name|id\nx|1\ny|2\n", &[("schema", "id INT, name STRING")]).await;
    assert_eq!(rows, ["1|x", "2|y"]);
}

/// A file means the same, whatever its size and the number of threads.
#[tokio::test]
async fn a_quoted_value_with_line_ends_is_never_cut() {
    let record = |number| format!("{number},\"line one\nline, {number}\n{number},fake\"\n");
    let content = ["id,t\n".to_owned(), (0..50).map(record).collect()].concat();
    for (partitions, split_bytes, block_bytes) in [(1, 1 << 20, 1 << 20), (2, 1, 1), (8, 10, 7), (3, 100, 1000)] {
        let bucket = Bucket::new().with_partitions(partitions).with_tiny_units(split_bytes, block_bytes, 7);
        bucket.put("in/a.csv", &content).await;
        bucket.put("in/b.csv.gz", gzip(&content)).await;
        let sql = "SELECT count(*), count(DISTINCT id), min(length(t)), max(length(t)) FROM t";
        let outcome = bucket.select("/in", &[("header", "true")], sql).await.unwrap();
        assert_eq!((outcome.rows[0].as_str(), outcome.rejected), ("100|50|23|25", 0), "{partitions} {split_bytes}");
    }
}

/// With `multiLine => false` each line is a record, as in Spark, so a file can be cut.
#[tokio::test]
async fn lines_are_records_without_multi_line() {
    let content: String = (0..200).map(|number| format!("{number},text {number}\r\n")).collect();
    let content = format!("id,t\r\n{content}200,\"a\r\nb\"\r\n");
    for (partitions, split_bytes, block_bytes) in [(1, 1 << 20, 1 << 20), (4, 1, 1), (4, 64, 7), (3, 100, 1000)] {
        let bucket = Bucket::new().with_partitions(partitions).with_tiny_units(split_bytes, block_bytes, 7);
        bucket.put("in/a.csv", &content).await;
        let options = [("header", "true"), ("multiLine", "false")];
        let outcome = bucket.rows("/in", &options).await;
        assert_eq!(outcome.rows.len(), 200, "{partitions} {split_bytes}");
        let rejects: Vec<_> = outcome.rejects.iter().map(|reject| reject.position.as_str()).collect();
        assert_eq!(rejects, ["line 202", "line 203"], "{partitions} {split_bytes}");
    }
}
