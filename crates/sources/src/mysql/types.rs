//! The SQL type of each MySQL type, by the rules of Spark's MySQL dialect, which Databricks uses too.
//!
//! The types come from the columns of a prepared statement. So the same rules apply to tables, views and queries, and the user
//! only needs the permission to read. `docs/sql.md` has the table of the types for users.

use arrow::datatypes::{DataType, Field, Schema};
use mysql_async::Column;
use mysql_async::consts::{ColumnFlags, ColumnType};

use super::error::MysqlFailure;
use pinsql_base::schema::{STRING, timestamp};

/// The character set number of a column of bytes.
const BINARY_CHARACTER_SET: u16 = 63;
/// The largest precision of DECIMAL.
const DIGITS_MAX: u8 = 38;

/// The kind of the values of a column, on the server's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `TINYINT(1)`, which is a BOOLEAN as in Connector/J.
    Flag,
    /// `BIT(1)`.
    Bit,
    Integer {
        bytes: u8,
    },
    UnsignedLong,
    Year,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Float,
    Double,
    Date,
    DateTime,
    /// With this many fractional digits of a second.
    Time {
        digits: u8,
    },
    Text(TextKind),
    Binary,
    Null,
}

/// Texts differ in how the server compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    Characters,
    /// ENUM and SET, which the server also compares as numbers.
    Named,
    Json,
    /// A DECIMAL with more than 38 digits.
    LongDecimal,
}

/// A column of a table or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceColumn {
    pub name: String,
    pub kind: Kind,
}

/// The options for types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TypeOptions {
    /// Whether `TINYINT(1)` is a BOOLEAN.
    pub tiny_is_flag: bool,
    /// Whether a zero date, such as `0000-00-00`, is NULL. Otherwise it is an error.
    pub zero_dates_are_null: bool,
}

impl Kind {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Flag | Self::Bit => DataType::Boolean,
            Self::Integer { bytes: 1 } => DataType::Int8,
            Self::Integer { bytes: 2 } => DataType::Int16,
            Self::Integer { bytes: 4 } | Self::Year => DataType::Int32,
            Self::Integer { .. } => DataType::Int64,
            Self::UnsignedLong => DataType::Decimal128(20, 0),
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::DateTime => timestamp(),
            Self::Time { .. } | Self::Text(_) => STRING,
            Self::Binary => DataType::Binary,
            Self::Null => DataType::Null,
        }
    }

    /// Whether a value that is not NULL on the server (a zero date) may be NULL here.
    pub(super) fn is_temporal(self) -> bool {
        matches!(self, Self::Date | Self::DateTime)
    }
}

/// The columns of a prepared statement or a result.
pub(super) fn columns(described: &[Column], options: TypeOptions) -> Result<Vec<SourceColumn>, MysqlFailure> {
    let of = |column: &Column| {
        let name = column.name_str().into_owned();
        let kind = kind(column, options).ok_or_else(|| MysqlFailure::Type {
            column: name.clone(),
            data_type: format!("{:?}", column.column_type()).trim_start_matches("MYSQL_TYPE_").to_owned(),
        })?;
        Ok(SourceColumn { name, kind })
    };
    described.iter().map(of).collect()
}

/// The schema of the columns. All are nullable, as in Spark's reader.
pub(super) fn schema(columns: &[SourceColumn]) -> Schema {
    Schema::new(
        columns.iter().map(|column| Field::new(&column.name, column.kind.data_type(), true)).collect::<Vec<_>>(),
    )
}

fn kind(column: &Column, options: TypeOptions) -> Option<Kind> {
    use ColumnType as T;
    let flags = column.flags();
    let is_unsigned = flags.contains(ColumnFlags::UNSIGNED_FLAG);
    let integer = |bytes: u8| Kind::Integer { bytes: if is_unsigned { bytes * 2 } else { bytes } };
    Some(match column.column_type() {
        T::MYSQL_TYPE_TINY if column.column_length() == 1 && !is_unsigned && options.tiny_is_flag => Kind::Flag,
        T::MYSQL_TYPE_TINY => integer(1),
        T::MYSQL_TYPE_SHORT => integer(2),
        T::MYSQL_TYPE_INT24 => Kind::Integer { bytes: 4 },
        T::MYSQL_TYPE_LONG => integer(4),
        T::MYSQL_TYPE_LONGLONG if is_unsigned => Kind::UnsignedLong,
        T::MYSQL_TYPE_LONGLONG => Kind::Integer { bytes: 8 },
        T::MYSQL_TYPE_YEAR => Kind::Year,
        T::MYSQL_TYPE_NEWDECIMAL | T::MYSQL_TYPE_DECIMAL => decimal(column, is_unsigned),
        T::MYSQL_TYPE_FLOAT => Kind::Float,
        T::MYSQL_TYPE_DOUBLE => Kind::Double,
        T::MYSQL_TYPE_BIT if column.column_length() == 1 => Kind::Bit,
        T::MYSQL_TYPE_BIT | T::MYSQL_TYPE_GEOMETRY | T::MYSQL_TYPE_VECTOR => Kind::Binary,
        T::MYSQL_TYPE_DATE | T::MYSQL_TYPE_NEWDATE => Kind::Date,
        T::MYSQL_TYPE_DATETIME | T::MYSQL_TYPE_TIMESTAMP => Kind::DateTime,
        T::MYSQL_TYPE_TIME => Kind::Time { digits: column.decimals().min(6) },
        T::MYSQL_TYPE_JSON => Kind::Text(TextKind::Json),
        T::MYSQL_TYPE_ENUM | T::MYSQL_TYPE_SET => Kind::Text(TextKind::Named),
        T::MYSQL_TYPE_NULL => Kind::Null,
        T::MYSQL_TYPE_STRING
        | T::MYSQL_TYPE_VAR_STRING
        | T::MYSQL_TYPE_VARCHAR
        | T::MYSQL_TYPE_TINY_BLOB
        | T::MYSQL_TYPE_BLOB
        | T::MYSQL_TYPE_MEDIUM_BLOB
        | T::MYSQL_TYPE_LONG_BLOB => {
            if flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG) {
                Kind::Text(TextKind::Named)
            } else if column.character_set() == BINARY_CHARACTER_SET {
                Kind::Binary
            } else {
                Kind::Text(TextKind::Characters)
            }
        }
        _ => return None,
    })
}

