//! Rows in the format of `spark/generate.py`: each cell shows the exact value.
//!
//! A text is in quotes and its white space is visible, so that NULL, `'NULL'`, `''` and `'\u{a0}'` are different. A
//! float has the fewest digits that identify it. The script writes Spark's rows in the same format, so both must change
//! together.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, DurationMicrosecondType, Float32Type, Float64Type, IntervalUnit, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use pinsql_base::schema::type_name;

/// The marker before a query in such a file. The types of the columns follow it.
pub(crate) const TYPES: &str = "-- types: ";
/// The marker before a statement on which Spark fails. The class of Spark's error follows it.
pub(crate) const RAISES: &str = "-- raises: ";

/// Returns the rest of the first line of `sql`, if it starts with `marker`.
pub(crate) fn marked<'a>(sql: &'a str, marker: &str) -> Option<&'a str> {
    sql.lines().next()?.strip_prefix(marker)
}

/// The types of the columns in Spark's notation. All intervals are `interval`, with any units.
pub(crate) fn types(schema: &Schema) -> String {
    let names: Vec<String> = schema.fields().iter().map(|field| type_text(field.data_type())).collect();
    names.join(", ")
}

fn type_text(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "void".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".to_owned(),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            format!("array<{}>", type_text(element.data_type()))
        }
        DataType::Struct(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|field| format!("{}:{}", field.name(), type_text(field.data_type()))).collect();
            format!("struct<{}>", fields.join(","))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) => {
                format!("map<{},{}>", type_text(entry[0].data_type()), type_text(entry[1].data_type()))
            }
            other => type_text(other),
        },
        other => type_name(other).to_lowercase(),
    }
}

/// Each row as one text: the cells, separated by ` | `.
pub(crate) fn rows(batch: &RecordBatch) -> Vec<Vec<String>> {
    let row = |row: usize| batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join(" | ");
    (0..batch.num_rows()).map(|number| vec![row(number)]).collect()
}

fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return "NULL".to_owned();
    }
    let list = |items: &dyn Array| (0..items.len()).map(|item| cell(items, item)).collect::<Vec<_>>().join(", ");
    match column.data_type() {
        DataType::Utf8 => text(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(column.as_string::<i64>().value(row)),
        DataType::Utf8View => text(column.as_string_view().value(row)),
        DataType::Binary => bytes(column.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(column.as_binary::<i64>().value(row)),
        DataType::BinaryView => bytes(column.as_binary_view().value(row)),
        DataType::Float32 => {
            let value = column.as_primitive::<Float32Type>().value(row);
            float(f64::from(value), format!("{value:?}"), format!("{value:e}"))
        }
        DataType::Float64 => {
            let value = column.as_primitive::<Float64Type>().value(row);
            float(value, format!("{value:?}"), format!("{value:e}"))
        }
        DataType::List(_) => format!("[{}]", list(&column.as_list::<i32>().value(row))),
        DataType::LargeList(_) => format!("[{}]", list(&column.as_list::<i64>().value(row))),
        DataType::FixedSizeList(_, _) => format!("[{}]", list(&column.as_fixed_size_list().value(row))),
        DataType::Struct(fields) => {
            let values = column.as_struct();
            let field = |(field, values): (_, &dyn Array)| -> String {
                let field: &arrow::datatypes::FieldRef = field;
                format!("{}: {}", field.name(), cell(values, row))
            };
            let cells: Vec<_> = fields.iter().zip(values.columns().iter().map(AsRef::as_ref)).map(field).collect();
            format!("{{{}}}", cells.join(", "))
        }
        DataType::Map(_, _) => {
            let entries = column.as_map().value(row);
            let entry = |row| format!("{}: {}", cell(entries.column(0), row), cell(entries.column(1), row));
            format!("{{{}}}", (0..entries.len()).map(entry).collect::<Vec<_>>().join(", "))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => interval(column, row),
        DataType::Duration(TimeUnit::Microsecond) => {
            format!("{} us", column.as_primitive::<DurationMicrosecondType>().value(row))
        }
        _ => plain(column, row),
    }
}

fn plain(column: &dyn Array, row: usize) -> String {
    let options = FormatOptions::default()
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f (no zone)"));
    let shown = ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string();
    match (column.data_type(), shown.split_once('.')) {
        // Trailing zeros of a fraction are removed.
        (DataType::Timestamp(_, Some(_)), Some((seconds, fraction))) => {
            format!("{seconds}.{}", fraction.trim_end_matches('0'))
        }
        _ => shown,
    }
}

/// In the format of the script: without months, it is a number of microseconds.
fn interval(column: &dyn Array, row: usize) -> String {
    let value = column.as_primitive::<arrow::datatypes::IntervalMonthDayNanoType>().value(row);
    let microseconds = i64::from(value.days) * 86_400_000_000 + value.nanoseconds / 1000;
    match value.months {
        0 => format!("{microseconds} us"),
        months => format!("{months} months {microseconds} us"),
    }
}

fn bytes(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("X'{digits}'")
}

fn float(value: f64, plain: String, scientific: String) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        0.0 => plain,
        value if (1e-3..1e7).contains(&value.abs()) => plain,
        _ => scientific,
    }
}

fn text(text: &str) -> String {
    let mut written = String::from("'");
    for character in text.chars() {
        match character {
            '\\' => written.push_str("\\\\"),
            character if is_plain(character) => written.push(character),
            character => written.push_str(&format!("\\u{{{:x}}}", u32::from(character))),
        }
    }
    written.push('\'');
    written
}

/// True if a character is visible and distinct: it is not white space other than a blank, and not a combining mark.
fn is_plain(character: char) -> bool {
    !matches!(
        u32::from(character),
        0..0x20
            | 0x7f..=0xa0
            | 0xad
            | 0x300..=0x36f
            | 0x1680
            | 0x2000..=0x200f
            | 0x2028..=0x202f
            | 0x205f..=0x206f
            | 0x3000
            | 0xfe00..=0xfe0f
            | 0xfeff
            | 0xfff0..=0xffff
    )
}
