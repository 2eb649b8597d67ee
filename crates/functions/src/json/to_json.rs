//! `to_json(value [, options])`: writes a STRUCT, an ARRAY or a MAP as JSON text, as Spark does.
//!
//! NULL fields are left out, unless the option `ignoreNullFields` is false. NULL elements and NULL values of a map are written.
//! Timestamps have milliseconds and end in Z. The planner (`statement::query::json_calls`) writes the constant options after the
//! value. The other options are deliberately absent: `date_format` writes times in any format.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimestampMicrosecondType};
use arrow::temporal_conversions::timestamp_us_to_datetime;
use arrow::util::display::array_value_to_string;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::common::{Result, exec_datafusion_err};

use crate::lists::{range, wrong_count};
use crate::maps::entry_range;
use crate::plain::{Call, Types, wrong_call};
use crate::text::cast_to_string::{float32_text, float64_text};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode, nearest};
use pinsql_base::schema::{STRING, normalize_type, type_name};

const OPTION: &str = "ignoreNullFields";

pub(super) fn types(function: &str, types: &[DataType]) -> Result<Types> {
    let Some((value, options)) = types.split_first() else {
        return wrong_count(function, "to_json(value [, map('option', 'value')])");
    };
    if !matches!(
        value,
        DataType::Struct(_)
            | DataType::Map(_, _)
            | DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(_, _)
    ) {
        let what = format!("expected a STRUCT, an ARRAY or a MAP, got {}", type_name(value));
        return Err(wrong_call(function, what, "to_json(struct(a, b))"));
    }
    // Normalized: one string type and one list type.
    Types::new([vec![normalize_type(value)], vec![STRING; options.len()]].concat(), STRING)
}

pub(super) fn to_json(call: &Call) -> Result<ArrayRef> {
    let mut writer = Writer { out: String::new(), leaves_nulls_out: true };
    for option in call.arguments[1..].chunks(2).filter(|_| call.rows > 0) {
        let [name, value] = option else { return wrong_count("to_json", "an option has a name and a value") };
        let (name, value) = (name.as_string_view().value(0), value.as_string_view().value(0));
        writer.leaves_nulls_out = ignores_nulls(name, value)?;
    }
    let values = &call.arguments[0];
    let mut texts = StringViewBuilder::new();
    for row in 0..call.rows {
        if values.is_null(row) {
            texts.append_null();
            continue;
        }
        writer.out.clear();
        writer.value(values, row)?;
        texts.append_value(&writer.out);
    }
    Ok(Arc::new(texts.finish()))
}

fn ignores_nulls(name: &str, value: &str) -> Result<bool> {
    if !name.eq_ignore_ascii_case(OPTION) {
        let error = Error::new(ErrorCode::UnknownOption, format!("to_json: there is no option `{name}`"));
        return Err(external(match nearest(name, [OPTION]) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(format!("the one option is {OPTION}")),
        }));
    }
    value.to_lowercase().parse().map_err(|_| {
        external(Error::new(ErrorCode::InvalidOption, format!("to_json: `{OPTION}` is true or false, not `{value}`")))
    })
}

struct Writer {
    out: String,
    leaves_nulls_out: bool,
}

impl Writer {
    /// Writes a value that is not NULL. The recursion has the depth of the type.
    fn value(&mut self, values: &ArrayRef, row: usize) -> Result<()> {
        if values.is_null(row) || values.data_type().is_null() {
            self.out.push_str("null");
            return Ok(());
        }
        match values.data_type() {
            DataType::Struct(_) => self.object(values, row)?,
            DataType::List(_) => {
                let list = values.as_list::<i32>();
                self.out.push('[');
                for (place, element) in range(list, row).enumerate() {
                    self.comma(place > 0);
                    self.value(list.values(), element)?;
                }
                self.out.push(']');
            }
            DataType::Map(_, _) => {
                let map = values.as_map();
                self.out.push('{');
                for (place, entry) in entry_range(map, row).enumerate() {
                    self.comma(place > 0);
                    let key = array_value_to_string(map.keys(), entry)?;
                    self.string(&key);
                    self.out.push(':');
                    self.value(map.values(), entry)?;
                }
                self.out.push('}');
            }
            _ => self.scalar(values, row)?,
        }
        Ok(())
    }

    fn object(&mut self, values: &ArrayRef, row: usize) -> Result<()> {
        let columns = values.as_struct();
        self.out.push('{');
        let mut is_first = true;
        for (field, column) in columns.fields().iter().zip(columns.columns()) {
            let is_null = column.is_null(row) || column.data_type().is_null();
            if is_null && self.leaves_nulls_out {
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

    fn scalar(&mut self, values: &ArrayRef, row: usize) -> Result<()> {
        match values.data_type() {
            DataType::Utf8View => self.string(values.as_string_view().value(row)),
            DataType::Binary => {
                let text = STANDARD.encode(values.as_binary::<i32>().value(row));
                self.string(&text);
            }
            DataType::Float32 => {
                let value = values.as_primitive::<Float32Type>().value(row);
                self.float(&float32_text(value), value.is_finite());
            }
            DataType::Float64 => {
                let value = values.as_primitive::<Float64Type>().value(row);
                self.float(&float64_text(value), value.is_finite());
            }
            DataType::Timestamp(_, _) => {
                let micros = values.as_primitive::<TimestampMicrosecondType>().value(row);
                let moment = timestamp_us_to_datetime(micros)
                    .ok_or_else(|| exec_datafusion_err!("to_json: a TIMESTAMP is past its range"))?;
                // Writing to a String cannot fail.
                let _ = write!(self.out, "\"{}\"", moment.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
            }
            data_type if data_type.is_numeric() || *data_type == DataType::Boolean => {
                self.out.push_str(&array_value_to_string(values, row)?);
            }
            // Dates and intervals.
            _ => {
                let text = array_value_to_string(values, row)?;
                self.string(&text);
            }
        }
        Ok(())
    }

    /// NaN and infinities are written as strings.
    fn float(&mut self, text: &str, is_number: bool) {
        match is_number {
            true => self.out.push_str(text),
            false => self.string(text),
        }
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
