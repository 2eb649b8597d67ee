//! Hashes of rows, 128 bits long, the same in every process and version.
//!
//! Two rows have the same hash exactly if DISTINCT treats them as equal, except with a probability of about 1 in 10²⁰ for a
//! billion rows. Arrow's own row format may change between versions, so the encoding is defined here, and [`ENCODING`] is its
//! number:
//!
//! - the number of the operator, 4 bytes; then the value of each column, in order. All numbers are little-endian;
//! - NULL is the byte 0; every other value starts with the byte 1;
//! - BOOLEAN: one byte. Integers, DATE: 8 bytes, whatever their width. TIMESTAMP: 16 bytes, nanoseconds since 1970;
//! - FLOAT and DOUBLE: the 8 bytes of the DOUBLE; -0.0 is encoded as 0.0, and every NaN as the same NaN, as Spark compares them;
//! - DECIMAL: the scale, one byte, and the unscaled value, 16 bytes;
//! - STRING and BINARY: the length, 8 bytes, and the bytes;
//! - ARRAY: the number of elements, 8 bytes, and the elements. STRUCT: the fields, in order.
//!
//! MAP has no defined order, and Spark does not allow it in DISTINCT either.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{DataFusionError, Result as EngineResult};

use super::entries::RowHash;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::type_name;

/// The number of the encoding above.
pub(super) const ENCODING: u16 = 1;

/// The encoding of NaN, as in Java's `Double.doubleToLongBits`.
const NAN_BITS: u64 = 0x7ff8_0000_0000_0000;

/// Checks the columns of a DISTINCT over a stream. Returns an error for a column that cannot be hashed, such as a MAP.
pub fn refuse_unhashable(schema: &Schema) -> Result<()> {
    match schema.fields().iter().find(|field| !is_hashable(field.data_type())) {
        None => Ok(()),
        Some(field) => {
            let said = format!(
                "DISTINCT over a stream cannot compare the column `{}` of type {}",
                field.name(),
                type_name(field.data_type())
            );
            Err(Error::new(ErrorCode::UnsupportedFeature, said).with_hint("leave it out, or cast it to STRING"))
        }
    }
}

fn is_hashable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(element) | DataType::LargeList(element) => is_hashable(element.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_hashable(field.data_type())),
        DataType::Null | DataType::Boolean | DataType::Date32 | DataType::Timestamp(_, _) => true,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::Decimal32(_, _) | DataType::Decimal64(_, _) | DataType::Decimal128(_, _) => true,
        DataType::Float32 | DataType::Float64 => true,
        other => other.is_integer(),
    }
}

/// The hash of every row of `batch`, for the DISTINCT with the number `operator`.
pub(super) fn hash_rows(batch: &RecordBatch, operator: u32) -> EngineResult<Vec<RowHash>> {
    let mut encoded = Vec::new();
    (0..batch.num_rows())
        .map(|row| {
            encoded.clear();
            encoded.extend_from_slice(&operator.to_le_bytes());
            for column in batch.columns() {
                encode(column.as_ref(), row, &mut encoded)?;
            }
            Ok(RowHash::of(&encoded))
        })
        .collect()
}

