//! Whole records: which texts are records, and the state after a rejected one.

use std::sync::Arc;

use arrow::array::{Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use super::{decoder_of, rows, structure};
use crate::{DEPTH_MAX, Decoder, DecoderOptions, Permissive, RECORD_BYTES_MAX};
use pinsql_base::schema::{list_of, map_of, timestamp};

/// Decodes one record to the columns `a INT, b STRING`. Returns the rows or the error.
#[track_caller]
fn check_record(record: &[u8], expected: Result<&[&str], &str>) {
    let columns = vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)];
    let mut decoder = decoder_of(columns, DecoderOptions::default());
    let found = decoder.decode(record).map_err(|error| error.to_string());
    let found = found.map(|count| {
        assert_eq!((decoder.rows(), count), (count, count));
        rows(&decoder.finish().unwrap())
    });
    let expected = expected.map(|rows| rows.iter().map(ToString::to_string).collect::<Vec<_>>()).map_err(str::to_owned);
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(record));
}

#[test]
fn records() {
    check_record(br#"{"a":1,"b":"x"}"#, Ok(&["1 | x"]));
    check_record(b" \t\r\n{ \"b\" :\t\"x\" ,\n\"a\" : 1 } \r", Ok(&["1 | x"]));
    check_record(b"{}", Ok(&["NULL | NULL"]));
    check_record(br#"{"c": {"a": [1, {"b": []}]}, "\u0061": 1, "A": 2, "": 3}"#, Ok(&["1 | NULL"]));
    check_record(br#"{"a": 1, "b": "x", "a": 2, "b": null}"#, Ok(&["2 | NULL"]));
    check_record(br#"{"b": "first one", "b": "second"}"#, Ok(&["NULL | second"]));
    check_record(br#"{"a": "x", "a": 2}"#, Err(r#"expected INT for `a`, found the string "x""#));
    check_record(b"[]", Ok(&[]));
    check_record(br#"[{"a":1}, {"b":2}]"#, Ok(&["1 | NULL", "NULL | 2"]));
    check_record(br#"[{"a":1}, {"a":"2"}]"#, Err(r#"expected INT for `a`, found the string "2""#));
    check_record(br#"[{"a":1}, null]"#, Err("expected an object, found the value null"));
    check_record(b"", Err("the JSON ends where a value should follow (truncated?)"));
    check_record(b"12", Err("expected an object, found the number 12"));
    check_record(b"null", Err("expected an object, found the value null"));
    check_record(b"nonsense", Err("byte 0: expected a value, found `n`"));
    check_record("é".as_bytes(), Err("byte 0: expected a value, found `é`"));
    check_record(br#"{"a":1} {"a":2}"#, Err("byte 8: expected the end of the record, found `{`"));
    check_record(br#"{"a":1,}"#, Err("byte 7: expected a field name in double quotes, found `}`"));
    check_record(br#"{"a":1 "b":2}"#, Err("byte 7: expected a comma or }, found `\"`"));
    check_record(br#"{"a":1,"b":"x"#, Err("the JSON ends in the middle of a string (truncated?)"));
    check_record(br#"{"a":1,"b""#, Err("the JSON ends where a colon should follow (truncated?)"));
    check_record(br#"{"a":1,"b":"#, Err("the JSON ends where a value should follow (truncated?)"));
    check_record(br#"{"a":1"#, Err("the JSON ends where a comma or } should follow (truncated?)"));
    check_record(br#"{"a":nu"#, Err("the JSON ends in the middle of a word (truncated?)"));
    check_record(br#"{"b":"\"#, Err("the JSON ends in the middle of a string (truncated?)"));
    check_record(br#"{"b":"\u00"#, Err("the JSON ends in the middle of a string (truncated?)"));
    check_record(br#"{"b":"\ud83d\"#, Err("the JSON ends in the middle of a string (truncated?)"));
    check_record(br#"{"a":1} // one"#, Err("byte 8: expected the end of the record, found `/`"));
    check_record(b"{\"a\":\xff}", Err("invalid UTF-8 at byte 5"));
    check_record(b"{\"c\":\"\xed\xa0\x80\"}", Err("invalid UTF-8 at byte 6"));
    check_record(b"\xef\xbb\xbf{}", Ok(&["NULL | NULL"]));
    check_record(b"{\"a\":\x001}", Err("byte 5: expected a value, found the character 0x00"));
}

#[test]
fn depth_is_bounded_and_costs_no_stack() {
    let nested = |depth: usize| format!(r#"{{"c": {}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
    check_record(nested(DEPTH_MAX).as_bytes(), Ok(&["NULL | NULL"]));
    check_record(nested(DEPTH_MAX + 1).as_bytes(), Err("byte 1005: nested 1001 deep; at most 1000 is read"));
    check_record(nested(10_000).as_bytes(), Err("byte 1005: nested 1001 deep; at most 1000 is read"));
    let objects = format!(r#"{}{{}}{}"#, r#"{"b":"#.repeat(10_000), "}".repeat(10_000));
    check_record(objects.as_bytes(), Err("byte 5000: nested 1001 deep; at most 1000 is read"));
    check_record("[".repeat(100_000).as_bytes(), Err("byte 1000: nested 1001 deep; at most 1000 is read"));
}

#[test]
fn a_failure_leaves_no_trace_at_any_depth() {
    let nested =
        structure(&[("x", list_of(map_of(DataType::Utf8View, list_of(DataType::Utf8)))), ("y", DataType::Boolean)]);
    let columns = || vec![Field::new("s", DataType::Utf8View, true), Field::new("n", nested.clone(), true)];
    let sound = br#"{"s": "long enough to be outside", "n": {"x": [{"key": ["v", "w"]}, {}], "y": true}}"#;
    let mut expected = decoder_of(columns(), DecoderOptions::default());
    let mut decoder = decoder_of(columns(), DecoderOptions::default());
    // Every prefix of a record is a truncated record.
    for end in 0..sound.len() {
        assert!(decoder.decode(&sound[..end]).is_err());
        let before = decoder.exact_memory_bytes();
        assert_eq!(decoder.decode(sound).unwrap(), 1);
        let two = [&b"["[..], sound, b",", &sound[..end], b"]"].concat();
        let after = decoder.exact_memory_bytes();
        assert!(decoder.decode(&two).is_err());
        assert_eq!(decoder.exact_memory_bytes(), after);
        assert!(after > before);
        assert_eq!(expected.decode(sound).unwrap(), 1);
    }
    assert_eq!(decoder.finish().unwrap(), expected.finish().unwrap());
    assert_eq!(decoder.rows(), 0);
    assert_eq!(decoder.decode(sound).unwrap(), 1);
    assert_eq!(expected.decode(sound).unwrap(), 1);
    assert_eq!(decoder.finish().unwrap(), expected.finish().unwrap());
}

#[test]
fn without_columns_rows_are_checked_and_counted() {
    let mut decoder = decoder_of(vec![], DecoderOptions::default());
    assert_eq!(decoder.decode(br#"{"a": [1, "x"]}"#).unwrap(), 1);
    assert_eq!(decoder.decode(b"[{}, {}]").unwrap(), 2);
    assert!(decoder.decode(b"{").is_err());
    let batch = decoder.finish().unwrap();
    assert_eq!((batch.num_rows(), batch.num_columns()), (3, 0));
    assert_eq!(decoder.finish().unwrap().num_rows(), 0);
}

#[test]
fn not_null_columns_refuse_null() {
    let inner = DataType::Struct(vec![Field::new("b", DataType::Int32, false)].into());
    let columns = vec![Field::new("a", DataType::Int32, false), Field::new("s", inner, true)];
    let mut decoder = decoder_of(columns, DecoderOptions::default());
    let mut check = |record: &str, expected: Result<usize, &str>| {
        assert_eq!(
            decoder.decode(record.as_bytes()).map_err(|error| error.to_string()),
            expected.map_err(str::to_owned)
        );
    };
    check(r#"{"a": 1, "s": null}"#, Ok(1));
    check(r#"{"a": 1, "s": {"b": 1}}"#, Ok(1));
    check("{}", Err("expected a value for `a`, which is NOT NULL; the field is missing or null"));
    check(r#"{"a": null}"#, Err("expected a value for `a`, which is NOT NULL; the field is missing or null"));
    check(r#"{"a": 1, "s": {}}"#, Err("expected a value for `s.b`, which is NOT NULL; the field is missing or null"));
    assert_eq!(rows(&decoder.finish().unwrap()), ["1 | NULL", "1 | {b: 1}"]);
}

#[test]
fn permissive_keeps_what_fits() {
    let inner = structure(&[("x", DataType::Int32), ("y", DataType::Int32)]);
    let columns = vec![
        Field::new("a", DataType::Int32, true),
        Field::new("s", inner.clone(), true),
        Field::new("_corrupt_record", DataType::Utf8View, true),
        Field::new("l", list_of(inner), true),
        Field::new("i", list_of(DataType::Int32), true),
    ];
    let permissive = Some(Permissive { corrupt_record_column: Some(2) });
    let mut decoder = decoder_of(columns.clone(), DecoderOptions { permissive, ..Default::default() });
    let mut check = |record: &[u8], expected: &[&str]| {
        assert_eq!(decoder.decode(record).unwrap(), expected.len());
        assert_eq!(rows(&decoder.finish().unwrap()), expected);
    };
    check(br#"{"a": 1, "i": [1], "_corrupt_record": "mine"}"#, &["1 | NULL | NULL | NULL | [1]"]);
    check(br#"{"a": "1", "i": [1]}"#, &[r#"NULL | NULL | {"a": "1", "i": [1]} | NULL | [1]"#]);
    check(br#"{"s": {"x": 1.5, "y": 2}}"#, &[r#"NULL | {x: NULL, y: 2} | {"s": {"x": 1.5, "y": 2}} | NULL | NULL"#]);
    check(
        br#"{"l": [{"x": 1}, {"x": ""}]}"#,
        &[r#"NULL | NULL | {"l": [{"x": 1}, {"x": ""}]} | [{x: 1, y: NULL}, {x: NULL, y: NULL}] | NULL"#],
    );
    check(br#"{"a": 3, "i": [1, "x"]}"#, &[r#"3 | NULL | {"a": 3, "i": [1, "x"]} | NULL | NULL"#]);
    check(br#"{"a": 3, "s": "#, &[r#"NULL | NULL | {"a": 3, "s":  | NULL | NULL"#]);
    check(br#"{"a": "x", "s": "#, &[r#"NULL | NULL | {"a": "x", "s":  | NULL | NULL"#]);
    check(b"{\"a\": 3, \"b\": \"\xff\"}", &["NULL | NULL | {\"a\": 3, \"b\": \"\u{fffd}\"} | NULL | NULL"]);
    check(br#"[{"a": 1}, {"a": ""}]"#, &["1 | NULL | NULL | NULL | NULL", r#"NULL | NULL | {"a": ""} | NULL | NULL"#]);
    check(br#"[{"a": 1}, {"a": 2]"#, &[r#"NULL | NULL | [{"a": 1}, {"a": 2] | NULL | NULL"#]);
    check(b"7", &["NULL | NULL | 7 | NULL | NULL"]);
    check(b"[]", &[]);

    let mut decoder =
        decoder_of(columns, DecoderOptions { permissive: Some(Permissive::default()), ..Default::default() });
    assert_eq!(decoder.decode(b"nonsense").unwrap(), 1);
    assert_eq!(rows(&decoder.finish().unwrap()), ["NULL | NULL | NULL | NULL | NULL"]);
}

#[test]
fn unsupported_types_are_an_error_of_the_schema() {
    let new = |field, options| Decoder::new(Arc::new(Schema::new(vec![field])), options).unwrap_err();
    let unsupported = [
        DataType::UInt8,
        DataType::Date64,
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        map_of(DataType::Int32, DataType::Int32),
        list_of(DataType::LargeUtf8),
    ];
    for data_type in unsupported {
        let error = new(Field::new("a", data_type, true), DecoderOptions::default());
        assert!(error.message.starts_with("JSON cannot be read as"), "{error}");
    }
    let permissive = |column| DecoderOptions {
        permissive: Some(Permissive { corrupt_record_column: column }),
        ..Default::default()
    };
    let error = new(Field::new("a", DataType::Int32, false), permissive(None));
    assert_eq!(error.message, "the column `a` is NOT NULL, but mode PERMISSIVE makes NULL of what does not fit");
    let error = new(Field::new("a", DataType::Int32, true), permissive(Some(0)));
    assert_eq!(error.message, "the column for corrupt records must be a STRING");
    let pattern = DecoderOptions { date_format: Some("EEE".to_owned()), ..Default::default() };
    let error = new(Field::new("a", DataType::Date32, true), pattern);
    assert_eq!(error.message, "the datetime pattern `EEE` cannot be used: `EEE` is not a part that can be read");
}

#[test]
fn formats_are_exact() {
    let options = DecoderOptions {
        timestamp_format: Some("MM/dd/yyyy, HH:mm:ss".to_owned()),
        date_format: Some("dd.MM.yyyy".to_owned()),
        ..Default::default()
    };
    let columns = vec![Field::new("t", timestamp(), true), Field::new("d", DataType::Date32, true)];
    let mut decoder = decoder_of(columns, options);
    decoder.decode(br#"{"t": "02/29/2024, 12:34:56", "d": "29.02.2024"}"#).unwrap();
    assert!(decoder.decode(br#"{"t": "2024-02-29 12:34:56"}"#).is_err());
    assert!(decoder.decode(br#"{"d": "2024-02-29"}"#).is_err());
    assert_eq!(rows(&decoder.finish().unwrap()), ["2024-02-29T12:34:56Z | 2024-02-29"]);
}

#[test]
fn a_string_of_64_megabytes_is_one_value() {
    let text = "é".repeat(32 << 20);
    let columns = vec![Field::new("a", DataType::Utf8, true)];
    let mut decoder = decoder_of(columns, DecoderOptions::default());
    decoder.decode(format!(r#"{{"a": "{text}"}}"#).as_bytes()).unwrap();
    assert!(decoder.memory_bytes() > 64 << 20);
    let batch = decoder.finish().unwrap();
    assert_eq!(decoder.memory_bytes(), 0);
    let column: &StringArray = batch.column(0).as_any().downcast_ref().unwrap();
    assert!(column.value(0) == text);
    let error = decoder.decode(&vec![b' '; RECORD_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.to_string(), "the record has 268435457 bytes; at most 268435456 are read");
}

#[test]
fn names_are_matched_exactly_however_their_order_changes() {
    let columns = vec![
        Field::new("ab", DataType::Int32, true),
        Field::new("a", DataType::Int32, true),
        Field::new("a\"b", DataType::Int32, true),
    ];
    let mut decoder = decoder_of(columns, DecoderOptions::default());
    let records = [
        r#"{"ab": 1, "a": 2, "a\"b": 3}"#,
        r#"{"a": 2, "ab": 1, "a\"b": 3}"#,
        r#"{"x": 0, "a\"b": 3, "a": 2, "ab": 1}"#,
        r#"{"x": 0, "xx": 9, "a\u0022b": 3, "\u0061": 2, "ab": 1}"#,
        r#"{"abc": 7, "A": 8, "a": 2, "ab": 1, "a\"b": 3}"#,
    ];
    for record in records.iter().chain(&records) {
        decoder.decode(record.as_bytes()).unwrap();
    }
    for stranger in 0..5000 {
        decoder.decode(format!(r#"{{"stranger {stranger}": 0, "a\"b": 3, "a": 2, "ab": 1}}"#).as_bytes()).unwrap();
    }
    assert!(rows(&decoder.finish().unwrap()).iter().all(|row| row == "1 | 2 | 3"));
}
