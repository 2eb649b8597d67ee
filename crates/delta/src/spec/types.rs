//! The Arrow types that a Delta table can store, and the type in which it stores each.
//!
//! A type that would raise the protocol is stored as another type (a timestamp without zone becomes an instant in UTC, as the
//! zone of the session is UTC), or is refused by name. The physical schema of data files is always derived from the Delta schema,
//! never from the types of a query.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Fields, TimeUnit};

use pinsql_base::error::{Error, ErrorCode, Result};

/// The key of a column's comment in the metadata of its field. Spark uses the same key.
pub(crate) const COMMENT_KEY: &str = "comment";

/// The Arrow type of a table column that holds values of type `data_type`. `path` names the column in errors.
pub(crate) fn storable(path: &str, data_type: &DataType) -> Result<DataType> {
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32 => data_type.clone(),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        // Delta has no unsigned numbers. Values of UINT64 can overflow, and the cast is then an error.
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Timestamp(..) => timestamp(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => decimal(path, *precision, *scale)?,
        DataType::Decimal256(precision, scale) if *precision <= DECIMAL128_MAX_PRECISION => {
            decimal(path, *precision, *scale)?
        }
        DataType::Dictionary(_, value) => storable(path, value)?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => DataType::List(storable_field(path, item)?),
        DataType::Struct(fields) => DataType::Struct(storable_fields(path, fields)?),
        DataType::Map(entries, sorted) => DataType::Map(storable_field(path, entries)?, *sorted),
        DataType::Null => return Err(untyped(path)),
        other => return Err(refused(path, other)),
    })
}

/// TIMESTAMP as data files store it. Only the zone spelled `UTC` maps to it, and `+00:00` does not.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn decimal(path: &str, precision: u8, scale: i8) -> Result<DataType> {
    if scale < 0 || scale as u8 > precision {
        return Err(refused(path, &DataType::Decimal128(precision, scale)));
    }
    Ok(DataType::Decimal128(precision, scale))
}

fn storable_field(path: &str, field: &FieldRef) -> Result<FieldRef> {
    let data_type = storable(&format!("{path}.{}", field.name()), field.data_type())?;
    // A table stores the comment of a field. The other metadata is about the file that the field came from.
    let comment = field.metadata().get(COMMENT_KEY).map(|comment| (COMMENT_KEY.to_owned(), comment.clone()));
    let stored = Field::new(field.name(), data_type, field.is_nullable());
    Ok(Arc::new(stored.with_metadata(comment.into_iter().collect())))
}

fn storable_fields(path: &str, fields: &Fields) -> Result<Fields> {
    fields.iter().map(|field| storable_field(path, field)).collect()
}

fn untyped(path: &str) -> Error {
    Error::new(ErrorCode::UnsupportedDatatype, format!("column {path} has type VOID, which a table cannot hold"))
        .with_hint(format!("give it one: CAST(NULL AS STRING) AS {path}"))
}

fn refused(path: &str, data_type: &DataType) -> Error {
    Error::new(
        ErrorCode::UnsupportedDatatype,
        format!("column {path} has type {}, which a Delta table cannot hold", sql_name(data_type)),
    )
    .with_hint("cast it to a type that Delta has, such as STRING, BIGINT or DECIMAL(38, 10)")
}

