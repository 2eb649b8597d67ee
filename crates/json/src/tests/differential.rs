//! Compares the decoder with serde_json, on generated and mutated records: both accept the same records, with equal values.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type, Schema};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value};

use crate::{Decoder, DecoderOptions, Inferred, infer_record};
use pinsql_base::schema::{list_of, map_of};

/// The columns. The generator uses these names, and names without a column.
fn schema() -> Schema {
    let object = DataType::Struct(Fields::from(vec![
        Field::new("long", DataType::Int64, true),
        Field::new("text", DataType::Utf8View, true),
        Field::new("list", list_of(DataType::Utf8), true),
    ]));
    Schema::new(vec![
        Field::new("text", DataType::Utf8View, true),
        Field::new("long", DataType::Int64, true),
        Field::new("double", DataType::Float64, true),
        Field::new("flag", DataType::Boolean, true),
        Field::new("list", list_of(DataType::Int64), true),
        Field::new("map", map_of(DataType::Utf8, DataType::Float64), true),
        Field::new("object", object.clone(), true),
        Field::new("many", list_of(object), true),
    ])
}

const NAMES: [&str; 11] = [
    "text",
    "long",
    "double",
    "flag",
    "list",
    "map",
    "object",
    "many",
    "other",
    "t\\u0065xt",
    "a long name that no column has",
];
const SCALARS: [&str; 25] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "12345678901",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "1.5",
    "-0.25e-3",
    "1E+2",
    "123456789012345678901234567890",
    "5e-324",
    "\"\"",
    "\"x\"",
    "\"twelve bytes\"",
    "\"thirteen bytes\"",
    "\"é 😀 سلام\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u00e9\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"NaN\"",
    "\"\u{7f}\u{2028}\"",
    "\"a text that is long enough to cross a few words of the scanner, and then some\"",
];
/// The bytes that a mutation inserts: all bytes of the grammar, and some others.
const BYTES: &[u8] = b"{}[]\",:\\ntfu0123456789.eE+- \n\r\t\x00\x1f\x7f\x80\xc3\xff'/";

struct Generator(StdRng);

impl Generator {
    fn space(&mut self) -> &'static str {
        [""; 6]
            .iter()
            .chain(&[" ", "\n", "\r", "\t "])
            .copied()
            .collect::<Vec<_>>()
            .choose(&mut self.0)
            .copied()
            .unwrap_or("")
    }

    fn joined(&mut self, open: char, close: char, count: usize, mut item: impl FnMut(&mut Self) -> String) -> String {
        let items: Vec<_> = (0..count).map(|_| [self.space(), &item(self), self.space()].concat()).collect();
        format!("{open}{}{close}", items.join(","))
    }

    /// A duplicate name has NULL first. A value that does not fit is rejected, as in Spark, even if the name comes again, and
    /// serde_json does not report it.
    fn object(&mut self, depth: usize) -> String {
        let count = self.0.random_range(0..6);
        let mut names: Vec<_> = NAMES.choose_multiple(&mut self.0, count).copied().collect();
        self.joined('{', '}', count, |generator| {
            let name = names.pop().unwrap();
            let repeated = if generator.0.random_bool(0.1) { format!("\"{name}\":null,") } else { String::new() };
            let value =
                if generator.0.random_bool(0.9) { generator.fitting(name, depth) } else { generator.value(depth) };
            format!("{repeated}\"{name}\"{}:{}{value}", generator.space(), generator.space())
        })
    }

    /// A value that mostly fits the column.
    fn fitting(&mut self, name: &str, depth: usize) -> String {
        let count = self.0.random_range(0..4);
        match name {
            "long" => self.0.random_range(i64::MIN..i64::MAX).to_string(),
            "double" => self.0.random::<f64>().to_string(),
            "flag" => self.0.random::<bool>().to_string(),
            "list" => self.joined('[', ']', count, |generator| generator.0.random::<i16>().to_string()),
            "map" => self.joined('{', '}', count, |generator| {
                format!("\"key {}\": {}", generator.0.random_range(0..3), generator.0.random::<f32>())
            }),
            "object" if depth < 4 => self.object(depth + 1),
            "many" if depth < 4 => self.joined('[', ']', count, |generator| generator.object(depth + 1)),
            _ => self.value(depth),
        }
    }

    fn value(&mut self, depth: usize) -> String {
        let count = self.0.random_range(0..4);
        match self.0.random_range(0..10) {
            0 if depth < 4 => self.object(depth + 1),
            1 if depth < 4 => self.joined('[', ']', count, |generator| generator.value(depth + 1)),
            _ => SCALARS.choose(&mut self.0).unwrap().to_string(),
        }
    }

    fn record(&mut self) -> Vec<u8> {
        let mut record = match self.0.random_range(0..10) {
            0 => {
                let count = self.0.random_range(0..4);
                self.joined('[', ']', count, |generator| generator.object(0))
            }
            1 => self.value(0),
            _ => [self.space(), &self.object(0), self.space()].concat(),
        }
        .into_bytes();
        let mutations = if self.0.random_bool(0.5) { 0 } else { self.0.random_range(1..4) };
        for _ in 0..mutations {
            let at = self.0.random_range(0..=record.len());
            let byte = *BYTES.choose(&mut self.0).unwrap();
            match self.0.random_range(0..4) {
                0 => record.truncate(at),
                1 => record.insert(at, byte),
                2 if at < record.len() => drop(record.remove(at)),
                _ if at < record.len() => record[at] = byte,
                _ => {}
            }
        }
        record
    }
}

