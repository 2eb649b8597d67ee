//! Plans the bodies of SQL functions, which `sql_functions` adds to a query as WITH queries. Each is planned before its callers.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::Column;
use datafusion::datasource::{TableProvider, ViewTable};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use sqlparser::ast::{Cte, Query};

use super::inline::{Bodies, Body, Placeholder, Values};
use super::literals;
use super::sql_functions::{NO_PARAMETERS, RELATIONS_SCHEMA, SCALAR_PREFIX, TABLE_PREFIX};
use super::variable_values::KEPT_PREFIX;
use super::{joins, struct_star, variable_values};
use crate::catalog::CATALOG_NAME;
use crate::session::coercion::SparkCoercion;
use crate::session::variables::Values as Variables;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Removes the bodies from `query`, and also the WITH query of `variable_values`.
pub(super) fn take(query: &mut Query) -> Vec<Cte> {
    let Some(with) = &mut query.with else { return Vec::new() };
    let is_body = |common: &Cte| {
        let name = &common.alias.name.value;
        [SCALAR_PREFIX, TABLE_PREFIX, KEPT_PREFIX].iter().any(|prefix| name.starts_with(prefix))
    };
    let (bodies, common) = std::mem::take(&mut with.cte_tables).into_iter().partition(is_body);
    with.cte_tables = common;
    if with.cte_tables.is_empty() {
        query.with = None;
    }
    bodies
}

/// Plans the bodies in order. Registers a placeholder for each scalar function and a relation for each table function in `state`.
pub(super) async fn plan(state: &mut SessionState, variables: &Variables, taken: Vec<Cte>) -> Result<Bodies> {
    let mut planned = Bodies::default();
    for body in taken.into_iter().filter(|common| !common.alias.name.value.starts_with(KEPT_PREFIX)) {
        let name = body.alias.name.value.clone();
        let shown = name.trim_start_matches(TABLE_PREFIX).trim_start_matches(SCALAR_PREFIX).to_owned();
        Box::pin(plan_body(state, variables, &mut planned, &name, *body.query))
            .await
            .map_err(|error| Error { message: format!("in the function {shown}: {}", error.message), ..error })?;
    }
    Ok(planned)
}

async fn plan_body(
    state: &mut SessionState,
    variables: &Variables,
    planned: &mut Bodies,
    name: &str,
    mut query: Query,
) -> Result<()> {
    literals::write_out_types(&mut query)?;
    joins::write_out(state, variables, &mut query).await?;
    struct_star::expand(state, &mut query).await?;
    let plan = planned.put_in(variable_values::plan(state, variables, query).await?)?;
    let plan = SparkCoercion::new().coerce(plan)?;
    let parts = Parts::of(&plan).ok_or_else(no_expression)?;
    match name.strip_prefix(TABLE_PREFIX) {
        Some(relation) => register_relation(state, relation, table_plan(parts)?),
        None => {
            let result = plan.schema().field(0).data_type().clone();
            let types = parts.parameters.iter().map(|(_, data_type)| data_type.clone()).collect();
            let placeholder = ScalarUDF::new_from_impl(Placeholder::new(name, types, result));
            state.register_udf(Arc::new(placeholder))?;
            let shown = name.trim_start_matches(SCALAR_PREFIX).to_owned();
            let body = Body { name: shown, parameters: parts.parameters, expression: parts.result };
            planned.0.insert(name.to_owned(), body);
            Ok(())
        }
    }
}

/// The parts of the plan of a body.
struct Parts {
    result: Expr,
    parameters: Vec<(Column, DataType)>,
    arguments: Vec<Expr>,
}

impl Parts {
    /// None if the plan is more than one expression over the parameters.
    fn of(plan: &LogicalPlan) -> Option<Self> {
        let LogicalPlan::Projection(body) = plan else { return None };
        let LogicalPlan::SubqueryAlias(row) = body.input.as_ref() else { return None };
        let LogicalPlan::Projection(arguments) = row.input.as_ref() else { return None };
        let [result] = body.expr.as_slice() else { return None };
        let columns = row.schema.iter().filter(|(_, field)| field.name() != NO_PARAMETERS);
        Some(Self {
            result: result.clone().unalias(),
            parameters: columns.map(|column| (Column::from(column), column.1.data_type().clone())).collect(),
            arguments: arguments.expr.iter().map(|argument| argument.clone().unalias()).collect(),
        })
    }
}

/// Checks that the plan of a body can be inlined.
pub(in crate::statement) fn check(plan: &LogicalPlan) -> Result<()> {
    Parts::of(plan).map(drop).ok_or_else(no_expression)
}

/// The columns of a table function, from the plan of its body.
pub(in crate::statement) fn columns(plan: &LogicalPlan) -> Result<Vec<(String, DataType)>> {
    let table = table_plan(Parts::of(plan).ok_or_else(no_expression)?)?;
    Ok(table.schema().fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect())
}

fn no_expression() -> Error {
    Error::new(
        ErrorCode::InvalidFunctionDefinition,
        "the body of a scalar function is an expression of its arguments, without aggregates, \
         window functions and generators",
    )
    .with_hint("a subquery can have them: RETURN (SELECT max(a) FROM t)")
}

fn table_plan(parts: Parts) -> Result<LogicalPlan> {
    let Expr::Exists(Exists { subquery, .. }) = parts.result else {
        return Err(Error::internal("the body of a table function was lost on its way"));
    };
    if parts.arguments.iter().any(|argument| argument.contains_scalar_subquery() || argument.is_volatile()) {
        return Err(Error::new(ErrorCode::InvalidExpression, "the arguments of a table function are constants"));
    }
    let columns = parts.parameters.into_iter().map(|(column, _)| column);
    let values = Values::of_outer(columns.zip(parts.arguments));
    Ok(values.put_in_subquery(Arc::unwrap_or_clone(subquery.subquery))?)
}

fn register_relation(state: &SessionState, relation: &str, plan: LogicalPlan) -> Result<()> {
    let lost = || Error::internal("the catalog of a query was lost on its way");
    let catalog = state.catalog_list().catalog(CATALOG_NAME).ok_or_else(lost)?;
    if catalog.schema(RELATIONS_SCHEMA).is_none() {
        catalog.register_schema(RELATIONS_SCHEMA, Arc::new(MemorySchemaProvider::new()))?;
    }
    let provider: Arc<dyn TableProvider> = Arc::new(ViewTable::new(plan, None));
    catalog.schema(RELATIONS_SCHEMA).ok_or_else(lost)?.register_table(relation.to_owned(), provider)?;
    Ok(())
}
