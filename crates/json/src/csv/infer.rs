//! Infers the types of CSV columns from sample records, by Spark's rules (`CSVInferSchema`).
//!
//! Whole numbers are BIGINT, as in the inference of JSON.

use std::collections::HashMap;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema};

use super::fields::{CsvDialect, CsvFields, Value};
use super::values::{boolean, floating, integer};
use crate::temporal::TemporalFormats;
use pinsql_base::error::Result;
use pinsql_base::schema::timestamp;

/// The number of digits that holds every BIGINT.
const BIGINT_PRECISION: u8 = 20;

/// Options of the inference.
#[derive(Debug, Clone)]
pub struct CsvInferOptions {
    /// The Arrow type of STRING columns: `Utf8` or `Utf8View`.
    pub string_type: DataType,
    /// Spark's `nullValue`: a value with this text is NULL.
    pub null_value: String,
    /// Spark's `timestampFormat`.
    pub timestamp_format: Option<String>,
    /// Spark's `dateFormat`.
    pub date_format: Option<String>,
}

/// The columns of the records read so far, in the order in which their names appear first.
#[derive(Debug)]
pub struct CsvInferred {
    columns: Vec<(String, Kind)>,
    by_name: HashMap<String, usize>,
    options: CsvInferOptions,
    formats: TemporalFormats,
    fields: CsvFields,
}

/// A type that further values can widen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only NULLs so far.
    Unknown,
    Boolean,
    Long,
    /// Whole numbers past BIGINT, by their digits.
    Decimal(u8),
    Double,
    Date,
    Timestamp,
    String,
}

impl CsvInferred {
    /// Starts without a record.
    ///
    /// # Errors
    /// `INVALID_PATTERN` if a format is not valid.
    pub fn new(options: CsvInferOptions) -> Result<Self> {
        let formats = TemporalFormats::new(options.timestamp_format.as_deref(), options.date_format.as_deref())?;
        Ok(Self { columns: Vec::new(), by_name: HashMap::new(), options, formats, fields: CsvFields::default() })
    }

    /// Adds the columns of a file. Returns the positions for [`learn`](Self::learn). Upper and lower case of names do not differ.
    pub fn positions(&mut self, names: &[String]) -> Vec<usize> {
        names.iter().map(|name| self.position(name)).collect()
    }

    fn position(&mut self, name: &str) -> usize {
        *self.by_name.entry(name.to_lowercase()).or_insert_with(|| {
            self.columns.push((name.to_owned(), Kind::Unknown));
            self.columns.len() - 1
        })
    }

    /// Reads one record, whose fields belong to the columns at `positions`. A record with other fields or wrong bytes is ignored:
    /// the scan rejects it.
    pub fn learn(&mut self, record: &[u8], dialect: &CsvDialect, positions: &[usize]) {
        let is_sound = self.fields.parse(record, dialect).is_ok() && self.fields.len() == positions.len();
        if !is_sound || std::str::from_utf8(record).is_err() {
            return;
        }
        for (index, position) in positions.iter().enumerate() {
            let Some((_, kind)) = self.columns.get_mut(*position).filter(|(_, kind)| *kind != Kind::String) else {
                continue;
            };
            if let Some(value) = self.fields.get(record, index)
                && !is_null(value, &self.options.null_value)
            {
                *kind = kind.merge(Kind::of(value.text, &self.formats, &self.options));
            }
        }
    }

    /// The number of fields of a record.
    pub fn count_fields(&mut self, record: &[u8], dialect: &CsvDialect) -> usize {
        // All fields are counted also after an error.
        let _ = self.fields.parse(record, dialect);
        self.fields.len()
    }

    /// Returns the schema. All columns are nullable.
    pub fn schema(&self) -> Schema {
        let field = |(name, kind): &(String, Kind)| Field::new(name, kind.data_type(&self.options.string_type), true);
        Schema::new(self.columns.iter().map(field).collect::<Vec<_>>())
    }
}

fn is_null(value: Value<'_>, null_value: &str) -> bool {
    value.text.is_empty() && !value.is_quoted || value.text == null_value.as_bytes()
}

impl Kind {
    fn of(text: &[u8], formats: &TemporalFormats, options: &CsvInferOptions) -> Self {
        if integer::<i64>(text).is_some() {
            return Self::Long;
        }
        let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            return match u8::try_from(digits.len()) {
                Ok(digits) if digits <= DECIMAL128_MAX_PRECISION => Self::Decimal(digits),
                _ => Self::Double,
            };
        }
        if floating::<f64>(text).is_some() {
            return Self::Double;
        }
        if (options.date_format.is_some() || is_plain_date(text)) && formats.parse_date(text).is_some() {
            return Self::Date;
        }
        if (options.timestamp_format.is_some() || text.contains(&b':')) && formats.parse_timestamp(text).is_some() {
            return Self::Timestamp;
        }
        if boolean(text).is_some() { Self::Boolean } else { Self::String }
    }

    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, kind) | (kind, Self::Unknown) => kind,
            (Self::Long, Self::Decimal(digits)) | (Self::Decimal(digits), Self::Long) => {
                Self::Decimal(digits.max(BIGINT_PRECISION))
            }
            (Self::Decimal(left), Self::Decimal(right)) => Self::Decimal(left.max(right)),
            (Self::Double, Self::Long | Self::Decimal(_)) | (Self::Long | Self::Decimal(_), Self::Double) => {
                Self::Double
            }
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Self::Timestamp,
            (left, right) if left == right => left,
            _ => Self::String,
        }
    }

    fn data_type(self, string_type: &DataType) -> DataType {
        match self {
            Self::Unknown | Self::String => string_type.clone(),
            Self::Boolean => DataType::Boolean,
            Self::Long => DataType::Int64,
            Self::Decimal(precision) => DataType::Decimal128(precision, 0),
            Self::Double => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => timestamp(),
        }
    }
}

/// `yyyy-MM-dd`, the only date without a format.
fn is_plain_date(text: &[u8]) -> bool {
    text.len() == 10
        && text
            .iter()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() })
}

/// True for a text that is a value of a type other than STRING.
pub(super) fn is_typed(text: &str) -> bool {
    let text = text.as_bytes();
    floating::<f64>(text).is_some()
        || boolean(text).is_some()
        || TemporalFormats::default().parse_timestamp(text).is_some()
}