/// The same type with every nested value nullable, as for `CREATE TABLE … AS`.
pub(crate) fn nullable(data_type: &DataType) -> DataType {
    let loosen = |field: &FieldRef| {
        Arc::new(field.as_ref().clone().with_data_type(nullable(field.data_type())).with_nullable(true))
    };
    match data_type {
        DataType::List(item) => DataType::List(loosen(item)),
        DataType::LargeList(item) => DataType::LargeList(loosen(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(loosen(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(loosen).collect()),
        DataType::Map(entries, sorted) => {
            let DataType::Struct(key_and_value) = entries.data_type() else { return data_type.clone() };
            let loosened = key_and_value.iter().enumerate().map(|(index, field)| {
                // The key of a map is never NULL, in Arrow and in Delta.
                let field = field.as_ref().clone().with_data_type(nullable(field.data_type()));
                Arc::new(if index == 0 { field } else { field.with_nullable(true) })
            });
            let entries = entries.as_ref().clone().with_data_type(DataType::Struct(loosened.collect()));
            DataType::Map(Arc::new(entries), *sorted)
        }
        other => other.clone(),
    }
}

/// The same type without the metadata of nested fields.
pub(crate) fn without_metadata(data_type: &DataType) -> DataType {
    let bare =
        |field: &FieldRef| Arc::new(Field::new(field.name(), without_metadata(field.data_type()), field.is_nullable()));
    match data_type {
        DataType::List(item) => DataType::List(bare(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(bare).collect()),
        DataType::Map(entries, sorted) => DataType::Map(bare(entries), *sorted),
        other => other.clone(),
    }
}

/// The SQL name of a type, for messages and DESCRIBE.
pub fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "VOID".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            format!("unsigned {}", if *data_type == DataType::UInt64 { "BIGINT" } else { "INT" })
        }
        DataType::Float16 | DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "BINARY".into()
        }
        DataType::Date32 | DataType::Date64 => "DATE".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP".into(),
        DataType::Timestamp(_, None) => "TIMESTAMP_NTZ".into(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".into(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".into(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Dictionary(_, value) => sql_name(value),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => format!("ARRAY<{}>", sql_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{}: {}", field.name(), sql_name(field.data_type()))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("MAP<{}, {}>", sql_name(pair[0].data_type()), sql_name(pair[1].data_type()))
            }
            _ => "MAP".into(),
        },
        other => other.to_string(),
    }
}

/// True if a value of type `from` can be stored in a column of type `to` without a cast in the SQL. This is the ANSI store
/// assignment of Spark: a string is never stored as a number or a date. A number that does not fit is an error when its row is
/// written.
pub fn assignable(from: &DataType, to: &DataType) -> bool {
    if from == to || *from == DataType::Null {
        return true;
    }
    match (from, to) {
        (DataType::Dictionary(_, value), to) => assignable(value, to),
        (from, DataType::Utf8) => !from.is_nested() && !is_binary(from),
        (from, DataType::Binary) => is_binary(from),
        (from, DataType::Date32 | DataType::Timestamp(..)) => from.is_temporal() && !is_interval_or_time(from),
        (from, DataType::Boolean) => *from == DataType::Boolean,
        (
            DataType::List(from)
            | DataType::LargeList(from)
            | DataType::FixedSizeList(from, _)
            | DataType::ListView(from)
            | DataType::LargeListView(from),
            DataType::List(to),
        ) => assignable(from.data_type(), to.data_type()),
        (DataType::Struct(from), DataType::Struct(to)) => {
            from.len() == to.len() && from.iter().zip(to).all(|(from, to)| assignable(from.data_type(), to.data_type()))
        }
        (DataType::Map(from, _), DataType::Map(to, _)) => assignable(from.data_type(), to.data_type()),
        (from, to) => from.is_numeric() && to.is_numeric(),
    }
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

fn is_interval_or_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_) | DataType::Time32(_) | DataType::Time64(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_stored_as_what_delta_has() {
        let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let paris = DataType::Timestamp(TimeUnit::Second, Some("Europe/Paris".into()));
        let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::LargeUtf8));
        let views = DataType::LargeList(Arc::new(Field::new("item", DataType::Utf8View, true)));
        for (from, to) in [
            (nanos, timestamp()),
            (paris, timestamp()),
            (words, DataType::Utf8),
            (DataType::UInt8, DataType::Int16),
            (DataType::UInt64, DataType::Int64),
            (DataType::Decimal256(20, 2), DataType::Decimal128(20, 2)),
            (views, DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))),
        ] {
            assert_eq!(storable("c", &from).unwrap(), to, "{from}");
        }
    }

    #[test]
    fn types_without_a_delta_type_are_refused_by_name() {
        for (refused, said) in [
            (DataType::Null, "column c has type VOID"),
            (DataType::Time64(TimeUnit::Microsecond), "column c has type TIME"),
            (DataType::Decimal256(60, 2), "column c has type DECIMAL(60, 2)"),
            (DataType::Decimal128(10, -2), "column c has type DECIMAL(10, -2)"),
            (DataType::Struct(vec![Field::new("d", DataType::Null, true)].into()), "column c.d has type VOID"),
        ] {
            let error = storable("c", &refused).unwrap_err();
            assert!(error.message.starts_with(said), "{}", error.message);
            assert!(error.hint.is_some());
        }
    }

    #[test]
    fn a_string_is_not_stored_as_a_number() {
        assert!(!assignable(&DataType::Utf8View, &DataType::Int32));
        assert!(!assignable(&DataType::Utf8, &timestamp()));
        assert!(!assignable(&DataType::Boolean, &DataType::Int32));
        assert!(assignable(&DataType::Int64, &DataType::Int32));
        assert!(assignable(&DataType::Int64, &DataType::Utf8));
        assert!(assignable(&DataType::Date32, &timestamp()));
        assert!(assignable(&DataType::Null, &DataType::Int32));
    }
}
