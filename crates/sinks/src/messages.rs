//! The columns of a query as the parts of a message, for the sinks into Kafka and Kinesis.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::scalar::ScalarValue;

use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::schema::type_name;

/// A part of a message: the name of its column, and the type to which the column is cast.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) data_type: DataType,
    pub(super) is_required: bool,
}

/// Changes `plan` to exactly the columns of `parts`, in their order. A missing optional column becomes NULL, and text becomes
/// bytes. Returns an error for a column that is no part, a missing required column, and a wrong type.
pub(super) fn shape(plan: LogicalPlan, kind: &str, parts: &[Part]) -> Result<LogicalPlan> {
    let names = || parts.iter().map(|part| part.name).collect::<Vec<_>>().join(", ");
    for field in plan.schema().fields() {
        if !parts.iter().any(|part| part.name.eq_ignore_ascii_case(field.name())) {
            let error =
                Error::new(ErrorCode::InvalidSinkDefinition, format!("a message of {kind} has no `{}`", field.name()));
            return Err(match nearest(field.name(), parts.iter().map(|part| part.name)) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error.with_hint(format!("the columns of the query are {}", names())),
            });
        }
    }
    let columns = parts.iter().map(|part| {
        let mut given = plan.schema().iter().filter(|(_, field)| part.name.eq_ignore_ascii_case(field.name()));
        let Some((qualifier, field)) = given.next() else {
            return match part.is_required {
                true => Err(Error::new(
                    ErrorCode::InvalidSinkDefinition,
                    format!("a message of {kind} needs a column `{}`", part.name),
                )
                .with_hint(format!("the columns of the query are {}", names()))),
                false => Ok(lit(ScalarValue::try_from(&part.data_type)?).alias(part.name)),
            };
        };
        if given.next().is_some() {
            return Err(Error::new(
                ErrorCode::DuplicateColumn,
                format!("two columns of the query are called `{}`", part.name),
            ));
        }
        if !fits(field.data_type(), &part.data_type) {
            return Err(Error::new(
                ErrorCode::DatatypeMismatch,
                format!(
                    "the column `{}` is {}, and a message needs {}",
                    part.name,
                    type_name(field.data_type()),
                    if part.data_type == DataType::Binary {
                        "bytes or text".to_owned()
                    } else {
                        type_name(&part.data_type)
                    }
                ),
            )
            .with_hint(format!("cast it, such as CAST({} AS STRING)", part.name)));
        }
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        Ok(column.cast_to(&part.data_type, plan.schema())?.alias(part.name))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

fn fits(given: &DataType, wanted: &DataType) -> bool {
    match wanted {
        DataType::Binary => {
            given.is_string() || matches!(given, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
        }
        DataType::Utf8 => given.is_string(),
        _ => given.is_integer(),
    }
}

/// A column of bytes in a batch of a plan from [`shape`].
pub(super) fn bytes_of(batch: &RecordBatch, column: usize) -> Result<&BinaryArray> {
    batch.column(column).as_binary_opt::<i32>().ok_or_else(|| wrong_column_type(batch.column(column)))
}

/// The error for a column with another type than [`shape`] gave it.
pub(super) fn wrong_column_type(column: &ArrayRef) -> Error {
    Error::internal(format!("a column of a sink's messages is {}", column.data_type()))
}

/// The value in `row`, or None for NULL.
pub(super) fn value_of(values: &BinaryArray, row: usize) -> Option<&[u8]> {
    values.is_valid(row).then(|| values.value(row))
}
