//! `date_format(value, pattern)`: formats a date or a timestamp by a pattern of Spark.
//!
//! The letters `y M L d D H h k K m s S a E Q` and text in single quotes; any other letter is an error. DataFusion's
//! function has patterns with `%`, and returns a pattern of Spark unchanged.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, Timelike, Utc};
use datafusion::common::{Result, exec_datafusion_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::to_timestamp::timestamp_type;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;

/// The number of digits of a fraction of a second.
const FRACTION_DIGITS: usize = 9;

/// `date_format`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct DateFormat {
    signature: Signature,
}

impl DateFormat {
    /// Creates the function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for DateFormat {
    fn name(&self) -> &str {
        "date_format"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [
                DataType::Timestamp(_, _) | DataType::Date32 | DataType::Utf8 | DataType::Utf8View | DataType::Null,
                _,
            ] => Ok(vec![timestamp_type(), DataType::Utf8]),
            [other, _] => plan_err!("date_format takes a date or a timestamp, not {}", type_name(other)),
            _ => plan_err!("date_format takes a date or a timestamp and a pattern"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(format, Vec::new())(&call.args)
    }
}

fn format(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (moments, patterns) =
        (arguments[0].as_primitive::<TimestampMicrosecondType>(), arguments[1].as_string::<i32>());
    let mut known: Option<(&str, Vec<Item>)> = None;
    let mut texts = StringBuilder::new();
    let mut text = String::new();
    for row in 0..moments.len() {
        if moments.is_null(row) || patterns.is_null(row) {
            texts.append_null();
            continue;
        }
        let pattern = patterns.value(row);
        let (_, items) = match known.take().filter(|(known, _)| *known == pattern) {
            Some(same) => known.insert(same),
            None => known.insert((pattern, parse(pattern)?)),
        };
        let moment = DateTime::from_timestamp_micros(moments.value(row))
            .ok_or_else(|| exec_datafusion_err!("date_format: a timestamp is out of the range of the calendar"))?;
        text.clear();
        for item in items.iter() {
            item.write(&moment, &mut text).map_err(|_| exec_datafusion_err!("date_format: no text can be written"))?;
        }
        texts.append_value(&text);
    }
    Ok(Arc::new(texts.finish()))
}

enum Item {
    Text(String),
    /// A letter and its number of repetitions.
    Field(char, usize),
}

fn parse(pattern: &str) -> Result<Vec<Item>> {
    let refuse = |reason: &str| {
        external(
            Error::new(ErrorCode::InvalidPattern, format!("the pattern `{pattern}` cannot be used: {reason}"))
                .with_hint("the letters are those of Spark's datetime patterns, such as yyyy-MM-dd HH:mm:ss"),
        )
    };
    let mut items = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(letter) = rest.next() {
        items.push(match letter {
            '\'' if rest.next_if_eq(&'\'').is_some() => Item::Text("'".to_owned()),
            '\'' => {
                let mut text = String::new();
                loop {
                    match rest.next() {
                        // Two quotes are one quote of the text.
                        Some('\'') if rest.next_if_eq(&'\'').is_some() => text.push('\''),
                        Some('\'') => break,
                        Some(other) => text.push(other),
                        None => return Err(refuse("a quote is not closed")),
                    }
                }
                Item::Text(text)
            }
            '[' | ']' | '{' | '}' | '#' => return Err(refuse(&format!("`{letter}` must stand in single quotes"))),
            letter if letter.is_ascii_alphabetic() => {
                let mut count = 1;
                while rest.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                let count_max = match letter {
                    'y' => 6,
                    'M' | 'L' | 'E' => 4,
                    'D' => 3,
                    'S' => FRACTION_DIGITS,
                    'd' | 'H' | 'h' | 'k' | 'K' | 'm' | 's' => 2,
                    'a' | 'Q' => 1,
                    _ => return Err(refuse(&format!("`{letter}` is not supported"))),
                };
                if count > count_max {
                    return Err(refuse(&format!(
                        "`{letter}` stands there {count} times, at most {count_max} are read"
                    )));
                }
                Item::Field(letter, count)
            }
            other => Item::Text(other.to_string()),
        });
    }
    Ok(items)
}

impl Item {
    fn write(&self, moment: &DateTime<Utc>, text: &mut String) -> std::fmt::Result {
        let (letter, count) = match self {
            Self::Text(literal) => return text.write_str(literal),
            Self::Field(letter, count) => (*letter, *count),
        };
        let number = match (letter, count) {
            ('y', 2) => moment.year().rem_euclid(100).unsigned_abs(),
            ('y', _) => return write!(text, "{:0count$}", moment.year()),
            ('M' | 'L', 1 | 2) => moment.month(),
            ('M' | 'L', 3) => return write!(text, "{}", moment.format("%b")),
            ('M' | 'L', _) => return write!(text, "{}", moment.format("%B")),
            ('E', 4) => return write!(text, "{}", moment.format("%A")),
            ('E', _) => return write!(text, "{}", moment.format("%a")),
            ('a', _) => return text.write_str(if moment.hour() < 12 { "AM" } else { "PM" }),
            ('S', _) => {
                let fraction = format!("{:0FRACTION_DIGITS$}", moment.nanosecond());
                return text.write_str(&fraction[..count]);
            }
            ('d', _) => moment.day(),
            ('D', _) => moment.ordinal(),
            ('Q', _) => moment.quarter(),
            ('H', _) => moment.hour(),
            ('h', _) => moment.hour12().1,
            ('K', _) => moment.hour() % 12,
            ('k', _) if moment.hour() == 0 => 24,
            ('k', _) => moment.hour(),
            ('m', _) => moment.minute(),
            _ => moment.second(),
        };
        write!(text, "{number:0count$}")
    }
}
