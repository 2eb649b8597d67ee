//! The order in which Spark's hash map returns its keys. `mode` returns the first of the most frequent values in this order.
//!
//! Spark counts the values in `org.apache.spark.util.collection.OpenHashMap`: a table of 64 places at first, with quadratic
//! probing, and with the hash codes of Java.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use datafusion::common::Result;

use crate::text::hash::{hash_bytes, hash_int};

const PLACES_MIN: usize = 64;
/// The seed of the hash of a text.
const TEXT_SEED: u32 = 42;

/// The indexes of `keys` in the order of the map, if they were added in their order. None for a type whose hash is unknown.
pub(super) fn order(values: &ArrayRef, keys: &[usize]) -> Result<Option<Vec<usize>>> {
    let Some(hash) = hash_codes(values)? else { return Ok(None) };
    let mut table: Vec<Option<usize>> = vec![None; PLACES_MIN];
    for (count, key) in keys.iter().enumerate() {
        put(&mut table, *key, hash(*key));
        // The table grows when it is filled to seven tenths.
        if (count + 1) * 10 > table.len() * 7 {
            let mut larger = vec![None; table.len() * 2];
            table.into_iter().flatten().for_each(|key| put(&mut larger, key, hash(key)));
            table = larger;
        }
    }
    Ok(Some(table.into_iter().flatten().collect()))
}

/// The number of places is a power of two.
fn put(table: &mut [Option<usize>], key: usize, hash: u32) {
    let mask = table.len() - 1;
    let mut place = hash_int(hash, 0) as usize & mask;
    let mut step = 1;
    while table[place].is_some() {
        place = (place + step) & mask;
        step += 1;
    }
    table[place] = Some(key);
}

type HashCode<'a> = Box<dyn Fn(usize) -> u32 + 'a>;

/// Java's `hashCode` of the values. None for other types.
fn hash_codes(values: &ArrayRef) -> Result<Option<HashCode<'static>>> {
    macro_rules! codes {
        ($kind:ty, $code:expr) => {{
            let values = values.as_primitive::<$kind>().clone();
            Box::new(move |row: usize| $code(values.value(row))) as HashCode<'static>
        }};
    }
    Ok(Some(match values.data_type() {
        DataType::Int8 => codes!(Int8Type, |value| i32::from(value).cast_unsigned()),
        DataType::Int16 => codes!(Int16Type, |value| i32::from(value).cast_unsigned()),
        DataType::Int32 => codes!(Int32Type, i32::cast_unsigned),
        DataType::Date32 => codes!(Date32Type, i32::cast_unsigned),
        DataType::Int64 => codes!(Int64Type, |value: i64| of_long(value.cast_unsigned())),
        DataType::Timestamp(_, _) => {
            codes!(TimestampMicrosecondType, |value: i64| of_long(value.cast_unsigned()))
        }
        DataType::Float32 => codes!(Float32Type, f32::to_bits),
        DataType::Float64 => codes!(Float64Type, |value: f64| of_long(value.to_bits())),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let texts = cast(values, &DataType::Utf8)?;
            Box::new(move |row| hash_bytes(texts.as_string::<i32>().value(row).as_bytes(), TEXT_SEED))
        }
        _ => return Ok(None),
    }))
}

#[expect(clippy::cast_possible_truncation, reason = "Java folds both halves into one")]
fn of_long(value: u64) -> u32 {
    (value ^ (value >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Int16Array, Int64Array};

    use super::*;

    /// The results of `mode` in PySpark 4.2, for values that are equally frequent.
    #[test]
    fn the_first_key_is_that_of_spark() {
        let first = |values: ArrayRef| order(&values, &[0, 1]).unwrap().and_then(|order| order.first().copied());
        assert_eq!(first(Arc::new(Int16Array::from(vec![1, 32767]))), Some(0));
        assert_eq!(first(Arc::new(Int64Array::from(vec![1, i64::MAX]))), Some(1));
        // 2024-02-29 and 2020-01-01.
        assert_eq!(first(Arc::new(Date32Array::from(vec![19782, 18262]))), Some(0));
    }
}
