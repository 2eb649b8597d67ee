//! Writes values into columns, with Spark's coercions (`JacksonParser.makeConverter`).
//!
//! After an error, here or below, a partial row is left. The decoder truncates it. Only in PERMISSIVE mode an error is handled
//! earlier: at the innermost object around it, as in Spark.

use std::collections::HashSet;

use super::base64;
use super::column::{Column, Entries, Members, Values};
use super::cursor::{Cursor, excerpt};
use super::error::{Problem, RecordError};
use super::names::Place;
use super::number::{DecimalProblem, Number, parse_decimal};
use super::rescued::Rescued;
use super::temporal::{MICROSECONDS_PER_SECOND, TemporalFormats};
use super::text_buffer::TextBuffer;

/// The shared state of all columns while a record is read.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) formats: TemporalFormats,
    pub(super) is_permissive: bool,
    /// True if a value became NULL because it does not fit.
    pub(super) met_misfit: bool,
    /// The values of the current record without a column. None if they are not kept.
    pub(super) rescued: Option<Rescued>,
    /// A buffer for strings with escapes.
    pub(super) scratch: Vec<u8>,
}

impl Members {
    /// Reads an object, whose `{` is next, as row `row` of the columns.
    pub(super) fn read(
        &mut self,
        row: usize,
        cursor: &mut Cursor<'_>,
        context: &mut Context,
    ) -> Result<(), RecordError> {
        cursor.enter()?;
        self.names.restart();
        let mut more = !cursor.leave(b'}');
        while more {
            let place = self.names.read(cursor, &mut context.scratch)?;
            cursor.colon()?;
            match place {
                Place::Column(index) => self.columns[index].read_member(row, self.is_root, cursor, context)?,
                Place::NotRead => cursor.skip_value()?,
                Place::OtherCase(index) if self.columns[index].len() == row => {
                    self.columns[index].read_member(row, self.is_root, cursor, context)?;
                }
                Place::OtherCase(_) | Place::Unknown => self.skip_unread(cursor, context)?,
            }
            more = cursor.another(b'}')?;
        }
        for column in &mut self.columns {
            if column.len() == row {
                column.null().map_err(|error| error.inside(&column.name))?;
            }
        }
        Ok(())
    }
}

impl Members {
    /// Steps over a value without a column, and counts it.
    fn skip_unread(&mut self, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<(), RecordError> {
        self.names.count_unread();
        cursor.value_start()?;
        let start = cursor.at;
        cursor.skip_value()?;
        if let Some(rescued) = context.rescued.as_mut().filter(|_| self.is_root) {
            rescued.add_json(&self.names.last_name(), &cursor.text[start..cursor.at]);
        }
        Ok(())
    }
}

impl Column {
    fn read_member(
        &mut self,
        row: usize,
        is_root: bool,
        cursor: &mut Cursor<'_>,
        context: &mut Context,
    ) -> Result<(), RecordError> {
        if self.len() > row {
            // The object has the field twice, and the last one counts. If the earlier one does not fit, the record is
            // rejected, as in Spark.
            self.truncate(row);
        }
        let start = cursor.mark();
        match self.read(cursor, context) {
            Ok(()) => Ok(()),
            Err(error) if is_root && context.rescued.is_some() && error.is_misfit() => {
                cursor.back_to(start);
                cursor.value_start()?;
                let first = cursor.at;
                cursor.skip_value()?;
                self.truncate(row);
                self.push_null();
                if let Some(rescued) = &mut context.rescued {
                    rescued.add_json(&self.name, &cursor.text[first..cursor.at]);
                }
                Ok(())
            }
            Err(error) if context.is_permissive && context.rescued.is_none() && error.is_misfit() => {
                cursor.back_to(start);
                cursor.skip_value()?;
                self.truncate(row);
                self.push_null();
                context.met_misfit = true;
                Ok(())
            }
            Err(error) => Err(error.inside(&self.name)),
        }
    }

