//! All coercions, and all errors of values.

use arrow::datatypes::{DataType, Field};

use super::{decoder_of, rows, structure};
use crate::DecoderOptions;
use pinsql_base::schema::{list_of, map_of, timestamp};

/// Reads `{"a": <value>}` into one column, between two valid records. `expected` is the value or the error.
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
        list_of(DataType::Int32),
        map_of(DataType::Utf8, DataType::Int32),
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
    let point = structure(&[("x", DataType::Int32), ("y", list_of(DataType::Utf8View))]);
    check(&point, r#"{"y": ["a", null, 1], "x": 2, "z": {}}"#, Ok("{x: 2, y: [a, NULL, 1]}"));
    check(&point, "{}", Ok("{x: NULL, y: NULL}"));
    check(&point, "[]", Err("expected a STRUCT for `a`, found the array []"));
    check(&point, r#"{"y": ["a"], "x": "2"}"#, Err(r#"expected INT for `a.x`, found the string "2""#));
    check(&list_of(point.clone()), r#"[{"x": 1}, {}, null]"#, Ok("[{x: 1, y: NULL}, {x: NULL, y: NULL}, NULL]"));
    check(&list_of(point.clone()), r#"[{"x": 1}, {"x": 1.5}]"#, Err("expected INT for `a[1].x`, found the number 1.5"));
    check(&list_of(list_of(DataType::Int64)), "[[1, 2], [], null, [3]]", Ok("[[1, 2], [], NULL, [3]]"));
    check(&list_of(DataType::Float64), "7", Err("expected an ARRAY for `a`, found the number 7"));
    for key in [DataType::Utf8, DataType::Utf8View] {
        let counts = map_of(key, DataType::Int32);
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
