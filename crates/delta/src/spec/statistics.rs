//! The statistics of a data file in the Delta log: numRecords, minValues, maxValues, nullCount.
//!
//! They come from the Parquet footer that was just written, so they need no pass over the data. Readers skip files by the bounds,
//! so a bound is omitted if it could be wrong. Decimals are written digit by digit and not through a float. The maximum of a
//! timestamp is rounded up to the milliseconds of the format. Floats have no statistics in the footer, see `float_bounds.rs`.

use std::collections::{BTreeMap, BTreeSet};

use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use parquet::basic::{LogicalType, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

use crate::spec::float_bounds::{FloatColumn, FloatColumns};

/// The columns that have bounds. These columns also have a null count.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum IndexedColumns {
    /// The first top-level columns of the file.
    First(usize),
    All,
    /// These columns, by dotted path.
    Named(BTreeSet<String>),
}

impl IndexedColumns {
    /// Delta's default.
    pub(crate) const DEFAULT: Self = Self::First(32);

    pub(crate) fn includes(&self, top_level_index: usize, path: &str) -> bool {
        match self {
            Self::First(count) => top_level_index < *count,
            Self::All => true,
            Self::Named(names) => names
                .iter()
                .any(|name| path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))),
        }
    }
}

/// The statistics of a finished file as JSON text.
pub(crate) fn to_json(file: &ParquetMetaData, indexed: &IndexedColumns, floats: &FloatColumns) -> String {
    let mut minimums = Node::default();
    let mut maximums = Node::default();
    let mut null_counts = Node::default();
    let descriptor = file.file_metadata().schema_descr();
    for leaf in 0..descriptor.num_columns() {
        let column = descriptor.column(leaf);
        let path = column.path().string();
        // A column inside a list has many values for each row, so its counts would be wrong for the column.
        if column.max_rep_level() > 0 || !indexed.includes(descriptor.get_column_root_idx(leaf), &path) {
            continue;
        }
        let chunks = || file.row_groups().iter().map(|group| group.column(leaf));
        let parts = column.path().parts();
        let rows = file.file_metadata().num_rows().unsigned_abs();
        let (nulls, bounds) = match column.physical_type() {
            Type::FLOAT | Type::DOUBLE => of_floats(floats.get(&path), column.physical_type(), rows),
            _ => (null_count(chunks()), bounds(&column, chunks())),
        };
        if let Some(count) = nulls {
            null_counts.insert(parts, count.to_string());
        }
        if let Some((minimum, maximum)) = bounds {
            if let Some(minimum) = minimum.to_json(Side::Minimum) {
                minimums.insert(parts, minimum);
            }
            if let Some(maximum) = maximum.to_json(Side::Maximum) {
                maximums.insert(parts, maximum);
            }
        }
    }
    format!(
        r#"{{"numRecords":{},"minValues":{},"maxValues":{},"nullCount":{}}}"#,
        file.file_metadata().num_rows(),
        minimums.to_json(),
        maximums.to_json(),
        null_counts.to_json()
    )
}

/// The number of NULLs and the bounds of a column of floats.
fn of_floats(column: Option<&FloatColumn>, of: Type, rows: u64) -> (Option<u64>, Option<(Bound, Bound)>) {
    let Some(column) = column else { return (Some(rows), None) };
    // The value was a FLOAT before, so the cast is exact.
    let bound = |value: f64| if of == Type::FLOAT { Bound::Float(value as f32) } else { Bound::Double(value) };
    (rows.checked_sub(column.values), column.bounds().map(|(least, most)| (bound(least), bound(most))))
}

fn null_count<'a>(mut chunks: impl Iterator<Item = &'a ColumnChunkMetaData>) -> Option<u64> {
    chunks.try_fold(0, |sum, chunk| Some(sum + chunk.statistics()?.null_count_opt()?))
}

fn bounds<'a>(
    column: &ColumnDescriptor,
    chunks: impl Iterator<Item = &'a ColumnChunkMetaData>,
) -> Option<(Bound, Bound)> {
    let mut found: Option<(Bound, Bound)> = None;
    for chunk in chunks {
        let statistics = chunk.statistics()?;
        if statistics.null_count_opt()? == chunk.num_values() as u64 {
            continue;
        }
        let (minimum, maximum) = chunk_bounds(column, statistics)?;
        found = Some(match found {
            None => (minimum, maximum),
            Some((low, high)) => {
                (if minimum < low { minimum } else { low }, if maximum > high { maximum } else { high })
            }
        });
    }
    found
}

#[derive(Debug, PartialEq, PartialOrd)]
enum Bound {
    Integer(i64),
    Float(f32),
    Double(f64),
    Decimal(i128, u32),
    Date(i32),
    TimestampMicros(i64),
    /// Without a zone.
    LocalMicros(i64),
    Text(String),
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Minimum,
    Maximum,
}

