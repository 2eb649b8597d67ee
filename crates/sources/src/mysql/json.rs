//! Writes a row as a JSON object, in the order of its columns. The format is that of `json.dumps(row, default=isoformat)` in the
//! scripts of the pipeline: numbers as numbers, dates and times in ISO format, NULL as null. Values without a JSON form are
//! strings: TIME in MySQL's format, bytes in base64.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{NaiveDateTime, Timelike};
use mysql_async::{Row, Value};
use serde::Serialize;

use super::error::MysqlFailure;
use super::types::{Kind, SourceColumn, TextKind, TypeOptions};
use super::values::{self, Unreadable};

pub(super) fn object(columns: &[SourceColumn], row: &Row, options: TypeOptions) -> Result<String, MysqlFailure> {
    let mut json = String::from("{");
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write_json(&mut json, &column.name);
        json.push(':');
        let value = row.as_ref(index).unwrap_or(&Value::NULL);
        write_value(&mut json, column.kind, value, options).map_err(|unreadable| MysqlFailure::Value {
            column: column.name.clone(),
            value: unreadable.value,
            hint: unreadable.hint.to_owned(),
        })?;
    }
    json.push('}');
    Ok(json)
}

fn write_value(json: &mut String, kind: Kind, value: &Value, options: TypeOptions) -> Result<(), Unreadable> {
    if *value == Value::NULL {
        json.push_str("null");
        return Ok(());
    }
    match kind {
        Kind::Flag => json.push_str(if values::flag(value)? { "true" } else { "false" }),
        Kind::Bit => json.push_str(if values::bit(value)? { "true" } else { "false" }),
        // Writing to a String cannot fail.
        Kind::Integer { .. } | Kind::UnsignedLong | Kind::Year => {
            let _ = write!(json, "{}", values::integer(value)?);
        }
        // The server writes a DECIMAL as JSON does.
        Kind::Decimal { .. } | Kind::Text(TextKind::LongDecimal) => json.push_str(values::text(value)?),
        Kind::Float => write_json(json, &values::float(value)?),
        Kind::Double => write_json(json, &values::double(value)?),
        Kind::Date => match values::moment(value, options)? {
            Some(moment) => write_json(json, &moment.format("%Y-%m-%d").to_string()),
            None => json.push_str("null"),
        },
        Kind::DateTime => match values::moment(value, options)? {
            Some(moment) => write_json(json, &iso(&moment)),
            None => json.push_str("null"),
        },
        Kind::Time { digits } => write_json(json, &values::time(value, digits)?),
        Kind::Text(_) => write_json(json, values::text(value)?),
        Kind::Binary => write_json(json, &STANDARD.encode(values::bytes(value)?)),
        Kind::Null => json.push_str("null"),
    }
    Ok(())
}

/// As Python's `isoformat`: with microseconds only if they are not zero.
fn iso(moment: &NaiveDateTime) -> String {
    let pattern = if moment.nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.6f" };
    moment.format(pattern).to_string()
}

fn write_json<T: Serialize + ?Sized>(json: &mut String, value: &T) {
    // Strings and finite numbers always have a JSON form, and the server has no other numbers.
    json.push_str(&serde_json::to_string(value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, value: Value, json: &str) {
        let options = TypeOptions { tiny_is_flag: false, zero_dates_are_null: true };
        let mut written = String::new();
        write_value(&mut written, kind, &value, options).unwrap();
        assert_eq!(written, json, "{kind:?}");
    }

    #[test]
    fn each_kind_has_its_form() {
        check(Kind::Integer { bytes: 8 }, Value::Int(-7), "-7");
        check(Kind::UnsignedLong, Value::UInt(u64::MAX), "18446744073709551615");
        check(Kind::Decimal { precision: 5, scale: 2 }, Value::Bytes(b"-0.50".to_vec()), "-0.50");
        check(Kind::Float, Value::Float(0.1), "0.1");
        check(Kind::Double, Value::Double(-1.5e300), "-1.5e+300");
        check(Kind::Date, Value::Date(2018, 3, 27, 0, 0, 0, 0), r#""2018-03-27""#);
        check(Kind::DateTime, Value::Date(2018, 3, 27, 5, 24, 10, 0), r#""2018-03-27T05:24:10""#);
        check(Kind::DateTime, Value::Date(2018, 3, 27, 5, 24, 10, 500), r#""2018-03-27T05:24:10.000500""#);
        check(Kind::DateTime, Value::Date(0, 0, 0, 0, 0, 0, 0), "null");
        check(Kind::Time { digits: 0 }, Value::Time(false, 1, 2, 3, 4, 0), r#""26:03:04""#);
        check(Kind::Text(TextKind::Characters), Value::Bytes("😀\n".into()), r#""😀\n""#);
        check(Kind::Binary, Value::Bytes(vec![0, 255]), r#""AP8=""#);
        check(Kind::Text(TextKind::Characters), Value::NULL, "null");
    }
}
