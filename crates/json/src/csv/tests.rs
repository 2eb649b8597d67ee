//! Tests of the CSV splitter, decoder and inference.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;

use super::*;
use crate::tests::rows;
use pinsql_base::schema::{STRING, timestamp, type_name};

/// The records of `text`, pushed in chunks of `chunk_bytes`.
fn split(text: &str, dialect: CsvDialect, chunk_bytes: usize) -> Vec<(u64, String)> {
    let mut splitter = CsvSplitter::new(dialect);
    let mut records = Vec::new();
    let mut add = |record: crate::Record| {
        records.push((record.line, String::from_utf8_lossy(&record.bytes).into_owned()));
    };
    for chunk in text.as_bytes().chunks(chunk_bytes) {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(record) = splitter.next() {
            add(record.unwrap());
        }
    }
    while let Some(record) = splitter.finish() {
        add(record.unwrap());
    }
    records
}

#[track_caller]
fn check_split(text: &str, dialect: CsvDialect, expected: &[(u64, &str)]) {
    for chunk_bytes in 1..=text.len().max(1) {
        let records = split(text, dialect, chunk_bytes);
        let records: Vec<_> = records.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(records, expected, "{text:?} in chunks of {chunk_bytes}");
    }
}

#[test]
fn records_end_outside_of_quotes_wherever_the_chunks_end() {
    let plain = CsvDialect::default();
    check_split("a,b\n1,2\r\n3,4", plain, &[(1, "a,b"), (2, "1,2"), (3, "3,4")]);
    check_split("a,\"x\ny\"\nb,\"\"\n", plain, &[(1, "a,\"x\ny\""), (3, "b,\"\"")]);
    check_split("\"a \"\"q\"\"\n,\" ,b\nc", plain, &[(1, "\"a \"\"q\"\"\n,\" ,b"), (3, "c")]);
    check_split("\"a \\\"\n\",b\nc", plain, &[(1, "\"a \\\"\n\",b"), (3, "c")]);
    check_split("a\rb\r\nc\n\rd", plain, &[(1, "a"), (2, "b"), (3, "c"), (5, "d")]);
    check_split("a\n\n  \n\t\nb\n", plain, &[(1, "a"), (5, "b")]);
    check_split("a\tb\n\t\n", CsvDialect { delimiter: b'\t', ..plain }, &[(1, "a\tb"), (2, "\t")]);
    check_split("\u{feff}a\n\u{feff}b", plain, &[(1, "a"), (2, "b")]);
    check_split("5\" pipe,x\ny", plain, &[(1, "5\" pipe,x"), (2, "y")]);
    check_split("#\"a\nb\n", CsvDialect { comment: Some(b'#'), ..plain }, &[(2, "b")]);
    check_split("'a\nb'", CsvDialect { quote: Some(b'\''), ..plain }, &[(1, "'a\nb'")]);
    check_split("\"a\nb\"", CsvDialect { quote: None, ..plain }, &[(1, "\"a"), (2, "b\"")]);
    check_split("\"a\nb\"", CsvDialect { one_line: true, ..plain }, &[(1, "\"a"), (2, "b\"")]);
    check_split("", plain, &[]);
}

#[test]
fn a_wrong_quote_costs_only_its_line() {
    let plain = CsvDialect::default();
    check_split("1,\"a\n2,b\n3,c\n", plain, &[(1, "1,\"a"), (2, "2,b"), (3, "3,c")]);
    check_split("1,\"a\n2,\"b\"\n3,c\n", plain, &[(1, "1,\"a"), (2, "2,\"b\""), (3, "3,c")]);
    check_split("1,\"a\"b\n2,c\n", plain, &[(1, "1,\"a\"b"), (2, "2,c")]);
}

fn decoder(columns: &[(&str, DataType)], options: CsvDecoderOptions) -> CsvDecoder {
    let fields: Vec<Field> = columns.iter().map(|(name, data)| Field::new(*name, data.clone(), true)).collect();
    let mut decoder = CsvDecoder::new(Arc::new(Schema::new(fields)), options).unwrap();
    let columns: Vec<_> =
        columns.iter().enumerate().map(|(index, (name, _))| ((*name).to_owned(), Some(index))).collect();
    let visible: Vec<_> = columns.into_iter().filter(|(name, _)| !name.starts_with('_')).collect();
    decoder.set_layout(Arc::new(CsvLayout::by_position(&visible)), "f.csv");
    decoder
}

