//! The handling of good and bad records in each mode.

use super::{Bucket, gzip, lines, zstd};
use pinsql_base::error::ErrorKind;

const SCHEMA: (&str, &str) = ("schema", "a INT, b STRING");

fn place(reject: &pinsql_base::rejects::Reject) -> String {
    format!("{} {}", reject.source, reject.position)
}

#[tokio::test]
async fn good_records_in_every_form_become_rows() {
    let bucket = Bucket::new();
    bucket.put("in/plain.json", lines(0..2)).await;
    bucket.put("in/packed.json.gz", gzip(lines(2..4))).await;
    bucket.put("in/packed.json.gzip", [gzip(lines(4..5)), gzip(lines(5..6))].concat()).await;
    bucket.put("in/packed.json.zst", [zstd(lines(6..7)), zstd(lines(7..8))].concat()).await;
    bucket.put("in/crlf.json", "\u{feff}{\"a\":8,\"b\":\"text 8\"}\r\n\r\n{\"a\":9,\"b\":\"text 9\"}").await;
    bucket.put("in/empty.json", "").await;
    bucket.put("in/blank.json", " \n\r\n\t").await;
    bucket.put("in/empty.json.gz", gzip("")).await;
    let outcome = bucket.rows("/in", &[SCHEMA]).await;
    let expected: Vec<String> = (0..10).map(|number| format!("{number}|text {number}")).collect();
    assert_eq!(outcome.rows, expected);
    assert_eq!((outcome.read, outcome.rejected), (10, 0));
    assert!(outcome.rejects.is_empty());
}

#[tokio::test]
async fn a_bad_record_does_not_affect_other_records() {
    let bucket = Bucket::new();
    bucket.put("in/a.json", "{\"a\":1}\n{\"a\":\"x\"}\n{\"a\":2}\n{bad\n{\"a\":3}\n{\"a\":").await;
    bucket.put("in/b.json", b"{\"a\":4,\"b\":\"\xff\"}\n{\"a\":99999999999}\n{\"a\":5}").await;
    let outcome = bucket.rows("/in/*.json", &[SCHEMA]).await;
    assert_eq!(outcome.rows, ["1|NULL", "2|NULL", "3|NULL", "5|NULL"]);
    let places: Vec<_> = outcome.rejects.iter().map(place).collect();
    assert_eq!(
        places,
        [
            "s3://bucket/in/a.json line 2",
            "s3://bucket/in/a.json line 4",
            "s3://bucket/in/a.json line 6",
            "s3://bucket/in/b.json line 1",
            "s3://bucket/in/b.json line 2",
        ]
    );
    assert_eq!(outcome.rejects[0].raw.as_ref(), b"{\"a\":\"x\"}");
    assert_eq!(outcome.rejects[2].raw.as_ref(), b"{\"a\":");
    assert_eq!(outcome.rejects[3].raw.as_ref(), b"{\"a\":4,\"b\":\"\xff\"}");
    assert!(outcome.rejects.iter().all(|reject| !reject.fault.reason.is_empty()), "{:?}", outcome.rejects);
    assert_eq!((outcome.read, outcome.rejected, outcome.dropped), (9, 5, 0));
}

#[tokio::test]
async fn the_modes_work_as_in_spark() {
    let bucket = Bucket::new();
    bucket.put("in/a.json", "{\"a\":1,\"b\":\"x\"}\n{\"a\":\"x\",\"b\":\"y\"}\n{bad\n{\"a\":2}\n").await;
    let dropped = bucket.rows("/in", &[SCHEMA, ("mode", "DROPMALFORMED")]).await;
    assert_eq!(dropped.rows, ["1|x", "2|NULL"]);
    assert_eq!((dropped.read, dropped.rejected, dropped.dropped), (4, 0, 2));

    let schema = ("schema", "a INT, b STRING, _corrupt_record STRING");
    let permissive = bucket.rows("/in", &[schema, ("mode", "permissive")]).await;
    assert_eq!(permissive.rows, ["1|x|NULL", "2|NULL|NULL", "NULL|NULL|{bad", "NULL|y|{\"a\":\"x\",\"b\":\"y\"}"]);
    assert_eq!((permissive.read, permissive.rejected, permissive.dropped), (4, 0, 0));

    let error = bucket.error("/in", &[SCHEMA, ("mode", "FAILFAST")]).await;
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message.starts_with("s3://bucket/in/a.json, line 2: "), "{}", error.message);
}

