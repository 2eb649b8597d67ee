//! The mapping between Databricks' type names and Arrow types: `'a INT, b ARRAY<STRING>'` to Arrow, and back.
//!
//! There is one mapping, so a type has the same meaning in the `schema` of a source, in DDL and in `DESCRIBE`. TIMESTAMP is an
//! instant: microseconds in UTC, as in Delta Lake. STRING is [`STRING`]. Types that need a higher Delta protocol than the
//! lowest one (intervals, VARIANT) are errors on purpose.

mod ddl;

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};

pub use ddl::{parse_schema, parse_type};

/// The Arrow type of STRING. Views make `SELECT DISTINCT` over wide rows faster than offsets, because operators pass rows on
/// without a copy of their text.
pub const STRING: DataType = DataType::Utf8View;

/// The time zone in the Arrow type of every TIMESTAMP.
pub const UTC: &str = "UTC";

/// The Arrow type of TIMESTAMP: microseconds in [`UTC`].
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// Returns the name of a type in Databricks' syntax, such as `ARRAY<STRING>`.
pub fn type_name(data_type: &DataType) -> String {
    let mut name = String::new();
    write_type_name(&mut name, data_type);
    name
}

/// Returns the SQL type for a type in a file. Unsigned integers become the next larger signed type, as in Spark. Strings,
/// instants and lists become their one Arrow type. A dictionary becomes the type of its values.
pub fn normalize_type(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        Arc::new(field.as_ref().clone().with_data_type(normalize_type(field.data_type())))
    };
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => STRING,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Date64 => DataType::Date32,
        // The Parquet reader returns INT96 as nanoseconds without a zone. It is an instant.
        DataType::Timestamp(_, Some(_)) | DataType::Timestamp(TimeUnit::Nanosecond, None) => timestamp(),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Dictionary(_, values) => normalize_type(values),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => DataType::List(field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        other => other.clone(),
    }
}

/// Applies [`normalize_type`] to every column. Metadata is dropped.
pub fn normalize_schema(schema: &Schema) -> Schema {
    let fields = schema.fields().iter();
    Schema::new(
        fields
            .map(|field| Field::new(field.name(), normalize_type(field.data_type()), field.is_nullable()))
            .collect::<Fields>(),
    )
}

/// The Arrow type of `ARRAY<item>`, with nullable elements.
pub fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// The Arrow type of `MAP<key, value>`, with nullable values.
pub fn map_of(key: DataType, value: DataType) -> DataType {
    let entries = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

fn write_type_name(name: &mut String, data_type: &DataType) {
    match data_type {
        DataType::Null => name.push_str("VOID"),
        DataType::Boolean => name.push_str("BOOLEAN"),
        DataType::Int8 => name.push_str("TINYINT"),
        DataType::Int16 => name.push_str("SMALLINT"),
        DataType::Int32 => name.push_str("INT"),
        DataType::Int64 => name.push_str("BIGINT"),
        DataType::Float32 => name.push_str("FLOAT"),
        DataType::Float64 => name.push_str("DOUBLE"),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            // Writing to a String cannot fail.
            let _ = write!(name, "DECIMAL({precision},{scale})");
        }
        DataType::Utf8View => name.push_str("STRING"),
        DataType::Binary => name.push_str("BINARY"),
        DataType::Date32 => name.push_str("DATE"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => name.push_str("TIMESTAMP"),
        DataType::Timestamp(TimeUnit::Microsecond, None) => name.push_str("TIMESTAMP_NTZ"),
        DataType::List(item) => {
            name.push_str("ARRAY<");
            write_type_name(name, item.data_type());
            name.push('>');
        }
        DataType::Map(entries, _) => {
            name.push_str("MAP<");
            if let DataType::Struct(fields) = entries.data_type() {
                for (index, field) in fields.iter().enumerate() {
                    name.push_str(if index == 0 { "" } else { ", " });
                    write_type_name(name, field.data_type());
                }
            }
            name.push('>');
        }
        DataType::Struct(fields) => {
            name.push_str("STRUCT<");
            for (index, field) in fields.iter().enumerate() {
                name.push_str(if index == 0 { "" } else { ", " });
                write_identifier(name, field.name());
                name.push_str(": ");
                write_type_name(name, field.data_type());
            }
            name.push('>');
        }
        DataType::Interval(_) | DataType::Duration(_) => name.push_str("INTERVAL"),
        other => {
            let normalized = normalize_type(other);
            if normalized == *other {
                let _ = write!(name, "{other}");
            } else {
                write_type_name(name, &normalized);
            }
        }
    }
}

fn write_identifier(name: &mut String, identifier: &str) {
    let plain = identifier.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && identifier.chars().all(|character| character.is_alphanumeric() || character == '_');
    if plain {
        name.push_str(identifier);
    } else {
        let _ = write!(name, "`{}`", identifier.replace('`', "``"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ddl: &str, name: &str) {
        let data_type = parse_type(ddl).unwrap();
        assert_eq!(type_name(&data_type), name, "{ddl}");
        assert_eq!(parse_type(name).unwrap(), data_type, "{name} reads back");
    }

    #[test]
    fn every_type_reads_and_writes() {
        check("boolean", "BOOLEAN");
        check("byte", "TINYINT");
        check("SMALLINT", "SMALLINT");
        check("integer", "INT");
        check("long", "BIGINT");
        check("Float", "FLOAT");
        check("double", "DOUBLE");
        check("decimal", "DECIMAL(10,0)");
        check("DECIMAL ( 38 , 18 )", "DECIMAL(38,18)");
        check("NUMERIC(5)", "DECIMAL(5,0)");
        check("string", "STRING");
        check("binary", "BINARY");
        check("date", "DATE");
        check("timestamp_ltz", "TIMESTAMP");
        check("ARRAY<ARRAY<DOUBLE>>", "ARRAY<ARRAY<DOUBLE>>");
        check("map<string,array<int>>", "MAP<STRING, ARRAY<INT>>");
        check("STRUCT<a INT, `b c`: STRUCT<d: STRING>>", "STRUCT<a: INT, `b c`: STRUCT<d: STRING>>");
        check("struct<>", "STRUCT<>");
    }

    #[test]
    fn timestamps_are_instants_in_utc() {
        assert_eq!(parse_type("TIMESTAMP").unwrap(), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    }

    #[test]
    fn types_of_files_become_types_of_sql() {
        assert_eq!(type_name(&normalize_type(&DataType::UInt64)), "DECIMAL(20,0)");
        assert_eq!(type_name(&DataType::LargeUtf8), "STRING");
        assert_eq!(type_name(&DataType::Timestamp(TimeUnit::Nanosecond, None)), "TIMESTAMP");
        assert_eq!(type_name(&DataType::Timestamp(TimeUnit::Millisecond, None)), "TIMESTAMP_NTZ");
    }
}