fn chunk_bounds(column: &ColumnDescriptor, statistics: &Statistics) -> Option<(Bound, Bound)> {
    let logical = column.logical_type_ref();
    let scale = match logical {
        Some(LogicalType::Decimal(decimal)) => Some(u32::try_from(decimal.scale).ok()?),
        _ => None,
    };
    let integer = |value: i64| match (logical, scale) {
        (_, Some(scale)) => Some(Bound::Decimal(value.into(), scale)),
        (Some(LogicalType::Date), _) => i32::try_from(value).ok().map(Bound::Date),
        (Some(LogicalType::Timestamp(timestamp)), _) if timestamp.is_adjusted_to_u_t_c => {
            Some(Bound::TimestampMicros(value))
        }
        (Some(LogicalType::Timestamp(_)), _) => Some(Bound::LocalMicros(value)),
        _ => Some(Bound::Integer(value)),
    };
    let bytes = |value: &[u8]| match (logical, scale) {
        (_, Some(scale)) => Some(Bound::Decimal(big_endian(value)?, scale)),
        (Some(LogicalType::String), _) => String::from_utf8(value.to_vec()).ok().map(Bound::Text),
        _ => None,
    };
    match statistics {
        Statistics::Int32(values) => {
            Some((integer((*values.min_opt()?).into())?, integer((*values.max_opt()?).into())?))
        }
        Statistics::Int64(values) => Some((integer(*values.min_opt()?)?, integer(*values.max_opt()?)?)),
        Statistics::ByteArray(values) => Some((bytes(values.min_bytes_opt()?)?, bytes(values.max_bytes_opt()?)?)),
        Statistics::FixedLenByteArray(values) => {
            Some((bytes(values.min_bytes_opt()?)?, bytes(values.max_bytes_opt()?)?))
        }
        // Spark has none for booleans, INT96 is never written here, and `float_bounds.rs` counts floats.
        Statistics::Boolean(_) | Statistics::Int96(_) | Statistics::Float(_) | Statistics::Double(_) => None,
    }
}

/// A two's complement number, most significant byte first, as Parquet keeps long decimals.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let padding = if bytes.first()? & 0x80 == 0 { 0 } else { 0xFF };
    let mut wide = [padding; 16];
    wide.get_mut(16_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

impl Bound {
    fn to_json(&self, side: Side) -> Option<String> {
        match self {
            Self::Integer(value) => Some(value.to_string()),
            // JSON has no infinity.
            Self::Float(value) => value.is_finite().then(|| serde_json::to_string(value).ok())?,
            Self::Double(value) => value.is_finite().then(|| serde_json::to_string(value).ok())?,
            Self::Decimal(value, scale) => Some(decimal_text(*value, *scale as usize)),
            Self::Date(days) => {
                let text = date32_to_datetime(*days)?.format("%Y-%m-%d").to_string();
                (text.len() == "2020-01-01".len()).then(|| quoted(&text))?
            }
            Self::TimestampMicros(micros) => timestamp_text(*micros, side).and_then(|text| quoted(&text)),
            Self::LocalMicros(micros) => {
                timestamp_text(*micros, side).and_then(|text| quoted(text.trim_end_matches('Z')))
            }
            Self::Text(text) => quoted(text),
        }
    }
}

fn quoted(text: &str) -> Option<String> {
    serde_json::to_string(text).ok()
}

/// `2020-01-01T00:00:00.000Z`. Years that do not have four digits have no bound: readers disagree on how to parse them.
fn timestamp_text(micros: i64, side: Side) -> Option<String> {
    let millis = micros.div_euclid(1000) + i64::from(side == Side::Maximum && micros.rem_euclid(1000) > 0);
    let text = timestamp_us_to_datetime(millis.checked_mul(1000)?)?.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    (text.len() == "2020-01-01T00:00:00.000Z".len()).then_some(text)
}

pub(crate) fn decimal_text(value: i128, scale: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A JSON object whose leaves are already text.
#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<String, Node>,
    leaf: Option<String>,
}

impl Node {
    fn insert(&mut self, path: &[String], leaf: String) {
        let node = path.iter().fold(self, |node, part| node.children.entry(part.clone()).or_default());
        node.leaf = Some(leaf);
    }

    fn to_json(&self) -> String {
        if let Some(leaf) = &self.leaf {
            return leaf.clone();
        }
        let members: Vec<String> = self
            .children
            .iter()
            .filter_map(|(name, node)| Some(format!("{}:{}", quoted(name)?, node.to_json())))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_every_digit() {
        assert_eq!(decimal_text(0, 2), "0.00");
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(12_345_678_901_234_567_890_123, 3), "12345678901234567890.123");
        assert_eq!(decimal_text(-7, 0), "-7");
        assert_eq!(big_endian(&[0xFF, 0xFE]), Some(-2));
        assert_eq!(big_endian(&[0x01, 0x00]), Some(256));
        assert_eq!(big_endian(&[0; 17]), None);
    }

    #[test]
    fn a_maximum_is_rounded_up_and_a_minimum_down() {
        let micros = -2_208_988_800_000_001; // one microsecond before 1900
        assert_eq!(timestamp_text(micros, Side::Minimum).unwrap(), "1899-12-31T23:59:59.999Z");
        assert_eq!(timestamp_text(micros, Side::Maximum).unwrap(), "1900-01-01T00:00:00.000Z");
        assert_eq!(timestamp_text(i64::MAX, Side::Maximum), None);
        assert_eq!(timestamp_text(253_402_300_800_000_000, Side::Minimum), None, "the year 10000");
    }
}