#[tokio::test]
async fn truncated_content_is_one_reject_and_other_objects_are_read() {
    let packed = gzip(lines(0..20_000));
    let whole_zstd = zstd(lines(30_000..40_000));
    // Decompressed on the decoding thread, and on a separate thread.
    for bucket in [Bucket::new(), Bucket::new().with_tiny_units(1 << 20, 1000, 8192)] {
        bucket.put("in/a.json.gz", &packed[..packed.len() / 2]).await;
        bucket.put("in/b.json", lines(50_000..50_001)).await;
        bucket.put("in/c.json.gz", "not gzip at all").await;
        bucket.put("in/d.json.zst", &whole_zstd[..whole_zstd.len() - 3]).await;
        let outcome = bucket.rows("/in", &[SCHEMA]).await;
        let reasons: Vec<_> = outcome.rejects.iter().map(|reject| reject.fault.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "the gzip data ends too early (truncated?)",
                "the file is not gzip data, as its name says",
                "the zstd data ends too early (truncated?)",
            ]
        );
        assert!(outcome.rejects[0].raw.starts_with(b"{\"a\":"), "{:?}", outcome.rejects[0]);
        let good = outcome.rejects[0].position.strip_prefix("line ").unwrap().parse::<usize>().unwrap() - 1;
        assert!(good > 1_000, "only {good} records came before the tear");
        assert!(outcome.rows.contains(&format!("{0}|text {0}", good - 1)));
        assert!(!outcome.rows.contains(&format!("{good}|text {good}")));
        assert!(outcome.rows.contains(&"50000|text 50000".to_owned()));
        assert_eq!(outcome.rows.len() + outcome.rejects.len(), outcome.read);

        let error = bucket.error("/in/a.json.gz", &[SCHEMA, ("mode", "PERMISSIVE")]).await;
        assert!(error.message.ends_with("the gzip data ends too early (truncated?)"), "{}", error.message);
    }
}

#[tokio::test]
async fn a_storage_that_fails_or_changes_fails_the_statement() {
    for (change, message) in
        [(Some("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n"), "it changed while it was being read"), (None, "it does not exist")]
    {
        let bucket = Bucket::new().with_tiny_units(4, 4, 10);
        bucket.put("in/a.json", "{\"a\":0}\n{\"a\":0}\n{\"a\":0}\n").await;
        let error = bucket.select_after("/in", &[SCHEMA], change).await.unwrap_err();
        assert_eq!(error.message, format!("cannot read s3://bucket/in/a.json: {message}"));
    }
}

/// If an object became shorter after the listing, rows would be lost without notice.
#[tokio::test]
async fn a_small_object_that_became_shorter_fails_the_statement() {
    let bucket = Bucket::new();
    bucket.put("in/a.json", "{\"a\":0}\n{\"a\":0}\n").await;
    let error = bucket.select_after("/in", &[SCHEMA], Some("{\"a\":0}\n")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Service);
    assert_eq!(error.message, "cannot read s3://bucket/in/a.json: got 8 bytes, expected 16");
    let longer = bucket.select_after("/in", &[SCHEMA], Some("{\"a\":0}\n{\"a\":0}\n{\"a\":0}\n")).await;
    assert!(longer.is_ok(), "as a whole it is of one moment: {longer:?}");
}

#[tokio::test]
async fn the_reject_of_an_array_over_several_lines_names_multi_line() {
    const ADVICE: &str = "an array over several lines needs multiLine => true";
    let bucket = Bucket::new();
    let array = "[\n  {\"a\":1},\n  {\"a\":2}\n]\n";
    bucket.put("in/bracket.json", array).await;
    bucket.put("in/element.json", "[{\"a\":3},\n{\"a\":4}]").await;
    bucket.put("in/string.json", "  [{\"a\":5,\"b\":\"x\n").await;
    bucket.put("in/truncated.json", "{\"b\":\"[\n[1,2\"\n[3}").await;
    let outcome = bucket.rows("/in", &[SCHEMA]).await;
    let advised: Vec<_> =
        outcome.rejects.iter().filter(|reject| reject.fault.reason.ends_with(ADVICE)).map(place).collect();
    assert_eq!(
        advised,
        [
            "s3://bucket/in/bracket.json line 1",
            "s3://bucket/in/element.json line 1",
            "s3://bucket/in/string.json line 1"
        ]
    );
    let multi_line = bucket.rows("/in/bracket.json", &[SCHEMA, ("multiLine", "true")]).await;
    assert_eq!((multi_line.rows.len(), multi_line.rejected), (2, 0));
}

