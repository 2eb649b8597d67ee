//! Conditions on one row: expectations, new constraints, and the constraints in the log of a table.
//!
//! A condition passes the same rewrites as an expression of a query (parameters, spelling, literals) and is then planned over its
//! columns. It cannot read another row or table. A constraint is stored in the table and evaluated by other engines, so it cannot
//! have parameters, functions whose result changes, or functions that only pinsql has.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr as EngineExpr, ExprSchemable};
use sqlparser::ast::{Expr, ExprWithAlias, Query, SelectItem, SetExpr, Spanned, Value};

use super::error_places::FunctionPlaces;
use super::literals;
use super::parameters;
use super::spelling::Spelling;
use crate::config::Param;
use crate::session::coercion::SparkCoercion;
use crate::statement::ast::StatementKind;
use crate::statement::parser::parse;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::type_name;
use pinsql_delta::{Conditions, PlanCondition};

/// Plans a condition over `columns`. Errors call it `name`.
pub(in crate::statement) fn plan(
    state: &SessionState,
    columns: &DFSchema,
    condition: &Expr,
    name: &str,
    params: &BTreeMap<String, Param>,
) -> Result<EngineExpr> {
    refuse_subqueries(condition, name)?;
    let mut query = query_of(condition.clone())?;
    parameters::bind(&mut query, params)?;
    let functions = FunctionPlaces::of(&query);
    let mut spelling = Spelling::default();
    spelling.declare_columns(columns.as_arrow().fields());
    spelling.apply(&mut query);
    literals::write_out_types(&mut query)?;
    let aliased = ExprWithAlias { expr: condition_of(query)?, alias: None };
    let planned =
        state.create_logical_expr_from_sql_expr(aliased, columns).map_err(|error| functions.locate(error.into()))?;
    let planned = SparkCoercion::new().coerce_expression(planned, columns)?;
    let data_type = planned.get_type(columns)?;
    match data_type.is_null() || data_type == DataType::Boolean {
        true => Ok(planned.cast_to(&DataType::Boolean, columns)?),
        false => Err(Error::new(
            ErrorCode::InvalidCondition,
            format!("{name} must be a BOOLEAN, and is of type {}", type_name(&data_type)),
        )
        .at(condition.span())),
    }
}

/// Plans the condition of a constraint. It must be one that other engines can evaluate, with the same result each time.
pub(in crate::statement) fn plan_constraint(
    state: &SessionState,
    columns: &DFSchema,
    condition: &Expr,
    name: &str,
) -> Result<EngineExpr> {
    if let ControlFlow::Break(span) = walk::expressions(condition, |expression| match expression {
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => ControlFlow::Break(expression.span()),
        _ => ControlFlow::Continue(()),
    }) {
        return Err(Error::new(
            ErrorCode::InvalidCondition,
            format!("{name} is stored in the table, so it cannot have a parameter"),
        )
        .at(span));
    }
    let planned = plan(state, columns, condition, name, &BTreeMap::new())?;
    let refused = |what: &str| {
        Err(Error::new(ErrorCode::InvalidCondition, format!("{name} cannot use {what}")).at(condition.span()))
    };
    if planned.exists_of(|part| matches!(part, EngineExpr::AggregateFunction(_)))? {
        return refused("an aggregate function");
    }
    if planned.exists_of(|part| matches!(part, EngineExpr::WindowFunction(_)))? {
        return refused("a window function");
    }
    if planned.is_volatile() {
        return refused("a function whose result changes from one call to the next");
    }
    for own in pinsql_udfs::all() {
        let is_own =
            |part: &EngineExpr| matches!(part, EngineExpr::ScalarFunction(call) if call.func.name() == own.name());
        if planned.exists_of(is_own)? {
            return refused(&format!("{}: other engines that write the table do not have it", own.name()));
        }
    }
    Ok(planned)
}

/// Parses the text of a condition.
pub(in crate::statement) fn parsed(sql: &str) -> Result<Expr> {
    condition_of(one_query(&format!("SELECT {sql}"))?)
}

trait Exists {
    fn exists_of(&self, is_it: impl Fn(&EngineExpr) -> bool) -> Result<bool>;
}

impl Exists for EngineExpr {
    fn exists_of(&self, is_it: impl Fn(&EngineExpr) -> bool) -> Result<bool> {
        use datafusion::common::tree_node::TreeNode;
        Ok(self.exists(|part| Ok(is_it(part)))?)
    }
}

/// Plans the constraints of a table for the Delta writer, which cannot parse SQL.
#[derive(Debug)]
struct TableConstraints;

impl PlanCondition for TableConstraints {
    fn plan(&self, sql: &str, columns: &DFSchema, state: &SessionState) -> Result<EngineExpr> {
        plan(state, columns, &parsed(sql)?, "the constraint", &BTreeMap::new())
    }
}

/// Gives the Delta writer, in plans of `state`, the planner for the constraints of tables.
pub(in crate::statement) fn register(state: &mut SessionState) {
    state.config_mut().set_extension(Arc::new(Conditions(Arc::new(TableConstraints))));
}

fn refuse_subqueries(condition: &Expr, name: &str) -> Result<()> {
    let found = walk::expressions(condition, |expression| match expression {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(expression.span()),
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(span) => {
            Err(Error::new(ErrorCode::InvalidCondition, format!("{name} cannot contain a subquery")).at(span))
        }
    }
}

/// The passes take queries, so the condition becomes the one column of a query.
fn query_of(condition: Expr) -> Result<Box<Query>> {
    let mut query = one_query("SELECT TRUE")?;
    match query.body.as_mut() {
        SetExpr::Select(select) => select.projection = vec![SelectItem::UnnamedExpr(condition)],
        _ => return Err(no_query()),
    }
    Ok(query)
}

fn one_query(sql: &str) -> Result<Box<Query>> {
    match parse(sql)?.into_iter().next().map(|statement| statement.kind) {
        Some(StatementKind::Query(query)) => Ok(query),
        _ => Err(no_query()),
    }
}

fn condition_of(query: Box<Query>) -> Result<Expr> {
    let SetExpr::Select(select) = *query.body else { return Err(no_query()) };
    match select.projection.into_iter().next() {
        Some(SelectItem::UnnamedExpr(condition)) => Ok(condition),
        _ => Err(no_query()),
    }
}

fn no_query() -> Error {
    Error::internal("a condition was lost on its way")
}