fn encode(array: &dyn Array, row: usize, out: &mut Vec<u8>) -> EngineResult<()> {
    // A column of the type VOID has no bitmap of NULLs.
    if array.is_null(row) || *array.data_type() == DataType::Null {
        out.push(0);
        return Ok(());
    }
    out.push(1);
    macro_rules! integer {
        ($arrow_type:ty) => {
            out.extend_from_slice(&(array.as_primitive::<$arrow_type>().value(row) as i64).to_le_bytes())
        };
    }
    macro_rules! timestamp {
        ($arrow_type:ty, $nanoseconds:expr) => {{
            let value = i128::from(array.as_primitive::<$arrow_type>().value(row)) * $nanoseconds;
            out.extend_from_slice(&value.to_le_bytes());
        }};
    }
    macro_rules! decimal {
        ($arrow_type:ty, $scale:expr) => {{
            out.push(*$scale as u8);
            out.extend_from_slice(&i128::from(array.as_primitive::<$arrow_type>().value(row)).to_le_bytes());
        }};
    }
    match array.data_type() {
        DataType::Boolean => out.push(u8::from(array.as_boolean().value(row))),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Date32 => integer!(Date32Type),
        DataType::Float32 => encode_double(f64::from(array.as_primitive::<Float32Type>().value(row)), out),
        DataType::Float64 => encode_double(array.as_primitive::<Float64Type>().value(row), out),
        DataType::Timestamp(TimeUnit::Second, _) => timestamp!(TimestampSecondType, 1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => timestamp!(TimestampMillisecondType, 1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => timestamp!(TimestampMicrosecondType, 1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => timestamp!(TimestampNanosecondType, 1),
        DataType::Decimal32(_, scale) => decimal!(Decimal32Type, scale),
        DataType::Decimal64(_, scale) => decimal!(Decimal64Type, scale),
        DataType::Decimal128(_, scale) => decimal!(Decimal128Type, scale),
        DataType::Utf8 => encode_bytes(array.as_string::<i32>().value(row).as_bytes(), out),
        DataType::LargeUtf8 => encode_bytes(array.as_string::<i64>().value(row).as_bytes(), out),
        DataType::Utf8View => encode_bytes(array.as_string_view().value(row).as_bytes(), out),
        DataType::Binary => encode_bytes(array.as_binary::<i32>().value(row), out),
        DataType::LargeBinary => encode_bytes(array.as_binary::<i64>().value(row), out),
        DataType::BinaryView => encode_bytes(array.as_binary_view().value(row), out),
        DataType::List(_) => encode_list(array.as_list::<i32>().value(row).as_ref(), out)?,
        DataType::LargeList(_) => encode_list(array.as_list::<i64>().value(row).as_ref(), out)?,
        DataType::Struct(_) => {
            for field in array.as_struct().columns() {
                encode(field.as_ref(), row, out)?;
            }
        }
        other => return Err(DataFusionError::Internal(format!("DISTINCT over a stream met a {other}"))),
    }
    Ok(())
}

fn encode_double(value: f64, out: &mut Vec<u8>) {
    let bits = if value.is_nan() { NAN_BITS } else { (value + 0.0).to_bits() };
    out.extend_from_slice(&bits.to_le_bytes());
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn encode_list(elements: &dyn Array, out: &mut Vec<u8>) -> EngineResult<()> {
    out.extend_from_slice(&(elements.len() as u64).to_le_bytes());
    (0..elements.len()).try_for_each(|element| encode(elements, element, out))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, StringArray, StringViewArray};

    use super::*;

    fn hashes(columns: Vec<ArrayRef>) -> Vec<RowHash> {
        let batch =
            RecordBatch::try_from_iter(columns.into_iter().enumerate().map(|(at, column)| (at.to_string(), column)));
        hash_rows(&batch.unwrap(), 0).unwrap()
    }

    #[test]
    fn equal_rows_have_equal_hashes_and_other_rows_do_not() {
        let negative_nan = f64::from_bits(f64::NAN.to_bits() | 1 << 63);
        let doubles = hashes(vec![Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, negative_nan, 1.5]))]);
        assert_eq!((doubles[0], doubles[2]), (doubles[1], doubles[3]));
        assert_ne!(doubles[0], doubles[2]);
        // A value has the same hash for every width and layout of its column.
        assert_eq!(doubles[4], hashes(vec![Arc::new(Float32Array::from(vec![1.5]))])[0]);
        assert_eq!(
            hashes(vec![Arc::new(Int32Array::from(vec![-7]))]),
            hashes(vec![Arc::new(Int64Array::from(vec![-7]))])
        );
        let text = |left: Vec<Option<&str>>, right: Vec<Option<&str>>| {
            hashes(vec![Arc::new(StringArray::from(left)), Arc::new(StringViewArray::from(right))])
        };
        let rows = text(vec![Some("ab"), Some("a"), None, Some("")], vec![Some("c"), Some("bc"), Some(""), None]);
        let distinct: std::collections::HashSet<_> = rows.iter().collect();
        assert_eq!(distinct.len(), 4);
    }

    #[test]
    fn the_encoding_matches_its_definition() {
        let rows = hashes(vec![
            Arc::new(Int32Array::from(vec![Some(7), None])),
            Arc::new(StringArray::from(vec!["pin", "é"])),
        ]);
        let mut first = vec![0, 0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0];
        first.extend_from_slice(b"pin");
        let mut second = vec![0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0];
        second.extend_from_slice("é".as_bytes());
        assert_eq!(rows, [RowHash::of(&first), RowHash::of(&second)]);
    }
}
