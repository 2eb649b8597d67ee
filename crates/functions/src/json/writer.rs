//! Writes values as JSON text, as Spark's `to_json` does: NaN and infinities are strings, BINARY is base64, and a key of a map that
//! is no STRING has the text of its value.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Fields};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::common::Result;

use crate::lists::range;
use crate::maps::entry_range;
use crate::text::value_text::{Form, is_null, timestamp_value, write_value};
use crate::times::text::{timestamp_iso, timestamp_iso_millis};
use pinsql_base::schema::normalize_type;

/// The fraction of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fraction {
    /// Milliseconds, as in Spark's `to_json`.
    Millis,
    /// All digits of the value, in groups of three.
    Exact,
}

/// A JSON text that grows by values.
#[derive(Debug)]
pub struct JsonWriter {
    out: String,
    pub(super) leaves_nulls_out: bool,
    fraction: Fraction,
}

impl JsonWriter {
    /// An empty text. With `leaves_nulls_out`, a field that is NULL is not written.
    pub fn new(leaves_nulls_out: bool, fraction: Fraction) -> Self {
        Self { out: String::new(), leaves_nulls_out, fraction }
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.out
    }

    /// Removes the text.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Writes a value. The recursion has the depth of the type.
    ///
    /// # Errors
    /// An error of the engine if a value of a rare type has no text.
    pub fn value(&mut self, values: &dyn Array, row: usize) -> Result<()> {
        if is_null(values, row) {
            self.out.push_str("null");
            return Ok(());
        }
        match values.data_type() {
            DataType::Struct(fields) => self.object(fields, values.as_struct().columns(), row),
            DataType::List(_) => {
                let list = values.as_list::<i32>();
                self.elements(list.values(), range(list, row))
            }
            DataType::LargeList(_) => self.all_elements(&values.as_list::<i64>().value(row)),
            DataType::FixedSizeList(_, _) => self.all_elements(&values.as_fixed_size_list().value(row)),
            DataType::Map(_, _) => self.map(values, row),
            _ => self.scalar(values, row),
        }
    }

    /// Writes an object with a field per column.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn object(&mut self, fields: &Fields, columns: &[ArrayRef], row: usize) -> Result<()> {
        self.out.push('{');
        let mut is_first = true;
        for (field, column) in fields.iter().zip(columns) {
            if self.leaves_nulls_out && is_null(column, row) {
                continue;
            }
            self.comma(!is_first);
            is_first = false;
            self.string(field.name());
            self.out.push(':');
            self.value(column, row)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn all_elements(&mut self, elements: &ArrayRef) -> Result<()> {
        self.elements(elements, 0..elements.len())
    }

    fn elements(&mut self, elements: &ArrayRef, places: std::ops::Range<usize>) -> Result<()> {
        self.out.push('[');
        for (number, place) in places.enumerate() {
            self.comma(number > 0);
            self.value(elements, place)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn map(&mut self, values: &dyn Array, row: usize) -> Result<()> {
        let map = values.as_map();
        self.out.push('{');
        for (number, entry) in entry_range(map, row).enumerate() {
            self.comma(number > 0);
            let mut key = String::new();
            write_key(&mut key, map.keys(), entry)?;
            self.string(&key);
            self.out.push(':');
            self.value(map.values(), entry)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn scalar(&mut self, values: &dyn Array, row: usize) -> Result<()> {
        let data_type = values.data_type();
        match data_type {
            DataType::Utf8View => self.string(values.as_string_view().value(row)),
            DataType::Utf8 => self.string(values.as_string::<i32>().value(row)),
            DataType::Binary => {
                let text = STANDARD.encode(values.as_binary::<i32>().value(row));
                self.string(&text);
            }
            DataType::Timestamp(unit, zone) => {
                let value = timestamp_value(values, *unit, row);
                let text = match self.fraction {
                    Fraction::Millis => timestamp_iso_millis(value, *unit),
                    Fraction::Exact => timestamp_iso(value, *unit),
                };
                // A timestamp without a zone is no point in time.
                self.string(if zone.is_some() { &text } else { text.trim_end_matches('Z') });
            }
            other if normalize_type(other) != *other => {
                let value = cast(&values.slice(row, 1), &normalize_type(other))?;
                self.value(&value, 0)?;
            }
            _ => {
                let mut text = String::new();
                write_value(&mut text, values, row, Form::Cell)?;
                let is_number = data_type.is_numeric() && text.ends_with(|last: char| last.is_ascii_digit());
                match is_number || *data_type == DataType::Boolean {
                    true => self.out.push_str(&text),
                    // NaN, infinities, dates, intervals.
                    false => self.string(&text),
                }
            }
        }
        Ok(())
    }

    fn comma(&mut self, is_needed: bool) {
        if is_needed {
            self.out.push(',');
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                // Writing to a String cannot fail.
                character if character < ' ' => {
                    let _ = write!(self.out, "\\u{:04X}", u32::from(character));
                }
                character => self.out.push(character),
            }
        }
        self.out.push('"');
    }
}

/// The name of an entry of a map. A STRUCT or an ARRAY is a list of its values, as Spark's rows are written: `[1,x]`.
fn write_key(out: &mut String, keys: &dyn Array, row: usize) -> Result<()> {
    if is_null(keys, row) {
        out.push_str("null");
        return Ok(());
    }
    match keys.data_type() {
        DataType::Struct(_) => {
            let columns = keys.as_struct().columns();
            write_keys(out, columns.iter().map(|column| (column, row)))
        }
        DataType::List(_) => {
            let list = keys.as_list::<i32>();
            write_keys(out, range(list, row).map(|place| (list.values(), place)))
        }
        DataType::Binary => {
            out.push_str(&STANDARD.encode(keys.as_binary::<i32>().value(row)));
            Ok(())
        }
        _ => write_value(out, keys, row, Form::Cell),
    }
}

fn write_keys<'a>(out: &mut String, parts: impl Iterator<Item = (&'a ArrayRef, usize)>) -> Result<()> {
    out.push('[');
    for (number, (values, row)) in parts.enumerate() {
        if number > 0 {
            out.push(',');
        }
        write_key(out, values, row)?;
    }
    out.push(']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryArray, Float64Array, NullArray, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::Field;

    use super::*;

    fn check(values: ArrayRef, row: usize, expected: &str) {
        let mut writer = JsonWriter::new(false, Fraction::Exact);
        let fields = Fields::from(vec![Field::new("v", values.data_type().clone(), true)]);
        writer.object(&fields, &[values], row).unwrap();
        assert_eq!(writer.text(), expected);
    }

    #[test]
    fn every_value_has_its_own_text() {
        let floats: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(f64::NEG_INFINITY), Some(1.5)]));
        check(Arc::clone(&floats), 0, r#"{"v":"NaN"}"#);
        check(Arc::clone(&floats), 1, r#"{"v":null}"#);
        check(Arc::clone(&floats), 2, r#"{"v":"-Infinity"}"#);
        check(floats, 3, r#"{"v":1.5}"#);
        check(Arc::new(NullArray::new(1)), 0, r#"{"v":null}"#);
        check(Arc::new(BinaryArray::from_vec(vec![b"Spark"])), 0, r#"{"v":"U3Bhcms="}"#);
        check(Arc::new(StringArray::from(vec!["a\"\n\u{1}"])), 0, r#"{"v":"a\"\n\u0001"}"#);
        let last = TimestampMicrosecondArray::from(vec![i64::MAX]).with_timezone("UTC");
        check(Arc::new(last), 0, r#"{"v":"+294247-01-10T04:00:54.775807Z"}"#);
    }
}
