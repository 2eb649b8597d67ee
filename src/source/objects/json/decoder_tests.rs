//! Every coercion, every refusal, and what a refusal leaves behind.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;

fn decoder_of(columns: Vec<Field>, options: DecoderOptions) -> Decoder {
    Decoder::new(Arc::new(Schema::new(columns)), options).unwrap()
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, true)))
}

fn map(key: DataType, value: DataType) -> DataType {
    let entry = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false)
}

fn structure(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect())
}

/// Each row as one text: its values with ` | ` between them.
fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | ");
    (0..batch.num_rows()).map(row).collect()
}

/// Reads `{"a": <value>}` into one column, between two sound records; `expected` is the value or the error's sentence.
#[track_caller]
fn check(data_type: &DataType, value: &str, expected: Result<&str, &str>) {
    let mut decoder = decoder_of(vec![Field::new("a", data_type.clone(), true)], DecoderOptions::default());
    assert_eq!(decoder.decode(b"{}").unwrap(), 1);
    let found = decoder.decode(format!(r#"{{"a": {value}}}"#).as_bytes());
    assert_eq!(decoder.decode(br#"{"a":null}"#).unwrap(), 1);
    let batch = decoder.finish().unwrap();
    match (found, expected) {
        (Ok(1), Ok(expected)) => assert_eq!(rows(&batch), ["NULL", expected, "NULL"], "{value}"),
        (Err(error), Err(expected)) => {
            assert_eq!(error.to_string(), expected, "{value}");
            assert_eq!(rows(&batch), ["NULL", "NULL"], "{value}");
        }
        (found, _) => panic!("{value}: {found:?}, not {expected:?}"),
    }
}

#[test]
fn null_is_null_in_every_type() {
    let types = [
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(10, 2),
        DataType::Utf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::Date32,
        timestamp(),
        structure(&[("b", DataType::Int32)]),
        structure(&[]),
        list(DataType::Int32),
        map(DataType::Utf8, DataType::Int32),
    ];
    for data_type in types {
        check(&data_type, "null", Ok("NULL"));
        check(&data_type, "nul", Err("byte 6: expected a value, found `n`"));
    }
}

#[test]
fn integers() {
    let int = DataType::Int32;
    check(&int, "12", Ok("12"));
    check(&int, "-0", Ok("0"));
    check(&int, "2147483647", Ok("2147483647"));
    check(&int, "-2147483648", Ok("-2147483648"));
    check(&int, "2147483648", Err("2147483648 is out of range for INT for `a`"));
    check(&int, "99999999999999999999999", Err("99999999999999999999999 is out of range for INT for `a`"));
    check(&int, "12.0", Err("expected INT for `a`, found the number 12.0"));
    check(&int, "1e3", Err("expected INT for `a`, found the number 1e3"));
    check(&int, r#""12""#, Err(r#"expected INT for `a`, found the string "12""#));
    check(&int, r#""""#, Err(r#"expected INT for `a`, found the string """#));
    check(&int, "true", Err("expected INT for `a`, found the boolean true"));
    check(&int, r#"{"b": [1]}"#, Err(r#"expected INT for `a`, found the object {"b": [1]}"#));
    check(&int, "[1]", Err("expected INT for `a`, found the array [1]"));
    check(&int, "01", Err("byte 6: a number starts with 0 and goes on with more digits"));
    check(&int, "-", Err("byte 7: expected a digit, found `}`"));
    check(&int, "+1", Err("byte 6: expected a value, found `+`"));
    check(&int, "[1,", Err("byte 9: expected a value, found `}`"));
    check(&DataType::Int8, "127", Ok("127"));
    check(&DataType::Int8, "128", Err("128 is out of range for TINYINT for `a`"));
    check(&DataType::Int16, "-32768", Ok("-32768"));
    check(&DataType::Int16, "-32769", Err("-32769 is out of range for SMALLINT for `a`"));
    check(&DataType::Int64, "9223372036854775807", Ok("9223372036854775807"));
    check(&DataType::Int64, "-9223372036854775808", Ok("-9223372036854775808"));
    check(&DataType::Int64, "9223372036854775808", Err("9223372036854775808 is out of range for BIGINT for `a`"));
    check(&DataType::Int64, "-9223372036854775809", Err("-9223372036854775809 is out of range for BIGINT for `a`"));
}

#[test]
fn fractions() {
    let double = DataType::Float64;
    check(&double, "1", Ok("1.0"));
    check(&double, "-1.25e2", Ok("-125.0"));
    check(&double, "0.1", Ok("0.1"));
    check(&double, "123456789012345678901234567890", Ok("1.2345678901234568e29"));
    check(&double, "1e999", Err("1e999 is out of range for DOUBLE for `a`"));
    check(&double, r#""NaN""#, Ok("NaN"));
    check(&double, r#""Infinity""#, Ok("inf"));
    check(&double, r#""-Infinity""#, Ok("-inf"));
    check(&double, r#""1.5""#, Err(r#"expected DOUBLE for `a`, found the string "1.5""#));
    check(&double, "NaN", Err("byte 6: expected a value, found `N`"));
    check(&double, "1.", Err("byte 8: expected a digit after the decimal point, found `}`"));
    check(&double, ".5", Err("byte 6: expected a value, found `.`"));
    check(&double, "1e", Err("byte 8: expected a digit in the exponent, found `}`"));
    check(&DataType::Float32, "0.1", Ok("0.1"));
    check(&DataType::Float32, "16777217", Ok("16777216.0"));
    check(&DataType::Float32, "1e39", Err("1e39 is out of range for FLOAT for `a`"));
    let decimal = DataType::Decimal128(5, 2);
    check(&decimal, "1.005", Ok("1.01"));
    check(&decimal, "-12", Ok("-12.00"));
    check(&decimal, r#""12.3""#, Ok("12.30"));
    check(&decimal, r#""1,2\u0030""#, Ok("120.00"));
    check(&decimal, "1000", Err("1000 is out of range for DECIMAL(5,2) for `a`"));
    check(&decimal, r#""12k""#, Err(r#"expected DECIMAL(5,2) for `a`, found the string "12k""#));
    check(&decimal, "false", Err("expected DECIMAL(5,2) for `a`, found the boolean false"));
}

#[test]
fn booleans_dates_and_bytes() {
    check(&DataType::Boolean, "true", Ok("true"));
    check(&DataType::Boolean, "false", Ok("false"));
    check(&DataType::Boolean, "1", Err("expected BOOLEAN for `a`, found the number 1"));
    check(&DataType::Boolean, r#""true""#, Err(r#"expected BOOLEAN for `a`, found the string "true""#));
    check(&DataType::Boolean, "tru", Err("byte 6: expected a value, found `t`"));
    check(&DataType::Boolean, "truex", Err("byte 10: expected a comma or }, found `x`"));
    check(&DataType::Date32, r#""2024-02-29""#, Ok("2024-02-29"));
    check(&DataType::Date32, r#""2024\u002d02-29""#, Ok("2024-02-29"));
    check(&DataType::Date32, r#""2023-02-29""#, Err(r#"expected DATE for `a`, found the string "2023-02-29""#));
    check(&DataType::Date32, "19000", Err("expected DATE for `a`, found the number 19000"));
    check(&timestamp(), r#""2024-02-29T12:34:56.789Z""#, Ok("2024-02-29T12:34:56.789Z"));
    check(&timestamp(), r#""2024-02-29 12:34:56""#, Ok("2024-02-29T12:34:56Z"));
    check(&timestamp(), "1709210096", Ok("2024-02-29T12:34:56Z"));
    check(&timestamp(), "9223372036854775807", Err("9223372036854775807 is out of range for TIMESTAMP for `a`"));
    check(&timestamp(), "1.5", Err("expected TIMESTAMP for `a`, found the number 1.5"));
    check(&timestamp(), r#""soon""#, Err(r#"expected TIMESTAMP for `a`, found the string "soon""#));
    check(&DataType::Binary, r#""Zm9v""#, Ok("666f6f"));
    check(&DataType::Binary, r#""""#, Ok(""));
    check(&DataType::Binary, r#""Zm9""#, Err(r#"expected BINARY in base64 for `a`, found the string "Zm9""#));
    check(&DataType::Binary, "1", Err("expected BINARY for `a`, found the number 1"));
}

#[test]
fn strings() {
    for string in [DataType::Utf8, DataType::Utf8View] {
        check(&string, r#""""#, Ok(""));
        check(&string, r#""twelve bytes""#, Ok("twelve bytes"));
        check(&string, r#""more than twelve bytes""#, Ok("more than twelve bytes"));
        check(&string, r#""\" \\ \/ \b \f \n \r \t""#, Ok("\" \\ / \u{8} \u{c} \n \r \t"));
        check(&string, r#""\u00e9 \ud83d\uDE00 \u0000""#, Ok("é 😀 \0"));
        check(&string, r#""é 😀 سلام""#, Ok("é 😀 سلام"));
        check(&string, "1.50", Ok("1.50"));
        check(&string, "true", Ok("true"));
        check(&string, r#"{ "b" : [1, "\u0041"] }"#, Ok(r#"{ "b" : [1, "\u0041"] }"#));
        check(&string, r#""\ud83d""#, Err(r"byte 7: `\ud83d` is half of a surrogate pair and stands alone"));
        check(&string, r#""ab\ud83d\ud83d""#, Err(r"byte 9: `\ud83d` is half of a surrogate pair and stands alone"));
        check(&string, r#""\ude00""#, Err(r"byte 7: `\ude00` is half of a surrogate pair and stands alone"));
        check(&string, r#""\x""#, Err(r"byte 7: JSON has no escape `\x`"));
        check(&string, r#""\u12g4""#, Err(r"byte 11: expected four hexadecimal digits after \u, found `g`"));
        check(&string, "\"a\nb\"", Err("byte 8: the control character 0x0a stands in a string without an escape"));
        check(&string, "'a'", Err("byte 6: expected a value, found `'`"));
        check(
            &string,
            r#""long enough for a view \u00e9"#,
            Err("the JSON ends in the middle of a string (truncated?)"),
        );
        check(&string, "[1 2]", Err("byte 9: expected a comma or ], found `2`"));
        check(&string, "[1,]", Err("byte 9: expected a value, found `]`"));
        check(&string, "{,}", Err("byte 7: expected a field name in double quotes, found `,`"));
        check(&string, r#"{"b" 1}"#, Err("byte 11: expected a colon, found `1`"));
    }
}

#[test]
fn nested_values() {
    let point = structure(&[("x", DataType::Int32), ("y", list(DataType::Utf8View))]);
    check(&point, r#"{"y": ["a", null, 1], "x": 2, "z": {}}"#, Ok("{x: 2, y: [a, NULL, 1]}"));
    check(&point, "{}", Ok("{x: NULL, y: NULL}"));
    check(&point, "[]", Err("expected a STRUCT for `a`, found the array []"));
    check(&point, r#"{"y": ["a"], "x": "2"}"#, Err(r#"expected INT for `a.x`, found the string "2""#));
    check(&list(point.clone()), r#"[{"x": 1}, {}, null]"#, Ok("[{x: 1, y: NULL}, {x: NULL, y: NULL}, NULL]"));
    check(&list(point.clone()), r#"[{"x": 1}, {"x": 1.5}]"#, Err("expected INT for `a[1].x`, found the number 1.5"));
    check(&list(list(DataType::Int64)), "[[1, 2], [], null, [3]]", Ok("[[1, 2], [], NULL, [3]]"));
    check(&list(DataType::Float64), "7", Err("expected an ARRAY for `a`, found the number 7"));
    for key in [DataType::Utf8, DataType::Utf8View] {
        let counts = map(key, DataType::Int32);
        check(&counts, r#"{"x": 1, "y": null}"#, Ok("{x: 1, y: NULL}"));
        check(&counts, "{}", Ok("{}"));
        check(
            &counts,
            r#"{"x": 1, "a rather long key": 2, "\u0078": 3, "a rather long key": 4}"#,
            Ok("{x: 3, a rather long key: 4}"),
        );
        check(&counts, r#"{"x": "1"}"#, Err(r#"expected INT for `a['x']`, found the string "1""#));
        check(&counts, "[]", Err("expected a MAP for `a`, found the array []"));
    }
}

/// What one record alone gives from the columns `a INT, b STRING`: its rows, or the error's sentence.
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
    check_record(b"\xef\xbb\xbf{}", Err("byte 0: expected a value, found `\u{feff}`"));
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
    let nested = structure(&[("x", list(map(DataType::Utf8View, list(DataType::Utf8)))), ("y", DataType::Boolean)]);
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
        Field::new("l", list(inner), true),
        Field::new("i", list(DataType::Int32), true),
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
fn what_cannot_be_built_is_refused_at_once() {
    let new = |field, options| Decoder::new(Arc::new(Schema::new(vec![field])), options).unwrap_err();
    let unsupported = [
        DataType::UInt8,
        DataType::Date64,
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        map(DataType::Int32, DataType::Int32),
        list(DataType::LargeUtf8),
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
fn formats_are_kept_to() {
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
