//! The text of a value of any type, in two forms: that of CAST to STRING, and that of a cell in a result.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, IntervalDayTimeType, IntervalMonthDayNanoType,
    IntervalUnit, IntervalYearMonthType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;

use super::binary_text::not_utf8;
use super::cast_to_string::{float32_text, float64_text};
use crate::maps::entry_range;
use crate::times::text::{IntervalForm, date_text, interval_text, timestamp_text};

pub(super) const MICROSECONDS_PER_DAY: i128 = 86_400_000_000;

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// CAST to STRING: `{1, null}` for a STRUCT, `{k -> v}` for a MAP. BINARY must be UTF-8.
    Cast,
    /// A cell: `{a: 1, b: NULL}` for a STRUCT, `{k: v}` for a MAP. BINARY is in hexadecimal digits.
    Cell,
}

/// True if the value is NULL. An array without a type has only NULLs, and no buffer that tells so.
pub(crate) fn is_null(values: &dyn Array, row: usize) -> bool {
    values.data_type().is_null() || values.is_null(row)
}

/// Appends the text of a value to `out`. The recursion has the depth of the type.
///
/// # Errors
/// `CAST_INVALID_INPUT` if a BINARY is not UTF-8, in the form of a cast.
pub fn write_value(out: &mut String, values: &dyn Array, row: usize, form: Form) -> Result<()> {
    if is_null(values, row) {
        out.push_str(if form == Form::Cast { "null" } else { "NULL" });
        return Ok(());
    }
    macro_rules! value {
        ($kind:ty) => {
            values.as_primitive::<$kind>().value(row)
        };
    }
    match values.data_type() {
        DataType::Utf8 => out.push_str(values.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => out.push_str(values.as_string::<i64>().value(row)),
        DataType::Utf8View => out.push_str(values.as_string_view().value(row)),
        DataType::Binary => bytes(out, values.as_binary::<i32>().value(row), form)?,
        DataType::LargeBinary => bytes(out, values.as_binary::<i64>().value(row), form)?,
        DataType::BinaryView => bytes(out, values.as_binary_view().value(row), form)?,
        DataType::FixedSizeBinary(_) => bytes(out, values.as_fixed_size_binary().value(row), form)?,
        DataType::Float16 => out.push_str(&float32_text(value!(Float16Type).to_f32())),
        DataType::Float32 => out.push_str(&float32_text(value!(Float32Type))),
        DataType::Float64 => out.push_str(&float64_text(value!(Float64Type))),
        DataType::Decimal128(_, _) => out.push_str(&values.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Date32 => out.push_str(&date_text(value!(Date32Type))),
        DataType::Timestamp(unit, _) => out.push_str(&timestamp_text(timestamp_value(values, *unit, row), *unit)),
        DataType::Interval(_) | DataType::Duration(_) => interval(out, values, row, form),
        DataType::List(_) => {
            let list = values.as_list::<i32>();
            items(out, list.values(), crate::lists::range(list, row), form)?;
        }
        DataType::LargeList(_) => all_items(out, &values.as_list::<i64>().value(row), form)?,
        DataType::FixedSizeList(_, _) => all_items(out, &values.as_fixed_size_list().value(row), form)?,
        DataType::Struct(_) => fields(out, values, row, form)?,
        DataType::Map(_, _) => entries(out, values, row, form)?,
        DataType::Dictionary(_, value) => write_value(out, &cast(&values.slice(row, 1), value)?, 0, form)?,
        _ => {
            let formatter = ArrayFormatter::try_new(values, &FormatOptions::default())?;
            out.push_str(&formatter.value(row).try_to_string()?);
        }
    }
    Ok(())
}

/// The number in an array of timestamps.
pub(crate) fn timestamp_value(values: &dyn Array, unit: TimeUnit, row: usize) -> i64 {
    match unit {
        TimeUnit::Second => values.as_primitive::<TimestampSecondType>().value(row),
        TimeUnit::Millisecond => values.as_primitive::<TimestampMillisecondType>().value(row),
        TimeUnit::Microsecond => values.as_primitive::<TimestampMicrosecondType>().value(row),
        TimeUnit::Nanosecond => values.as_primitive::<TimestampNanosecondType>().value(row),
    }
}

fn bytes(out: &mut String, bytes: &[u8], form: Form) -> Result<()> {
    match form {
        Form::Cell => bytes.iter().for_each(|byte| out.push_str(&format!("{byte:02x}"))),
        Form::Cast => out.push_str(std::str::from_utf8(bytes).map_err(|_| not_utf8(bytes))?),
    }
    Ok(())
}

fn interval(out: &mut String, values: &dyn Array, row: usize, form: Form) {
    let form = if form == Form::Cast { IntervalForm::Literal } else { IntervalForm::Plain };
    let (months, microseconds) = interval_parts(values, row);
    out.push_str(&interval_text(months, microseconds, form));
}

/// The months and the microseconds of an interval.
pub(crate) fn interval_parts(values: &dyn Array, row: usize) -> (i64, i128) {
    match values.data_type() {
        DataType::Interval(IntervalUnit::YearMonth) => {
            (values.as_primitive::<IntervalYearMonthType>().value(row).into(), 0)
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            let value = values.as_primitive::<IntervalDayTimeType>().value(row);
            (0, i128::from(value.days) * MICROSECONDS_PER_DAY + i128::from(value.milliseconds) * 1_000)
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let value = values.as_primitive::<IntervalMonthDayNanoType>().value(row);
            let microseconds = i128::from(value.days) * MICROSECONDS_PER_DAY + i128::from(value.nanoseconds) / 1_000;
            (value.months.into(), microseconds)
        }
        DataType::Duration(TimeUnit::Second) => {
            (0, i128::from(values.as_primitive::<DurationSecondType>().value(row)) * 1_000_000)
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            (0, i128::from(values.as_primitive::<DurationMillisecondType>().value(row)) * 1_000)
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            (0, i128::from(values.as_primitive::<DurationNanosecondType>().value(row)) / 1_000)
        }
        _ => (0, values.as_primitive::<DurationMicrosecondType>().value(row).into()),
    }
}

fn all_items(out: &mut String, elements: &ArrayRef, form: Form) -> Result<()> {
    items(out, elements, 0..elements.len(), form)
}

fn items(out: &mut String, elements: &ArrayRef, places: Range<usize>, form: Form) -> Result<()> {
    out.push('[');
    for (number, place) in places.enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        write_value(out, elements, place, form)?;
    }
    out.push(']');
    Ok(())
}

fn fields(out: &mut String, values: &dyn Array, row: usize, form: Form) -> Result<()> {
    let values = values.as_struct();
    out.push('{');
    for (number, (field, column)) in values.fields().iter().zip(values.columns()).enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        if form == Form::Cell {
            out.push_str(field.name());
            out.push_str(": ");
        }
        write_value(out, column, row, form)?;
    }
    out.push('}');
    Ok(())
}

