//! The function that makes the value of a scalar subquery nullable. It is volatile, so that it is not computed from a constant
//! while the query is planned: the result would be a constant that is never NULL.
//!
//! A subquery without a row is NULL. DataFusion gives it the nullability of its column, so `(SELECT 1 FROM t WHERE false)` could
//! not be NULL, `IS NULL` of it would be false, and its NULL would fail the query.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Projection, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Subquery,
    Volatility,
};

/// The scalar subquery with a nullable column. None if it is nullable already, or always has a row.
pub(in crate::session) fn nullable(subquery: &Subquery) -> Result<Option<Subquery>> {
    let plan = &subquery.subquery;
    let Some((relation, field)) = plan.schema().iter().next() else { return Ok(None) };
    if field.is_nullable() || has_one_row(plan) {
        return Ok(None);
    }
    let function = ScalarUDF::new_from_impl(MaybeNull { signature: Signature::any(1, Volatility::Volatile) });
    let column = Expr::Column(Column::new(relation.cloned(), field.name()));
    let value = Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![column]));
    let named = value.alias_qualified(relation.cloned(), field.name());
    let projection = Projection::try_new(vec![named], Arc::clone(plan))?;
    Ok(Some(Subquery { subquery: Arc::new(LogicalPlan::Projection(projection)), ..subquery.clone() }))
}

/// True if the plan is an aggregate without GROUP BY.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MaybeNull {
    signature: Signature,
}

impl ScalarUDFImpl for MaybeNull {
    fn name(&self) -> &str {
        "maybe_null"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match call.args.into_iter().next() {
            Some(value) => Ok(value),
            None => exec_err!("maybe_null takes a value"),
        }
    }
}
