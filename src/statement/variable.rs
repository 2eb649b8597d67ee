//! DECLARE VARIABLE, SET VARIABLE and DROP TEMPORARY VARIABLE: values under names, for the rest of the session.
//!
//! A value is evaluated when the statement runs, and never again: `DEFAULT rand()` is one number. Where a variable can stand is
//! in `query::variables`. SET VARIABLE of several is one after the other, as in Spark, and sets none when one fails.

use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use futures::TryStreamExt;
use sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Spanned, Value, visit_expressions};

use super::Outcome;
use super::ast::{Assigned, DeclareVariable, Name, SetVariable};
use super::query::{self, Purpose};
use super::{rows, template};
use crate::session::Session;
use crate::session::variables::Variable;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::schema::type_name;

/// Whether a statement runs, or is only resolved and typed: a check reads no data, so what a subquery would give is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Run,
    Check,
}

pub(super) async fn declare(session: &Session, declare: &DeclareVariable, mode: Mode) -> Result<Outcome> {
    for (position, name) in declare.names.iter().enumerate() {
        let variable = name_of(name)?;
        let is_twice = declare.names[..position]
            .iter()
            .any(|other| name_of(other).is_ok_and(|other| other.eq_ignore_ascii_case(variable)));
        if is_twice {
            return Err(Error::new(
                ErrorCode::VariableAlreadyExists,
                format!("the variable `{variable}` is declared twice"),
            )
            .at(name.span));
        }
        if !declare.or_replace && session.variables().get(variable).is_some() {
            return Err(Error::new(
                ErrorCode::VariableAlreadyExists,
                format!("there is a variable `{variable}` already"),
            )
            .at(name.span)
            .with_hint("DECLARE OR REPLACE VARIABLE takes its place"));
        }
    }
    let null = null();
    let value = declare.value.as_ref().unwrap_or(&null);
    let (value, data_type) = evaluate(session, value, declare.data_type.as_deref(), mode).await?;
    if data_type.is_null() {
        return Err(Error::new(ErrorCode::UnsupportedDatatype, "a variable needs a type: NULL has none")
            .at(declare.names[0].span)
            .with_hint("DECLARE VARIABLE name STRING"));
    }
    for name in &declare.names {
        let variable = Variable { value: value.clone(), data_type: data_type.clone(), default: declare.value.clone() };
        session.variables().put(name_of(name)?, variable);
    }
    Ok(Outcome::Prepared)
}

pub(super) async fn set(session: &Session, set: &SetVariable, mode: Mode) -> Result<Outcome> {
    let names: Vec<&Name> = match set {
        SetVariable::Each(assignments) => assignments.iter().map(|(name, _)| name).collect(),
        SetVariable::OfQuery { names, .. } => names.iter().collect(),
    };
    let variables = names.iter().map(|name| existing(session, name)).collect::<Result<Vec<_>>>()?;
    for (position, name) in names.iter().enumerate() {
        if names[..position]
            .iter()
            .any(|other| matches!((name_of(other), name_of(name)), (Ok(a), Ok(b)) if a.eq_ignore_ascii_case(b)))
        {
            return Err(Error::new(
                ErrorCode::InvalidAssignment,
                format!("the variable `{}` is set twice", name_of(name)?),
            )
            .at(name.span));
        }
    }
    let values = match set {
        SetVariable::OfQuery { query, .. } => of_query(session, query, &variables, mode).await?,
        SetVariable::Each(assignments) => {
            let set = each(session, assignments, &variables, mode).await;
            if set.is_err() {
                for (name, variable) in names.iter().zip(variables) {
                    session.variables().put(name_of(name)?, variable);
                }
            }
            return set.map(|()| Outcome::Prepared);
        }
    };
    for ((name, variable), value) in names.iter().zip(variables).zip(values) {
        session.variables().put(name_of(name)?, Variable { value, ..variable });
    }
    Ok(Outcome::Prepared)
}

/// Each sees what those before it were set to.
async fn each(session: &Session, assignments: &[(Name, Assigned)], variables: &[Variable], mode: Mode) -> Result<()> {
    let null = null();
    for ((name, assigned), variable) in assignments.iter().zip(variables) {
        let value = match assigned {
            Assigned::Value(value) => value,
            Assigned::Default => variable.default.as_ref().unwrap_or(&null),
        };
        let (value, _) = evaluate(session, value, Some(&type_name(&variable.data_type)), mode).await?;
        session.variables().put(name_of(name)?, Variable { value, ..variable.clone() });
    }
    Ok(())
}

pub(super) fn drop(session: &Session, name: &Name, if_exists: bool) -> Result<Outcome> {
    let variable = name_of(name)?;
    match (session.variables().remove(variable), if_exists) {
        (true, _) => Ok(Outcome::Prepared),
        (false, true) => Ok(Outcome::Done(format!("there is no variable {variable}"))),
        (false, false) => Err(unknown(session, name)),
    }
}

fn existing(session: &Session, name: &Name) -> Result<Variable> {
    session.variables().get(name_of(name)?).ok_or_else(|| unknown(session, name))
}

fn unknown(session: &Session, name: &Name) -> Error {
    let error = Error::new(ErrorCode::UnresolvedVariable, format!("there is no variable `{name}`")).at(name.span);
    let known = session.variables().names();
    let wanted = name_of(name).unwrap_or_default();
    match nearest(wanted, known.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!("DECLARE VARIABLE {name} makes it")),
    }
}

/// The name of a variable: `name`, `session.name`, `system.session.name`.
fn name_of(name: &Name) -> Result<&str> {
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
async fn evaluate(
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
    let found = visit_expressions(value, |expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// The values of a query's columns: of its only row, or NULLs when it has none.
async fn of_query(session: &Session, query: &Query, variables: &[Variable], mode: Mode) -> Result<Vec<ScalarValue>> {
    let row = row(session, query, mode).await?;
    if row.len() != variables.len() {
        let said = format!("the query gives {} columns, {} variables are set", row.len(), variables.len());
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
    // Two rows are one too many already, so no more are held.
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

/// The value of a variable that nothing else is said of.
fn null() -> Expr {
    Expr::Value(Value::Null.into())
}