/// The expected rows, computed with serde_json. None if the record must be rejected.
fn expected(record: &Value, columns: &Fields) -> Option<Vec<Value>> {
    match record {
        Value::Object(object) => Some(vec![expected_object(object, columns)?]),
        Value::Array(elements) => {
            elements.iter().map(|element| expected_object(element.as_object()?, columns)).collect()
        }
        _ => None,
    }
}

fn expected_object(object: &Map<String, Value>, columns: &Fields) -> Option<Value> {
    let member = |field: &Arc<Field>| {
        let value = object.get(field.name()).unwrap_or(&Value::Null);
        Some((field.name().clone(), expected_value(value, field.data_type())?))
    };
    columns.iter().map(member).collect::<Option<Map<_, _>>>().map(Value::Object)
}

fn expected_value(value: &Value, data_type: &DataType) -> Option<Value> {
    Some(match (data_type, value) {
        (_, Value::Null) => Value::Null,
        (DataType::Utf8 | DataType::Utf8View, Value::String(_)) => value.clone(),
        // Raw JSON text is compared by its value.
        (DataType::Utf8 | DataType::Utf8View, other) => Value::String(format!("={other}")),
        (DataType::Int64, Value::Number(number)) => number.as_i64()?.into(),
        (DataType::Float64, Value::Number(number)) => number.as_f64()?.into(),
        (DataType::Float64, Value::String(text)) if text == "NaN" => "NaN".into(),
        (DataType::Boolean, Value::Bool(_)) => value.clone(),
        (DataType::Struct(fields), Value::Object(object)) => expected_object(object, fields)?,
        (DataType::List(element), Value::Array(values)) => {
            values.iter().map(|value| expected_value(value, element.data_type())).collect::<Option<Vec<_>>>()?.into()
        }
        (DataType::Map(..), Value::Object(object)) => {
            let member =
                |(name, value): (&String, &Value)| Some((name.clone(), expected_value(value, &DataType::Float64)?));
            Value::Object(object.iter().map(member).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// The values in the batch.
fn found(batch: &RecordBatch) -> Vec<Value> {
    let schema = batch.schema();
    let row = |row| found_members(schema.fields(), batch.columns(), row);
    (0..batch.num_rows()).map(row).collect()
}

fn found_members(fields: &Fields, columns: &[Arc<dyn Array>], row: usize) -> Value {
    let members = fields.iter().zip(columns);
    Value::Object(members.map(|(field, column)| (field.name().clone(), found_value(column, row))).collect())
}

fn found_value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    let elements = |values: Arc<dyn Array>| (0..values.len()).map(|row| found_value(&values, row)).collect::<Vec<_>>();
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Utf8View => column.as_string_view().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => match column.as_primitive::<Float64Type>().value(row) {
            value if value.is_nan() => "NaN".into(),
            value => value.into(),
        },
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Struct(fields) => found_members(fields, column.as_struct().columns(), row),
        DataType::List(_) => elements(column.as_list::<i32>().value(row)).into(),
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let keys = entries.column(0).as_string::<i32>();
            Value::Object(
                (0..keys.len()).map(|row| (keys.value(row).to_owned(), found_value(entries.column(1), row))).collect(),
            )
        }
        other => panic!("no column is {other}"),
    }
}

/// Compares two values. JSON text of a value can have any form. Doubles can differ in the last bit, which serde_json does not
/// guarantee.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::String(text), Value::String(meant)) if meant.starts_with('=') => {
            text == meant
                || serde_json::from_str(text)
                    .is_ok_and(|value: Value| same(&value, &serde_json::from_str(&meant[1..]).unwrap()))
        }
        (Value::Number(left), Value::Number(right)) if left.is_f64() || right.is_f64() => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            (left - right).abs() <= 4.0 * f64::EPSILON * left.abs()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        _ => found == expected,
    }
}