fn entries(out: &mut String, values: &dyn Array, row: usize, form: Form) -> Result<()> {
    let map = values.as_map();
    out.push('{');
    for (number, entry) in entry_range(map, row).enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        write_value(out, map.keys(), entry, form)?;
        out.push_str(if form == Form::Cast { " -> " } else { ": " });
        write_value(out, map.values(), entry, form)?;
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int32Array, NullArray, StringArray, StructArray, TimestampMicrosecondArray};
    use arrow::datatypes::Field;

    use super::*;

    fn check(values: &dyn Array, row: usize, cast: &str, cell: &str) {
        for (form, expected) in [(Form::Cast, cast), (Form::Cell, cell)] {
            let mut out = String::new();
            write_value(&mut out, values, row, form).unwrap();
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn structs_have_their_names_only_in_a_cell() {
        let values: Vec<(Arc<Field>, ArrayRef)> = vec![
            (Arc::new(Field::new("a", DataType::Int32, true)), Arc::new(Int32Array::from(vec![Some(1), None]))),
            (Arc::new(Field::new("b", DataType::Utf8, true)), Arc::new(StringArray::from(vec!["x", "y"]))),
            (Arc::new(Field::new("c", DataType::Null, true)), Arc::new(NullArray::new(2))),
        ];
        let values = StructArray::from(values);
        check(&values, 0, "{1, x, null}", "{a: 1, b: x, c: NULL}");
        check(&values, 1, "{null, y, null}", "{a: NULL, b: y, c: NULL}");
    }

    #[test]
    fn numbers_and_times_are_written_as_in_spark() {
        check(&Float64Array::from(vec![f64::INFINITY]), 0, "Infinity", "Infinity");
        check(&Float64Array::from(vec![1e20]), 0, "1.0E20", "1.0E20");
        let moments = TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC");
        check(&moments, 0, "1970-01-01 00:00:01.5", "1970-01-01 00:00:01.5");
    }
}