#[tokio::test]
async fn a_record_of_many_megabytes_is_a_row() {
    let bucket = Bucket::new().with_partitions(2);
    let long = format!("{{\"a\":1,\"b\":\"{}\"}}\n{{\"a\":2}}\n", "x".repeat(64 << 20));
    bucket.put("in/a.json", &long).await;
    bucket.put("in/b.json.gz", gzip(&long)).await;
    let outcome = bucket.select("/in", &[SCHEMA], "SELECT a, length(b) FROM t ORDER BY a").await.unwrap();
    assert_eq!(outcome.rows, ["1|67108864", "1|67108864", "2|NULL", "2|NULL"]);
}

#[tokio::test]
async fn documents_may_span_lines() {
    let bucket = Bucket::new();
    bucket.put("in/array.json", "[\n  {\"a\": 1},\n  {\"a\":\n 2},\n {\"a\": \"x\"}\n]").await;
    bucket.put("in/object.json", "{\n\"a\": 3\n}\n").await;
    let outcome = bucket.rows("/in", &[SCHEMA, ("multiLine", "true")]).await;
    assert_eq!(outcome.rows, ["1|NULL", "2|NULL", "3|NULL"]);
    assert_eq!(outcome.rejects.len(), 1);
    // Without the option, each line is read as an object, and an array on one line gives a row for each element.
    bucket.put("line/a.json", "[{\"a\":1},{\"a\":2}]\n{\"a\":3}\n").await;
    let outcome = bucket.rows("/line", &[SCHEMA]).await;
    assert_eq!((outcome.rows.len(), outcome.read), (3, 3));
}

#[tokio::test]
async fn fields_that_are_not_selected_are_not_checked() {
    let bucket = Bucket::new();
    bucket.put("in/a.json", "{\"a\":\"wrong\",\"b\":\"x\"}\n{\"a\":1,\"b\":\"y\"}\n").await;
    let one = bucket.select("/in", &[SCHEMA], "SELECT b FROM t").await.unwrap();
    assert_eq!((one.rows.len(), one.rejected), (2, 0));
    let none = bucket.select("/in", &[SCHEMA], "SELECT count(*) FROM t").await.unwrap();
    assert_eq!((none.rows[0].as_str(), none.read), ("2", 2));
    let both = bucket.select("/in", &[SCHEMA], "SELECT b, a + 1, b AS c FROM t").await.unwrap();
    assert_eq!((both.rows, both.rejected), (vec!["y|2|y".to_owned()], 1));
    assert!(both.plan.contains("projection=[a, b], file_type=json, objects=1, bytes=38"), "{}", both.plan);
}

#[tokio::test]
async fn a_schema_is_inferred_by_sparks_rules() {
    let bucket = Bucket::new();
    bucket.put("in/a.json", "{\"n\":1,\"f\":1,\"s\":\"x\",\"o\":{\"y\":true,\"x\":null}}\n{bad\n").await;
    bucket.put("in/b.json.gz", gzip("{\"n\":2,\"f\":1.5,\"l\":[1,2.5]}")).await;
    let outcome = bucket.rows("/in", &[]).await;
    assert_eq!(outcome.columns, "f DOUBLE, l ARRAY<DOUBLE>, n BIGINT, o STRUCT<x: STRING, y: BOOLEAN>, s STRING");
    assert_eq!((outcome.rows.len(), outcome.rejected), (2, 1));
    let hinted = bucket.rows("/in", &[("schemaHints", "N INT, z DATE")]).await;
    assert!(hinted.columns.contains("n INT, ") && hinted.columns.ends_with(", z DATE"), "{}", hinted.columns);
    let permissive = bucket.rows("/in", &[("mode", "PERMISSIVE")]).await;
    assert!(permissive.columns.starts_with("_corrupt_record STRING, f "), "{}", permissive.columns);
    assert_eq!((permissive.rows.len(), permissive.rejected), (3, 0));

    bucket.put("bad/a.json", "[\n{\"a\":1}\n]").await;
    bucket.put("none/a.json", " \n").await;
    let error = bucket.error("/none", &[]).await;
    assert_eq!(error.message, "no schema can be inferred: the one object has no record with a field");
}