/// Runs `count` records through one decoder, so that rejected records are between others in the same columns.
fn run(seed: u64, count: usize) -> (usize, usize) {
    let schema = Arc::new(schema());
    let mut generator = Generator(StdRng::seed_from_u64(seed));
    let mut decoder = Decoder::new(schema.clone(), DecoderOptions::default()).unwrap();
    let mut counter = Decoder::new(Arc::new(Schema::empty()), DecoderOptions::default()).unwrap();
    let (mut rows, mut refused) = (Vec::new(), 0);
    for _ in 0..count {
        let record = generator.record();
        let shown = String::from_utf8_lossy(&record).into_owned();
        let parsed = serde_json::from_slice::<Value>(&record);
        if parsed.as_ref().is_err_and(|error| error.to_string().contains("number out of range")) {
            continue;
        }
        let parsed = parsed.ok();
        let plain = parsed.as_ref().and_then(|parsed| expected(parsed, &Fields::empty()));
        assert_eq!(counter.decode(&record).ok(), plain.map(|rows| rows.len()), "{shown}");
        let expected = parsed.as_ref().and_then(|parsed| expected(parsed, schema.fields()));
        let decoded = decoder.decode(&record);
        assert_eq!(decoded.as_ref().ok().copied(), expected.as_ref().map(Vec::len), "{shown}: {decoded:?}");
        refused += usize::from(expected.is_none());
        rows.extend(expected.into_iter().flatten().map(|row| (shown.clone(), row)));
    }
    let batch = decoder.finish().unwrap();
    assert_eq!(batch.num_rows(), rows.len());
    for column in batch.columns() {
        // A finished column is not validated as UTF-8 again. The test does it here.
        column.to_data().validate_full().unwrap();
    }
    for (found, (record, expected)) in found(&batch).iter().zip(&rows) {
        assert!(same(found, expected), "{record}\nfound    {found}\nexpected {expected}");
    }
    (rows.len(), refused)
}

#[test]
fn decoder_and_serde_json_agree() {
    let (mut rows, mut refused) = (0, 0);
    for seed in 0..20 {
        let (more_rows, more_refused) = run(seed, 1000);
        rows += more_rows;
        refused += more_refused;
    }
    // Both outcomes must be frequent.
    assert!(rows > 4000 && refused > 4000, "{rows} rows, {refused} refused");
}

/// The real records of the pipeline, if they are next to the repository.
#[test]
fn real_records_are_decoded_as_by_serde_json() {
    // The lock file marks the repository, wherever this crate is in it.
    let mut folders = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let repository = folders.find(|folder| folder.join("Cargo.lock").exists()).unwrap();
    let records = repository.join("../shared/realdata");
    if !records.exists() {
        return;
    }
    for topic in ["pin", "geo", "user"] {
        let text = std::fs::read_to_string(records.join(format!("{topic}.ndjson"))).unwrap();
        let mut inferred = Inferred::new(Default::default()).unwrap();
        for line in text.lines() {
            infer_record(&mut inferred, line.as_bytes()).unwrap();
        }
        let schema = Arc::new(inferred.schema());
        let mut decoder = Decoder::new(schema.clone(), DecoderOptions::default()).unwrap();
        for line in text.lines() {
            assert_eq!(decoder.decode(line.as_bytes()).unwrap(), 1, "{line}");
        }
        let batch = decoder.finish().unwrap();
        assert_eq!(batch.num_rows(), text.lines().count());
        for (found, line) in found(&batch).iter().zip(text.lines()) {
            let expected =
                expected_object(serde_json::from_str::<Value>(line).unwrap().as_object().unwrap(), schema.fields());
            assert!(same(found, &expected.unwrap()), "{line}\nfound {found}");
        }
    }
}