    /// Reads the next value.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<(), RecordError> {
        let first = cursor.value_start()?;
        if first == b'n' {
            cursor.word("null")?;
            return self.null();
        }
        let row = self.len();
        match &mut self.values {
            Values::Text(values) => read_text(values, first, cursor)?,
            Values::Int32(values) => values.push(read_integer(first, cursor, "INT")?),
            Values::Int64(values) => values.push(read_integer(first, cursor, "BIGINT")?),
            Values::Float64(values) => values.push(read_double(first, cursor, context)?),
            Values::Boolean(values) => values.append(read_boolean(first, cursor)?),
            Values::Int8(values) => values.push(read_integer(first, cursor, "TINYINT")?),
            Values::Int16(values) => values.push(read_integer(first, cursor, "SMALLINT")?),
            Values::Float32(values) => values.push(read_float(first, cursor, context)?),
            Values::Decimal { values, precision, scale } => {
                values.push(read_decimal(first, cursor, context, *precision, *scale)?);
            }
            Values::Date(values) => values.push(read_date(first, cursor, context)?),
            Values::Timestamp(values) => values.push(read_timestamp(first, cursor, context)?),
            Values::Binary(values) => read_binary(values, first, cursor, context)?,
            Values::Struct(members) if first == b'{' => members.read(row, cursor, context)?,
            Values::Struct(_) => return Err(cursor.misfit(cursor.at, "a STRUCT")),
            Values::List { offsets, element, .. } if first == b'[' => {
                read_elements(element, cursor, context)?;
                offsets.push(element.len() as i32);
            }
            Values::List { .. } => return Err(cursor.misfit(cursor.at, "an ARRAY")),
            Values::Map(entries) if first == b'{' => entries.read(cursor, context)?,
            Values::Map(_) => return Err(cursor.misfit(cursor.at, "a MAP")),
        }
        self.count_value();
        Ok(())
    }
}

fn read_boolean(first: u8, cursor: &mut Cursor<'_>) -> Result<bool, RecordError> {
    match first {
        b't' => cursor.word("true").map(|()| true),
        b'f' => cursor.word("false").map(|()| false),
        _ => Err(cursor.misfit(cursor.at, "BOOLEAN")),
    }
}

#[inline]
fn is_number(first: u8) -> bool {
    first == b'-' || first.is_ascii_digit()
}

#[inline]
fn read_integer<T: TryFrom<i64>>(first: u8, cursor: &mut Cursor<'_>, type_name: &str) -> Result<T, RecordError> {
    let start = cursor.at;
    if is_number(first) {
        let number = cursor.number()?;
        if number.is_integer {
            let value = number.to_i64().and_then(|value| T::try_from(value).ok());
            return value.ok_or_else(|| out_of_range(number.text, type_name));
        }
    }
    Err(cursor.misfit(start, type_name))
}

