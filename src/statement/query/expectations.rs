//! `CONSTRAINT name EXPECT (condition)`: planned over the columns that the query gives.
//!
//! The condition goes the way of any expression of a query: parameters, spelling, literals, and then the optimizer, with
//! the plan that it is marked in. As in Databricks it sees one row and no other table.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr as EngineExpr, ExprSchemable, LogicalPlan};
use sqlparser::ast::{Expr, ExprWithAlias, Query, SelectItem, SetExpr, Spanned, visit_expressions};

use super::spelling::Spelling;
use super::{casts, function_spans, locate, parameters};
use crate::error::{Error, Result, Span};
use crate::operators::marker::{Mark, Marker};
use crate::operators::{OnViolation, Rule};
use crate::schema::type_name;
use crate::session::{Session, literals};
use crate::statement::ast::StatementKind;
use crate::statement::parser::parse;

/// One expectation, as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    pub name: String,
    pub condition: Expr,
    /// The condition as it is written.
    pub text: String,
    pub action: OnViolation,
    pub span: Span,
}

/// `plan` with the expectations held against its rows.
pub(super) fn mark(
    session: &Session,
    state: &SessionState,
    plan: LogicalPlan,
    expectations: &[Expectation],
) -> Result<LogicalPlan> {
    if expectations.is_empty() {
        return Ok(plan);
    }
    let mut names = HashSet::new();
    let mut rules = Vec::with_capacity(expectations.len());
    let mut expressions = Vec::with_capacity(expectations.len());
    for expectation in expectations {
        if !names.insert(expectation.name.to_lowercase()) {
            let said = format!("two expectations are named `{}`", expectation.name);
            return Err(Error::sql(said).at(expectation.span));
        }
        expressions
            .push(plan_condition(session, state, &plan, expectation).map_err(|error| error.at(expectation.span))?);
        rules.push(Rule { name: expectation.name.clone(), text: expectation.text.clone(), action: expectation.action });
    }
    let plan = Marker { mark: Mark::Expect(rules), expressions, input: plan }.into_plan();
    casts::refuse_casts(&plan)?;
    // The optimizer is the one that types the plan: what it refuses is an error of the SQL.
    state.optimize(&plan)?;
    Ok(plan)
}

fn plan_condition(
    session: &Session,
    state: &SessionState,
    plan: &LogicalPlan,
    expectation: &Expectation,
) -> Result<EngineExpr> {
    refuse_subqueries(&expectation.condition)?;
    let mut query = query_of(expectation.condition.clone())?;
    parameters::bind(&mut query, &session.params())?;
    let functions = function_spans(&query);
    let mut spelling = Spelling::default();
    spelling.declare_columns(plan.schema().as_arrow().fields());
    spelling.apply(&mut query);
    literals::write_out_types(&mut query);
    let condition = ExprWithAlias { expr: condition_of(query)?, alias: None };
    let planned = state
        .create_logical_expr_from_sql_expr(condition, plan.schema())
        .map_err(|error: DataFusionError| locate(error.into(), &functions))?;
    let data_type = planned.get_type(plan.schema())?;
    match data_type.is_null() || data_type == arrow::datatypes::DataType::Boolean {
        true => Ok(planned.cast_to(&arrow::datatypes::DataType::Boolean, plan.schema())?),
        false => Err(Error::sql(format!(
            "the expectation `{}` is no condition: it is of type {}",
            expectation.name,
            type_name(&data_type)
        ))
        .at(expectation.condition.span())),
    }
}

fn refuse_subqueries(condition: &Expr) -> Result<()> {
    let found = visit_expressions(condition, |expression| match expression {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(expression.span()),
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(span) => Err(Error::sql("an expectation looks at one row, and at no other table").at(span)),
    }
}

/// The rules of a query are written for queries: the condition travels as the one column of one.
fn query_of(condition: Expr) -> Result<Box<Query>> {
    let statement = parse("SELECT TRUE")?.into_iter().next().map(|statement| statement.kind);
    let Some(StatementKind::Query(mut query)) = statement else { return Err(no_query()) };
    match query.body.as_mut() {
        SetExpr::Select(select) => select.projection = vec![SelectItem::UnnamedExpr(condition)],
        _ => return Err(no_query()),
    }
    Ok(query)
}

fn condition_of(query: Box<Query>) -> Result<Expr> {
    let SetExpr::Select(select) = *query.body else { return Err(no_query()) };
    match select.projection.into_iter().next() {
        Some(SelectItem::UnnamedExpr(condition)) => Ok(condition),
        _ => Err(no_query()),
    }
}

fn no_query() -> Error {
    Error::internal("the condition of an expectation was lost on its way")
}
