use super::*;
use pinsql_base::schema::type_name;

fn learn(inferred: &mut Inferred, record: &str) {
    infer_record(inferred, record.as_bytes()).unwrap();
}

fn schema_of(inferred: &Inferred) -> String {
    let schema = inferred.schema();
    let names = schema.fields().iter().map(|field| format!("{} {}", field.name(), type_name(field.data_type())));
    names.collect::<Vec<_>>().join(", ")
}

#[track_caller]
fn check(records: &[&str], expected: &str) {
    let new = || Inferred::new(InferOptions { infer_timestamp: true, ..Default::default() }).unwrap();
    // All together, in reverse order, and separately with a merge: the results are equal.
    let (mut together, mut reverse, mut merged) = (new(), new(), new());
    for record in records {
        learn(&mut together, record);
        let mut alone = new();
        learn(&mut alone, record);
        merged.merge(alone);
    }
    records.iter().rev().for_each(|record| learn(&mut reverse, record));
    for inferred in [together, reverse, merged] {
        assert_eq!(schema_of(&inferred), expected, "{records:?}");
    }
}

#[test]
fn types_are_those_that_spark_infers() {
    check(&[], "");
    check(&["{}"], "");
    check(&[r#"{"b":1,"a":true,"C":"x"}"#], "C STRING, a BOOLEAN, b BIGINT");
    check(&[r#"{"a":null}"#, r#"{"b":""}"#], "a STRING, b STRING");
    check(&[r#"{"a":null}"#, r#"{"a":1}"#, r#"{"a":""}"#], "a BIGINT");
    check(&[r#"{"a":1}"#, r#"{"a":1.5}"#], "a DOUBLE");
    check(&[r#"{"a":1e2}"#], "a DOUBLE");
    check(&[r#"{"a":9223372036854775807}"#], "a BIGINT");
    check(&[r#"{"a":9223372036854775808}"#], "a DECIMAL(19,0)");
    check(&[r#"{"a":9223372036854775808}"#, r#"{"a":-1}"#], "a DECIMAL(20,0)");
    check(&[r#"{"a":-12345678901234567890123456789012345678}"#, r#"{"a":1}"#], "a DECIMAL(38,0)");
    check(&[r#"{"a":123456789012345678901234567890123456789}"#], "a DOUBLE");
    check(&[r#"{"a":9223372036854775808}"#, r#"{"a":0.5}"#], "a DOUBLE");
    check(&[r#"{"a":1}"#, r#"{"a":"x"}"#, r#"{"a":2}"#], "a STRING");
    check(&[r#"{"a":true}"#, r#"{"a":1}"#], "a STRING");
    check(&[r#"{"a":{"b":1}}"#, r#"{"a":{"c":[1]}}"#], "a STRUCT<b: BIGINT, c: ARRAY<BIGINT>>");
    check(&[r#"{"a":{"b":1}}"#, r#"{"a":[1]}"#], "a STRING");
    check(&[r#"{"a":[1,null,2.5]}"#, r#"{"a":[]}"#], "a ARRAY<DOUBLE>");
    check(&[r#"{"a":[]}"#], "a ARRAY<STRING>");
    check(&[r#"{"a":[{"x":1},{"y":"z"}]}"#], "a ARRAY<STRUCT<x: BIGINT, y: STRING>>");
    check(&[r#"{"a":{},"b":[{}],"":1,"c":2}"#], "c BIGINT");
    check(&[r#"[{"a":1},{"b":2}]"#, "[]"], "a BIGINT, b BIGINT");
    check(&[r#"{"\u0061":1}"#, r#"{"a":0.5}"#], "a DOUBLE");
    check(&[r#"{"a":"2024-02-29T12:34:56"}"#, r#"{"a":"2024-02-29"}"#], "a TIMESTAMP");
    check(&[r#"{"a":"2024-02-29T12:34:56"}"#, r#"{"a":"soon"}"#], "a STRING");
}

#[test]
fn a_bad_record_does_not_change_the_schema() {
    let mut inferred = Inferred::new(InferOptions::default()).unwrap();
    for record in [r#"{"a":1"#, r#"{"a":1,}"#, "[{\"a\":1}, 2]", "7", "", r#"{"a":1} x"#, "{\"a\":\"\u{1}\"}"] {
        assert!(infer_record(&mut inferred, record.as_bytes()).is_err(), "{record}");
    }
    assert_eq!(schema_of(&inferred), "");
    learn(&mut inferred, r#"{"a":"2024-02-29"}"#);
    assert_eq!(schema_of(&inferred), "a STRING");
}

#[test]
fn values_nested_too_deep_are_strings() {
    let mut inferred = Inferred::new(InferOptions::default()).unwrap();
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(900), "]".repeat(900));
    learn(&mut inferred, &deep);
    assert!(schema_of(&inferred).contains("ARRAY<STRING>"), "{}", schema_of(&inferred));
    let mut decoder = super::super::Decoder::new(inferred.schema().into(), Default::default()).unwrap();
    assert_eq!(decoder.decode(deep.as_bytes()).unwrap(), 1);
    assert_eq!(decoder.finish().unwrap().num_rows(), 1);
}