fn read_double(first: u8, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<f64, RecordError> {
    read_floating(first, cursor, context, "DOUBLE", |number| number.to_f64())
}

fn read_float(first: u8, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<f32, RecordError> {
    read_floating(first, cursor, context, "FLOAT", |number| number.to_f32())
}

#[inline]
fn read_floating<T: From<f32>>(
    first: u8,
    cursor: &mut Cursor<'_>,
    context: &mut Context,
    type_name: &str,
    convert: impl Fn(Number<'_>) -> Option<T>,
) -> Result<T, RecordError> {
    if is_number(first) {
        let number = cursor.number()?;
        return convert(number).ok_or_else(|| out_of_range(number.text, type_name));
    }
    let start = cursor.at;
    let special = match read_string(first, cursor, &mut context.scratch, type_name)? {
        b"NaN" => f32::NAN,
        b"Infinity" | b"+Infinity" | b"+INF" => f32::INFINITY,
        b"-Infinity" | b"-INF" => f32::NEG_INFINITY,
        _ => return Err(cursor.misfit(start, type_name)),
    };
    Ok(special.into())
}

fn read_decimal(
    first: u8,
    cursor: &mut Cursor<'_>,
    context: &mut Context,
    precision: u8,
    scale: i8,
) -> Result<i128, RecordError> {
    let start = cursor.at;
    let type_name = || format!("DECIMAL({precision},{scale})");
    let text = if is_number(first) {
        cursor.number()?.text
    } else if first == b'"' {
        cursor.at += 1;
        cursor.string(&mut context.scratch)?
    } else {
        return Err(cursor.misfit(start, &type_name()));
    };
    parse_decimal(text, precision, scale).map_err(|problem| match problem {
        DecimalProblem::NotANumber => cursor.misfit(start, &type_name()),
        DecimalProblem::OutOfRange => out_of_range(text, &type_name()),
    })
}

fn read_date(first: u8, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<i32, RecordError> {
    let start = cursor.at;
    let text = read_string(first, cursor, &mut context.scratch, "DATE")?;
    context.formats.parse_date(text).ok_or_else(|| cursor.misfit(start, "DATE"))
}

/// A string in the format of timestamps, or a number: whole seconds since 1970, as in Spark.
fn read_timestamp(first: u8, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<i64, RecordError> {
    let start = cursor.at;
    if is_number(first) {
        let seconds: i64 = read_integer(first, cursor, "TIMESTAMP")?;
        return seconds
            .checked_mul(MICROSECONDS_PER_SECOND)
            .ok_or_else(|| out_of_range(&cursor.text[start..cursor.at], "TIMESTAMP"));
    }
    let text = read_string(first, cursor, &mut context.scratch, "TIMESTAMP")?;
    context.formats.parse_timestamp(text).ok_or_else(|| cursor.misfit(start, "TIMESTAMP"))
}

fn read_binary(
    values: &mut TextBuffer,
    first: u8,
    cursor: &mut Cursor<'_>,
    context: &mut Context,
) -> Result<(), RecordError> {
    let start = cursor.at;
    let text = read_string(first, cursor, &mut context.scratch, "BINARY")?;
    values.push_with(|out| base64::decode_into(text, out).ok_or_else(|| cursor.misfit(start, "BINARY in base64")))
}

/// Reads the elements of an array, whose `[` is next.
fn read_elements(element: &mut Column, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<(), RecordError> {
    let row_start = element.len();
    cursor.enter()?;
    let mut more = !cursor.leave(b']');
    while more {
        if let Err(error) = element.read(cursor, context) {
            return Err(error.inside(&format!("[{}]", element.len() - row_start)));
        }
        more = cursor.another(b']')?;
    }
    Ok(())
}

impl Entries {
    /// Reads the entries of an object, whose `{` is next. For a duplicate key, the last value counts.
    fn read(&mut self, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<(), RecordError> {
        let start = cursor.mark();
        let row_start = self.row_start();
        self.read_except(&[], cursor, context)?;
        let superseded = self.superseded(row_start);
        if !superseded.is_empty() {
            self.truncate_entries(row_start);
            cursor.back_to(start);
            self.read_except(&superseded, cursor, context)?;
        }
        self.end_row();
        Ok(())
    }

    /// Skips the entries whose ordinals, in order, are in `superseded`.
    fn read_except(
        &mut self,
        mut superseded: &[usize],
        cursor: &mut Cursor<'_>,
        context: &mut Context,
    ) -> Result<(), RecordError> {
        cursor.enter()?;
        let mut more = !cursor.leave(b'}');
        let mut ordinal = 0;
        while more {
            cursor.name_start()?;
            if superseded.first() == Some(&ordinal) {
                superseded = &superseded[1..];
                cursor.skip_string()?;
                cursor.colon()?;
                cursor.skip_value()?;
            } else {
                self.keys.push_string(cursor)?;
                cursor.colon()?;
                if let Err(error) = self.value.read(cursor, context) {
                    let key = self.keys.get(self.value.len());
                    return Err(error.inside(&format!("['{}']", excerpt(&key))));
                }
            }
            ordinal += 1;
            more = cursor.another(b'}')?;
        }
        Ok(())
    }

    /// The ordinals of the entries, from `row_start`, whose key appears again later.
    fn superseded(&self, row_start: usize) -> Vec<usize> {
        let count = self.value.len() - row_start;
        if count < 2 {
            return Vec::new();
        }
        let mut later = HashSet::with_capacity(count);
        let mut superseded: Vec<_> =
            (0..count).rev().filter(|ordinal| !later.insert(self.keys.get(row_start + ordinal))).collect();
        superseded.reverse();
        superseded
    }
}

/// The content of a string. Any other value does not fit.
#[inline]
fn read_string<'s, 'a: 's>(
    first: u8,
    cursor: &mut Cursor<'a>,
    scratch: &'s mut Vec<u8>,
    type_name: &str,
) -> Result<&'s [u8], RecordError> {
    if first != b'"' {
        return Err(cursor.misfit(cursor.at, type_name));
    }
    cursor.at += 1;
    cursor.string(scratch)
}

/// The content of a string, or the text of any other value as it is in the record.
#[inline]
fn read_text(values: &mut TextBuffer, first: u8, cursor: &mut Cursor<'_>) -> Result<(), RecordError> {
    if first == b'"' {
        cursor.at += 1;
        return values.push_string(cursor);
    }
    let start = cursor.at;
    cursor.skip_value()?;
    values.push(&cursor.text[start..cursor.at]);
    Ok(())
}

impl TextBuffer {
    /// A string after its opening quote.
    #[inline]
    fn push_string(&mut self, cursor: &mut Cursor<'_>) -> Result<(), RecordError> {
        match cursor.plain_string()? {
            Some(plain) => {
                self.push(plain);
                Ok(())
            }
            None => self.push_with(|out| cursor.string_into(out)),
        }
    }
}

fn out_of_range(number: &[u8], type_name: &str) -> RecordError {
    let (number, type_name) = (excerpt(number), type_name.to_owned());
    Problem::OutOfRange { path: Default::default(), number, type_name }.into()
}
