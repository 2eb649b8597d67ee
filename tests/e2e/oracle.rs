//! The expected tables and answers, computed by an independent program, and the comparison with the actual ones.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::environment::repository;
use crate::python::Script;

/// The expected rows of every table and question, by name.
#[derive(Debug)]
pub(crate) struct Expected(Value);

impl Expected {
    pub(crate) fn of(raw: &Path) -> Self {
        let script = repository().join("tests/oracle/oracle.py");
        Self(Script::start(&script, &[raw.to_str().unwrap()], &[]).answer())
    }

    /// Asserts that the rows are the expected ones, in any order, with exactly the expected columns.
    pub(crate) fn assert_rows(&self, name: &str, rows: &[Value]) {
        let expected = &self.0[name];
        let columns: Vec<&str> = array(&expected["columns"], name).iter().map(|name| name.as_str().unwrap()).collect();
        let wanted = array(&expected["rows"], name).iter().map(|row| match row {
            Value::Array(values) => columns.iter().zip(values).map(|(name, value)| canonical(name, value)).collect(),
            row => columns.iter().map(|name| canonical(name, &row[*name])).collect(),
        });
        let got = rows.iter().map(|row| {
            let row = row.as_object().unwrap();
            assert!(
                row.keys().all(|name| columns.contains(&name.as_str())),
                "{name}: {row:?}, but columns {columns:?}"
            );
            columns.iter().map(|name| canonical(name, row.get(*name).unwrap_or(&Value::Null))).collect()
        });
        assert_same(name, wanted.collect(), got.collect());
    }
}

fn array<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("the oracle says nothing of {name}"))
}

/// A value in the common form for the comparison. Numbers are equal with and without a fraction. Times are equal with a
/// space or a `T`, and with or without a UTC zone.
fn canonical(column: &str, value: &Value) -> (String, Value) {
    let value = match value {
        Value::Number(number) => Value::from(number.as_f64().unwrap()),
        Value::Array(items) => items.iter().map(|item| canonical(column, item).1).collect(),
        Value::String(text) if matches!(column, "timestamp" | "date_joined") => {
            let text = text.replace('T', " ");
            let text = text.trim_end_matches('Z').trim_end_matches("+00:00").trim_end_matches(".000000");
            Value::from(text.trim_end_matches(".000"))
        }
        other => other.clone(),
    };
    (column.to_owned(), value)
}

/// The same value with the fields of its objects in alphabetical order.
fn in_order(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> =
                fields.into_iter().map(|(name, value)| (name, in_order(value))).collect();
            fields.into_iter().collect()
        }
        Value::Array(items) => items.into_iter().map(in_order).collect(),
        other => other,
    }
}

fn assert_same(name: &str, wanted: Vec<Map<String, Value>>, got: Vec<Map<String, Value>>) {
    let sorted = |rows: Vec<Map<String, Value>>| {
        let mut rows: Vec<String> = rows.into_iter().map(|row| in_order(Value::Object(row)).to_string()).collect();
        rows.sort();
        rows
    };
    let (wanted, got) = (sorted(wanted), sorted(got));
    let first = wanted.iter().zip(&got).find(|(wanted, got)| wanted != got);
    if let Some((wanted, got)) = first {
        panic!("{name}: the first row that differs:\n  wanted {wanted}\n  got    {got}");
    }
    assert_eq!(wanted.len(), got.len(), "{name}: the number of rows");
    assert!(!wanted.is_empty(), "{name}: nothing was compared");
}

/// Asserts that two lists have the same rows, in any order.
pub(crate) fn assert_same_rows(name: &str, wanted: &[Value], got: &[Value]) {
    let objects = |rows: &[Value]| rows.iter().map(|row| row.as_object().unwrap().clone()).collect();
    assert_same(name, objects(wanted), objects(got));
}