#[tokio::test]
async fn content_that_is_not_text_is_named() {
    let bucket = Bucket::new();
    bucket.put("in/a.json", gzip(lines(0..3))).await;
    bucket.put("in/b.json", lines(3..4)).await;
    let utf16: Vec<u8> = "\u{feff}{\"a\":1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bucket.put("in/c.json", utf16).await;
    let outcome = bucket.rows("/in", &[SCHEMA]).await;
    assert_eq!(outcome.rows, ["3|text 3"]);
    let reasons: Vec<_> = outcome.rejects.iter().map(|reject| reject.fault.reason.as_str()).collect();
    let expected =
        ["the file is gzip data; its name does not end with .gz", "the file is text in UTF-16; only UTF-8 is read"];
    assert_eq!(reasons, expected);
    let error = bucket.error("/in/a.json", &[]).await;
    assert_eq!(
        error.message,
        "no schema can be inferred: s3://bucket/in/a.json: the file is gzip data; its name does not end with .gz"
    );
}

#[tokio::test]
async fn sparks_grammar_is_the_default() {
    let bucket = Bucket::new();
    bucket.put("in/a.json", "{\"v\":NaN}\n{'v':1.5}\n{\"v\":-Infinity}\n\u{feff}{\"v\":2}\n{v:3}\n").await;
    for options in [&[("schema", "v DOUBLE")][..], &[]] {
        let outcome = bucket.rows("/in", options).await;
        assert_eq!((outcome.columns.as_str(), outcome.rejected), ("v DOUBLE", 1));
        assert_eq!(outcome.rows, ["-inf", "1.5", "2.0", "NaN"]);
    }
    let outcome = bucket.rows("/in", &[("allowUnquotedFieldNames", "true")]).await;
    assert_eq!((outcome.rows.len(), outcome.rejected), (5, 0));
    let strict = [("allowNonNumericNumbers", "false"), ("allowSingleQuotes", "false")];
    let outcome = bucket.rows("/in", &strict).await;
    assert_eq!((outcome.rows, outcome.rejected), (vec!["2".to_owned()], 4));
    bucket.put("comments/a.json", "/* [ */ [ // one {\n {'v': '}'}, /* two */ {'v': 2} ]").await;
    let outcome = bucket.rows("/comments", &[("multiLine", "true"), ("allowComments", "true")]).await;
    assert_eq!((outcome.rows, outcome.rejected), (vec!["2".to_owned(), "}".to_owned()], 0));
}

#[tokio::test]
async fn names_that_differ_in_case_are_one_column() {
    let bucket = Bucket::new();
    bucket.put("in/a.json", "{\"n\":1,\"Image\":\"a\"}\n").await;
    bucket.put("in/b.json", "{\"n\":2,\"image\":\"b\"}\n").await;
    let outcome = bucket.rows("/in", &[]).await;
    assert_eq!((outcome.columns.as_str(), outcome.rows.join(" ").as_str()), ("Image STRING, n BIGINT", "a|1 b|2"));
    let outcome = bucket.rows("/in", &[("schema", "IMAGE STRING")]).await;
    assert_eq!(outcome.rows, ["a", "b"]);
}

/// A sample of 64 KiB does not have the last field.
#[tokio::test]
async fn fields_that_appear_after_the_sample_are_reported() {
    let bucket = Bucket::new().with_partitions(2);
    let late = "{\"a\":1,\"late\":{\"x\":1}}\n".repeat(3);
    bucket.put("in/a.json", [lines(0..20_000), late].concat()).await;
    let whole = bucket.select("/in", &[], "SELECT count(late) FROM t").await.unwrap();
    assert_eq!((whole.rows, whole.notices), (vec!["3".to_owned()], vec![]));
    let bucket = bucket.with_sample(64 << 10);
    let outcome = bucket.select("/in", &[], "SELECT * FROM t").await.unwrap();
    assert_eq!(outcome.columns, "a BIGINT, b STRING");
    assert_eq!(outcome.notices.len(), 1);
    assert!(outcome.notices[0].contains("are not read: `late` in 3 records; "), "{:?}", outcome.notices);
    // A declared schema and a query of some columns do not miss it.
    let declared = bucket.select("/in", &[SCHEMA], "SELECT * FROM t").await.unwrap();
    assert!(declared.notices.is_empty(), "{:?}", declared.notices);
    let rescued = [("rescuedDataColumn", "_rescued_data")];
    let sql = "SELECT a, _rescued_data FROM t WHERE _rescued_data IS NOT NULL";
    let outcome = bucket.select("/in", &rescued, sql).await.unwrap();
    let expected = r#"1|{"late":{"x":1},"_file_path":"s3://bucket/in/a.json"}"#;
    assert_eq!(outcome.rows, [expected; 3]);
    assert!(outcome.notices.is_empty());
}