#[test]
fn values_become_the_types_of_their_columns() {
    let columns = [
        ("i", DataType::Int32),
        ("d", DataType::Float64),
        ("n", DataType::Decimal128(5, 2)),
        ("t", timestamp()),
        ("b", DataType::Boolean),
        ("s", STRING),
    ];
    let mut decoder = decoder(&columns, CsvDecoderOptions::default());
    for record in [
        "1,1.5,1.005,2026-01-02 03:04:05,TRUE,x",
        "-7, 2e3 ,+3,2026-01-02,false,\"say \\\"hi\\\", \"\"ok\"\"\\\\\"",
        ",NaN,,,,\"\"",
        "+5,-Inf,0,2026-01-02T03:04:05Z,true, x ",
    ] {
        assert_eq!(decoder.decode(record.as_bytes()).unwrap(), 1, "{record}");
    }
    let expected = [
        "1 | 1.5 | 1.01 | 2026-01-02T03:04:05Z | true | x",
        "-7 | 2000.0 | 3.00 | 2026-01-02T00:00:00Z | false | say \"hi\", \"ok\"\\",
        "NULL | NaN | NULL | NULL | NULL | NULL",
        "5 | -inf | 0.00 | 2026-01-02T03:04:05Z | true |  x ",
    ];
    assert_eq!(rows(&decoder.finish().unwrap()), expected);
    let mut check = |record: &[u8], expected: &str| {
        assert_eq!(decoder.decode(record).unwrap_err().to_string(), expected);
    };
    check(b"x,,,,,", "expected INT for `i`, found the text \"x\"");
    check(b" 1,,,,,", "expected INT for `i`, found the text \" 1\"");
    check(b"3000000000,,,,,", "3000000000 is out of range for INT for `i`");
    check(b"1,inf,,,,", "expected DOUBLE for `d`, found the text \"inf\"");
    check(b"1,,1000,,,", "1000 is out of range for DECIMAL(5,2) for `n`");
    check(b"1,,,soon,,", "expected TIMESTAMP for `t`, found the text \"soon\"");
    check(b"1,,,,yes,", "expected BOOLEAN for `b`, found the text \"yes\"");
    check(b"1,,,,", "expected 6 fields, found 5");
    check(b"1,,,,,,", "expected 6 fields, found 7");
    check(b"1,,,,,\"a", "byte 6: the quote is not closed");
    check(b"1,,,,,\"a\"b", "byte 9: text follows the closing quote of a value");
    check(b"1,,,,,\xff", "invalid UTF-8 at byte 6");
    assert_eq!(decoder.finish().unwrap().num_rows(), 0);
}

#[test]
fn a_null_value_is_null_quoted_or_not() {
    let options = CsvDecoderOptions { null_value: "-".to_owned(), ..CsvDecoderOptions::default() };
    let mut decoder = decoder(&[("a", STRING), ("b", STRING)], options);
    for record in ["-,\"-\"", ",\"\"", "x,--"] {
        decoder.decode(record.as_bytes()).unwrap();
    }
    assert_eq!(rows(&decoder.finish().unwrap()), ["NULL | NULL", "NULL | ", "x | --"]);
}

#[test]
fn permissive_keeps_the_values_that_fit() {
    let options =
        CsvDecoderOptions { is_permissive: true, corrupt_record_column: Some(2), ..CsvDecoderOptions::default() };
    let mut decoder = decoder(&[("a", DataType::Int32), ("b", STRING), ("_corrupt_record", STRING)], options);
    for record in ["1,x", "y,z", "3", "4,p,q", "5,\"u\"v"] {
        decoder.decode(record.as_bytes()).unwrap();
    }
    let expected = ["1 | x | NULL", "NULL | z | y,z", "3 | NULL | 3", "4 | p | 4,p,q", "5 | \"u\"v | 5,\"u\"v"];
    assert_eq!(rows(&decoder.finish().unwrap()), expected);
}

