//! Names and values of session variables, for DECLARE and SET VARIABLE.

use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use futures::TryStreamExt;
use sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Spanned, Value};

use super::ast::Name;
use super::query::{self, Purpose};
use super::{Mode, rows, template};
use crate::session::Session;
use crate::session::variables::Variable;
use crate::statement::walk;
use pinsql_base::engine_error::counted;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

/// The variable that `name` means. Returns UNRESOLVED_VARIABLE if there is none.
pub(super) fn resolve(session: &Session, name: &Name) -> Result<Variable> {
    session.variables().get(name_of(name)?).ok_or_else(|| not_found(session, name))
}

/// UNRESOLVED_VARIABLE, with a hint.
pub(super) fn not_found(session: &Session, name: &Name) -> Error {
    let error = Error::new(ErrorCode::UnresolvedVariable, format!("there is no variable `{name}`")).at(name.span);
    let known = session.variables().names();
    let wanted = name_of(name).unwrap_or_default();
    match nearest(wanted, known.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!("DECLARE VARIABLE {name} makes it")),
    }
}

/// The name of a variable: `name`, `session.name`, `system.session.name`.
pub(super) fn name_of(name: &Name) -> Result<&str> {
    let parts: Vec<&str> = name.parts.iter().map(|part| part.value.as_str()).collect();
    match parts.as_slice() {
        [only] => Ok(only),
        parts => query::temporary_name(parts).ok_or_else(|| {
            Error::new(ErrorCode::InvalidIdentifier, "a variable is in no schema: its name has one part")
                .at(name.span)
                .with_hint("session.name")
        }),
    }
}

/// The value and the type of an expression, cast to `data_type` if it is given.
pub(super) async fn evaluate(
    session: &Session,
    value: &Expr,
    data_type: Option<&str>,
    mode: Mode,
) -> Result<(ScalarValue, DataType)> {
    let sql = match data_type {
        Some(data_type) => format!("SELECT CAST(0 AS {data_type}) AS value"),
        None => "SELECT (0) AS value".to_owned(),
    };
    let mut query = template::query(&sql, &[], &[])?;
    let SetExpr::Select(select) = query.body.as_mut() else { return Err(Error::internal("a value was lost")) };
    match select.projection.first_mut() {
        Some(SelectItem::ExprWithAlias { expr: Expr::Cast { expr, .. } | Expr::Nested(expr), .. }) => {
            *expr.as_mut() = value.clone();
        }
        _ => return Err(Error::internal("a value was lost")),
    }
    let reads = mode == Mode::Check && has_subquery(value);
    let row = row(session, &query, if reads { Mode::Check } else { Mode::Run }).await?;
    row.into_iter().next().ok_or_else(|| Error::internal("a value was lost"))
}

fn has_subquery(value: &Expr) -> bool {
    let found = walk::expressions(value, |expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// The values of the only row of a query. They are NULL if it has no row.
pub(super) async fn values_of_query(
    session: &Session,
    query: &Query,
    variables: &[Variable],
    mode: Mode,
) -> Result<Vec<ScalarValue>> {
    let row = row(session, query, mode).await?;
    if row.len() != variables.len() {
        let said = format!("the query gives {}, {} variables are set", counted(row.len(), "column"), variables.len());
        return Err(Error::new(ErrorCode::ColumnArityMismatch, said).at(query.span()));
    }
    let cast = |((value, _), variable): ((ScalarValue, DataType), &Variable)| {
        value.cast_to(&variable.data_type).map_err(|error| Error::from(error).at(query.span()))
    };
    row.into_iter().zip(variables).map(cast).collect()
}

async fn row(session: &Session, query: &Query, mode: Mode) -> Result<Vec<(ScalarValue, DataType)>> {
    if mode == Mode::Check {
        let planned = Box::pin(query::plan(session, query, Purpose::Check)).await?;
        let fields = planned.plan.schema().as_arrow().fields().iter();
        let null = |data_type: &DataType| Ok((ScalarValue::try_from(data_type)?, data_type.clone()));
        return Ok(fields.map(|field| null(field.data_type())).collect::<Result<_, DataFusionError>>()?);
    }
    let rows = Box::pin(rows::query(session, query)).await?;
    let schema = rows.stream.schema();
    // The second row is an error, so no more rows are read.
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut stream = rows.stream;
    while let Some(batch) = stream.try_next().await? {
        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() + batch.num_rows() > 1 {
            return Err(Error::new(
                ErrorCode::ScalarSubqueryTooManyRows,
                "the query gives more than one row, and a variable has one value",
            )
            .at(query.span()));
        }
        batches.push(batch);
    }
    let batch = concat_batches(&schema, &batches).map_err(DataFusionError::from)?;
    let value = |(column, field): (usize, &arrow::datatypes::FieldRef)| {
        let value = match batch.num_rows() {
            0 => ScalarValue::try_from(field.data_type())?,
            _ => ScalarValue::try_from_array(batch.column(column), 0)?,
        };
        Ok((value, field.data_type().clone()))
    };
    Ok(schema.fields().iter().enumerate().map(value).collect::<Result<_, DataFusionError>>()?)
}

/// The value of a variable without DEFAULT.
pub(super) fn null_value() -> Expr {
    Expr::Value(Value::Null.into())
}
