//! `hash(value, …)`: Spark's hash of rows: 32-bit MurmurHash3 with seed 42. NULL does not change the hash.
//!
//! The tail of a text is hashed byte by byte, unlike in MurmurHash3, but as in Spark. A MAP has no hash, as in Spark.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::xxhash64::expect_hash;

const SEED: u32 = 42;
/// A decimal with up to this many digits is hashed as a BIGINT.
pub(super) const LONG_DIGITS_MAX: u8 = 18;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hash32 {
    signature: Signature,
}

impl Hash32 {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Hash32 {
    fn name(&self) -> &str {
        "hash"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_hash(self.name(), types)?;
        Ok(types.to_vec())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = call.number_rows;
        let arrays = call.args.into_iter().map(|value| plain(&value.into_array(rows)?)).collect::<Result<Vec<_>>>()?;
        let hash = |row: usize| -> Result<i32> {
            let hash = arrays.iter().try_fold(SEED, |seed, values| hash_value(values, row, seed))?;
            Ok(hash.cast_signed())
        };
        Ok(ColumnarValue::Array(Arc::new((0..rows).map(hash).collect::<Result<Int32Array>>()?)))
    }
}

/// Casts string views to strings, so that one match arm handles both.
fn plain(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => cast(values, &DataType::Utf8)?,
        DataType::BinaryView | DataType::LargeBinary => cast(values, &DataType::Binary)?,
        _ => Arc::clone(values),
    })
}

fn hash_value(values: &ArrayRef, row: usize, seed: u32) -> Result<u32> {
    if values.is_null(row) {
        return Ok(seed);
    }
    macro_rules! value {
        ($kind:ty) => {
            values.as_primitive::<$kind>().value(row)
        };
    }
    let int = |value: i32| hash_int(value.cast_unsigned(), seed);
    let long = |value: i64| hash_long(value.cast_unsigned(), seed);
    Ok(match values.data_type() {
        DataType::Null => seed,
        DataType::Boolean => int(values.as_boolean().value(row).into()),
        DataType::Int8 => int(value!(Int8Type).into()),
        DataType::Int16 => int(value!(Int16Type).into()),
        DataType::Int32 => int(value!(Int32Type)),
        DataType::Date32 => int(value!(Date32Type)),
        DataType::Int64 => long(value!(Int64Type)),
        DataType::Timestamp(_, _) => long(value!(TimestampMicrosecondType)),
        // -0.0 is hashed as 0.0, and every NaN as the same NaN.
        DataType::Float32 => hash_int(float_bits(value!(Float32Type)), seed),
        DataType::Float64 => hash_long(double_bits(value!(Float64Type)), seed),
        DataType::Decimal128(precision, _) => {
            let value = value!(Decimal128Type);
            match i64::try_from(value) {
                Ok(short) if *precision <= LONG_DIGITS_MAX => long(short),
                _ => hash_bytes(shortest_bytes(&value.to_be_bytes()), seed),
            }
        }
        DataType::Utf8 => hash_bytes(values.as_string::<i32>().value(row).as_bytes(), seed),
        DataType::Binary => hash_bytes(values.as_binary::<i32>().value(row), seed),
        DataType::List(_) => {
            let items = plain(&values.as_list::<i32>().value(row))?;
            (0..items.len()).try_fold(seed, |seed, item| hash_value(&items, item, seed))?
        }
        DataType::Struct(_) => {
            let fields = values.as_struct().columns();
            fields.iter().try_fold(seed, |seed, field| hash_value(&plain(field)?, row, seed))?
        }
        other => return internal_err!("a hash of {other} was asked for"),
    })
}

fn float_bits(value: f32) -> u32 {
    match value {
        value if value.is_nan() => f32::NAN.to_bits(),
        0.0 => 0,
        value => value.to_bits(),
    }
}

fn double_bits(value: f64) -> u64 {
    match value {
        value if value.is_nan() => f64::NAN.to_bits(),
        0.0 => 0,
        value => value.to_bits(),
    }
}

/// The bytes of a number without the leading bytes that only repeat the sign.
pub(super) fn shortest_bytes(bytes: &[u8]) -> &[u8] {
    let is_repeated = |pair: &[u8]| matches!((pair[0], pair[1]), (0, 0..0x80) | (0xFF, 0x80..));
    let repeated = bytes.windows(2).take_while(|pair| is_repeated(pair)).count();
    &bytes[repeated..]
}

fn mix(block: u32, hash: u32) -> u32 {
    let block = block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    (hash ^ block).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

fn finish(hash: u32, length: usize) -> u32 {
    let hash = hash ^ u32::try_from(length).unwrap_or(u32::MAX);
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

pub(crate) fn hash_int(value: u32, seed: u32) -> u32 {
    finish(mix(value, seed), 4)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves are what is hashed")]
fn hash_long(value: u64, seed: u32) -> u32 {
    finish(mix((value >> 32) as u32, mix(value as u32, seed)), 8)
}

pub(crate) fn hash_bytes(bytes: &[u8], seed: u32) -> u32 {
    let (blocks, rest) = bytes.as_chunks::<4>();
    let hash = blocks.iter().fold(seed, |hash, block| mix(u32::from_le_bytes(*block), hash));
    let hash = rest.iter().fold(hash, |hash, byte| mix(i32::from(byte.cast_signed()).cast_unsigned(), hash));
    finish(hash, bytes.len())
}
