//! The Arrow types of SQL type names, where DataFusion would choose another.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Result, not_impl_err};
use datafusion::logical_expr::planner::TypePlanner;
use sqlparser::ast::{ArrayElemTypeDef, DataType as SqlType, StructField, TimezoneInfo};

use pinsql_base::engine_error::external;
use pinsql_base::schema::parse_type;

/// TIMESTAMP is a point in time in microseconds. A decimal without a precision is DECIMAL(10, 0)
/// (<https://docs.databricks.com/en/sql/language-manual/sql-ref-datatypes.html>).
#[derive(Debug)]
pub(super) struct DatabricksTypes;

impl TypePlanner for DatabricksTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let data_type = match sql_type {
            SqlType::Timestamp(None, TimezoneInfo::None) => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            SqlType::TimestampNtz(_) | SqlType::Timestamp(_, _) => {
                return not_impl_err!("{sql_type}: the one timestamp type is TIMESTAMP, a moment in UTC");
            }
            SqlType::Time(_, _) => return not_impl_err!("TIME: Delta Lake has no such type"),
            SqlType::Decimal(info) | SqlType::Dec(info) | SqlType::Numeric(info)
                if *info == sqlparser::ast::ExactNumberInfo::None =>
            {
                DataType::Decimal128(10, 0)
            }
            SqlType::Binary(None) | SqlType::Array(_) | SqlType::Map(_, _) | SqlType::Struct(_, _) => {
                parse_type(&written(sql_type)).map_err(external)?
            }
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}

/// The text of the type for `parse_type`. sqlparser writes a MAP with round brackets, which `parse_type` does not read.
fn written(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Map(key, value) => format!("MAP<{}, {}>", written(key), written(value)),
        SqlType::Array(ArrayElemTypeDef::AngleBracket(element)) => format!("ARRAY<{}>", written(element)),
        SqlType::Struct(fields, _) => {
            let field = |field: &StructField| match &field.field_name {
                Some(name) => format!("{name}: {}", written(&field.field_type)),
                None => written(&field.field_type),
            };
            format!("STRUCT<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