/// The kind of a DECIMAL column, whose length counts the sign and the point.
fn decimal(column: &Column, is_unsigned: bool) -> Kind {
    let scale = column.decimals();
    let signs = u32::from(scale > 0) + u32::from(!is_unsigned);
    let precision = column.column_length().saturating_sub(signs).max(u32::from(scale)).max(1);
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if precision <= DIGITS_MAX => Kind::Decimal { precision, scale },
        _ => Kind::Text(TextKind::LongDecimal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinsql_base::schema::type_name;

    const OPTIONS: TypeOptions = TypeOptions { tiny_is_flag: true, zero_dates_are_null: true };

    fn check(column: Column, name: &str) {
        let described = format!("{column:?}");
        let columns = columns(&[column], OPTIONS).unwrap();
        assert_eq!(type_name(&columns[0].kind.data_type()), name, "{described}");
    }

    #[test]
    fn each_type_is_the_documented_one() {
        use ColumnFlags as F;
        use ColumnType as T;
        let of = |column_type: T, length: u32| Column::new(column_type).with_column_length(length);
        let unsigned = |column_type: T, length: u32| of(column_type, length).with_flags(F::UNSIGNED_FLAG);
        check(of(T::MYSQL_TYPE_TINY, 1), "BOOLEAN");
        check(of(T::MYSQL_TYPE_TINY, 4), "TINYINT");
        check(unsigned(T::MYSQL_TYPE_TINY, 1), "SMALLINT");
        check(unsigned(T::MYSQL_TYPE_SHORT, 5), "INT");
        check(unsigned(T::MYSQL_TYPE_INT24, 8), "INT");
        check(unsigned(T::MYSQL_TYPE_LONG, 10), "BIGINT");
        check(unsigned(T::MYSQL_TYPE_LONGLONG, 20), "DECIMAL(20,0)");
        check(unsigned(T::MYSQL_TYPE_YEAR, 4), "INT");
        check(of(T::MYSQL_TYPE_BIT, 1), "BOOLEAN");
        check(of(T::MYSQL_TYPE_BIT, 9), "BINARY");
        check(of(T::MYSQL_TYPE_NEWDECIMAL, 12).with_decimals(2), "DECIMAL(10,2)");
        check(unsigned(T::MYSQL_TYPE_NEWDECIMAL, 5), "DECIMAL(5,0)");
        check(of(T::MYSQL_TYPE_NEWDECIMAL, 40).with_decimals(38), "DECIMAL(38,38)");
        check(of(T::MYSQL_TYPE_NEWDECIMAL, 67).with_decimals(30), "STRING");
        check(of(T::MYSQL_TYPE_BLOB, 99).with_character_set(45), "STRING");
        check(of(T::MYSQL_TYPE_BLOB, 99).with_character_set(63), "BINARY");
        check(of(T::MYSQL_TYPE_JSON, 99).with_character_set(63), "STRING");
        check(of(T::MYSQL_TYPE_STRING, 9).with_character_set(63).with_flags(F::ENUM_FLAG), "STRING");
        check(of(T::MYSQL_TYPE_DATETIME, 26).with_decimals(6), "TIMESTAMP");
        check(of(T::MYSQL_TYPE_TIME, 10), "STRING");
    }

    #[test]
    fn tiny_int_1_is_a_number_if_the_option_says_so() {
        let options = TypeOptions { tiny_is_flag: false, ..OPTIONS };
        let column = Column::new(ColumnType::MYSQL_TYPE_TINY).with_column_length(1);
        assert_eq!(columns(&[column], options).unwrap()[0].kind, Kind::Integer { bytes: 1 });
        let unknown = Column::new(ColumnType::MYSQL_TYPE_TYPED_ARRAY).with_name(b"odd");
        let error = pinsql_base::error::Error::from(columns(&[unknown], options).unwrap_err());
        assert_eq!(error.message, "the type of the column `odd` cannot be read: TYPED_ARRAY");
    }
}
