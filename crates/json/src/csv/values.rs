//! Parses the text of one value, with Spark's rules (`UnivocityParser.makeConverter`).

use std::str::FromStr;

use crate::column::{Column, Values};
use crate::cursor::excerpt;
use crate::error::{Found, Problem, RecordError};
use crate::number::parse_decimal;
use crate::temporal::TemporalFormats;

impl Column {
    /// Pushes a value. After an error the column is unchanged.
    pub(super) fn push_csv(&mut self, text: &[u8], formats: &TemporalFormats) -> Result<(), RecordError> {
        let done = match &mut self.values {
            Values::Text(values) | Values::Binary(values) => {
                values.push(text);
                Some(())
            }
            Values::Int64(values) => integer(text).map(|value| values.push(value)),
            Values::Int32(values) => integer(text).map(|value| values.push(value)),
            Values::Int16(values) => integer(text).map(|value| values.push(value)),
            Values::Int8(values) => integer(text).map(|value| values.push(value)),
            Values::Float64(values) => floating(text).map(|value| values.push(value)),
            Values::Float32(values) => floating(text).map(|value| values.push(value)),
            Values::Boolean(values) => boolean(text).map(|value| values.append(value)),
            Values::Date(values) => formats.parse_date(text).map(|value| values.push(value)),
            Values::Timestamp(values) => formats.parse_timestamp(text).map(|value| values.push(value)),
            Values::Decimal { values, precision, scale } => {
                decimal(text, *precision, *scale).map(|value| values.push(value))
            }
            // The reader refuses such columns.
            Values::Struct(_) | Values::List { .. } | Values::Map(_) => None,
        };
        match done {
            Some(()) => {
                self.count_value();
                Ok(())
            }
            None => Err(self.csv_misfit(text)),
        }
    }

    #[cold]
    fn csv_misfit(&self, text: &[u8]) -> RecordError {
        let type_name = match &self.values {
            Values::Boolean(_) => "BOOLEAN".to_owned(),
            Values::Int8(_) => "TINYINT".to_owned(),
            Values::Int16(_) => "SMALLINT".to_owned(),
            Values::Int32(_) => "INT".to_owned(),
            Values::Int64(_) => "BIGINT".to_owned(),
            Values::Float32(_) => "FLOAT".to_owned(),
            Values::Float64(_) => "DOUBLE".to_owned(),
            Values::Decimal { precision, scale, .. } => format!("DECIMAL({precision},{scale})"),
            Values::Date(_) => "DATE".to_owned(),
            Values::Timestamp(_) => "TIMESTAMP".to_owned(),
            Values::Text(_) | Values::Binary(_) => "STRING".to_owned(),
            Values::Struct(_) | Values::List { .. } | Values::Map(_) => "a value without parts".to_owned(),
        };
        let is_number = text.iter().any(u8::is_ascii_digit)
            && text
                .iter()
                .enumerate()
                .all(|(at, byte)| byte.is_ascii_digit() || at == 0 && matches!(byte, b'-' | b'+'));
        let is_integer = matches!(
            self.values,
            Values::Int8(_) | Values::Int16(_) | Values::Int32(_) | Values::Int64(_) | Values::Decimal { .. }
        );
        let problem = if is_number && is_integer {
            Problem::OutOfRange { path: Default::default(), number: excerpt(text), type_name }
        } else {
            let found = Found::Value { kind: "the text", text: format!("\"{}\"", excerpt(text)) };
            Problem::WrongType { path: Default::default(), expected: type_name, found }
        };
        RecordError::from(problem).inside(&self.name)
    }
}

fn parse<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Digits with an optional sign, and nothing around them.
pub(super) fn integer<T: FromStr>(text: &[u8]) -> Option<T> {
    parse(text)
}

/// White space around the number is ignored, as in Java.
pub(super) fn floating<T: FromStr + From<f32>>(text: &[u8]) -> Option<T> {
    let text = text.trim_ascii();
    match text {
        b"NaN" => Some(f32::NAN.into()),
        b"Inf" | b"Infinity" | b"+Infinity" => Some(f32::INFINITY.into()),
        b"-Inf" | b"-Infinity" => Some(f32::NEG_INFINITY.into()),
        // Rust reads more words than Spark.
        _ if text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')) => parse(text),
        _ => None,
    }
}

pub(super) fn boolean(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    parse_decimal(text, precision, scale).ok()
}