#[test]
fn rescued_data_has_the_values_without_a_column() {
    let options = CsvDecoderOptions { rescued_column: Some(1), ..CsvDecoderOptions::default() };
    let mut decoder = decoder(&[("a", DataType::Int32), ("_rescued_data", STRING)], options);
    let names = column_names(&["x\"y".to_owned(), "A".to_owned()]);
    decoder.set_layout(Arc::new(CsvLayout::by_name(names, &[("a".to_owned(), Some(0))])), "f.csv");
    for record in ["u,1", "v,w,z", ",3"] {
        decoder.decode(record.as_bytes()).unwrap();
    }
    let expected = [
        r#"1 | {"x\"y":"u","_file_path":"f.csv"}"#,
        r#"NULL | {"x\"y":"v","A":"w","_c2":"z","_file_path":"f.csv"}"#,
        "3 | NULL",
    ];
    assert_eq!(rows(&decoder.finish().unwrap()), expected);
    assert!(decoder.decode(b"1").is_err());
}

#[test]
fn unread_fields_are_counted() {
    let mut decoder = decoder(&[("a", DataType::Int32)], CsvDecoderOptions::default());
    let columns = [("a".to_owned(), Some(0)), ("b".to_owned(), None)];
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    decoder.set_layout(Arc::new(CsvLayout::by_name(names, &columns)), "f.csv");
    for record in ["1,2,3", "1,2,"] {
        decoder.decode(record.as_bytes()).unwrap();
    }
    assert_eq!(decoder.take_unread().into_iter().collect::<Vec<_>>(), [("c".to_owned(), 1)]);
    assert!(decoder.take_unread().is_empty());
}

#[test]
fn duplicate_and_empty_names_are_those_of_spark() {
    let names = ["id", "", "ID", "x"].map(str::to_owned);
    assert_eq!(column_names(&names), ["id0", "_c1", "ID2", "x"]);
}

#[track_caller]
fn check_types(values: &[&str], expected: &str) {
    let options =
        CsvInferOptions { string_type: STRING, null_value: String::new(), timestamp_format: None, date_format: None };
    let mut inferred = CsvInferred::new(options).unwrap();
    let positions = inferred.positions(&["a".to_owned(), "b".to_owned()]);
    for value in values {
        inferred.learn(format!("{value},x").as_bytes(), &CsvDialect::default(), &positions);
    }
    assert_eq!(type_name(inferred.schema().field(0).data_type()), expected, "{values:?}");
}

#[test]
fn types_are_inferred_from_all_values() {
    check_types(&["1", "-2"], "BIGINT");
    check_types(&["1", "1.5"], "DOUBLE");
    check_types(&["1", "12345678901234567890"], "DECIMAL(20,0)");
    check_types(&["1", "N/A"], "STRING");
    check_types(&["", "true"], "BOOLEAN");
    check_types(&["2026-01-02"], "DATE");
    check_types(&["2026-01-02", "2026-01-02T03:04:05"], "TIMESTAMP");
    check_types(&["2026-01-02", "1"], "STRING");
    check_types(&["007"], "BIGINT");
    check_types(&[""], "STRING");
    check_types(&["1", "2,3"], "BIGINT");
}

#[test]
fn the_delimiter_and_the_header_are_found() {
    let records = |text: &'static str| {
        move |delimiter| CsvDialect { delimiter, ..CsvDialect::default() }.split_all(text.lines().map(str::as_bytes))
    };
    assert_eq!(guess_delimiter(records("a,b\n1,2")), b',');
    assert_eq!(guess_delimiter(records("a;b\n1;2,5")), b';');
    assert_eq!(guess_delimiter(records("a\tb\tc\n1\t2\t3")), b'\t');
    assert_eq!(guess_delimiter(records("a|b\n1|2")), b'|');
    assert_eq!(guess_delimiter(records("one; two")), b',');
    assert_eq!(guess_delimiter(records("a\nb")), b',');
    assert_eq!(guess_delimiter(records("1,5;2,5\n1,5;2,5")), b',');

    let check = |text: &'static str, columns: &[&str], expected| {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(guess_header(&records(text)(b','), &columns), expected, "{text}");
    };
    check("id,name\n1,x", &[], HeaderGuess::Yes);
    check("1,x\n2,y", &[], HeaderGuess::No);
    check("city,country\nParis,France", &[], HeaderGuess::Likely);
    check("a,b\na,c", &[], HeaderGuess::No);
    check("a,a\n1,2", &[], HeaderGuess::No);
    check("a,b", &[], HeaderGuess::No);
    check("Name,id\nx,1", &["id", "name"], HeaderGuess::Yes);
    check("x,1\ny,2", &["id", "name"], HeaderGuess::No);
}
