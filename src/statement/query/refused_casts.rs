//! Refuses casts that DataFusion evaluates with another meaning than Databricks.
//!
//! A number as a TIMESTAMP counts seconds in Databricks and microseconds in DataFusion, and so does a TIMESTAMP as a number. A
//! DATE as a number is an error in Databricks and a count of days in DataFusion. A number as a BINARY is an error in Databricks
//! and its bytes in DataFusion. A simple value as an ARRAY is an error in Databricks and its only element in DataFusion.

use arrow::compute::can_cast_types;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use pinsql_base::engine_error::{external, with_article};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::type_name;
use pinsql_functions::casts::cast_function;

/// Returns an error for the first such cast in `plan`.
pub(super) fn refuse_casts(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        let inputs: Vec<_> = node.inputs().into_iter().map(LogicalPlan::schema).collect();
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                let (inner, target) = match expression {
                    Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
                    Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
                    _ => return Ok(TreeNodeRecursion::Continue),
                };
                // The planner checks an expression whose type follows from no input.
                let Some(from) = inputs.iter().find_map(|schema| inner.get_type(*schema).ok()) else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                match has_other_meaning(&from, target) {
                    true => Err(refused(&from, target)),
                    false => Ok(TreeNodeRecursion::Continue),
                }
            })
        })
    })?;
    Ok(())
}

fn has_other_meaning(from: &DataType, to: &DataType) -> bool {
    let is_time =
        |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64);
    let is_value = from.is_numeric() || is_time(from) || from == &DataType::Boolean;
    if to.is_nested() && !from.is_nested() && !from.is_null() {
        return true;
    }
    // The casts that nothing here can do. The error of DataFusion has no place, and comes when the query runs.
    let is_unknown = !can_cast_types(from, to) && cast_function(from, to, false).is_none();
    // `cast_semantics` compares a DECIMAL with 0.
    if is_unknown && !(from.is_numeric() && *to == DataType::Boolean) {
        return true;
    }
    (from.is_numeric() && is_time(to)) || (is_time(from) && to.is_numeric()) || (is_value && is_binary(to))
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn refused(from: &DataType, to: &DataType) -> DataFusionError {
    let is_time = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, _) | DataType::Date32);
    let hint = match from.is_numeric() {
        _ if from.is_nested() => "a field, an element or a value of it can be cast",
        _ if to.is_nested() => "array(value), map(key, value) and named_struct('name', value) make nested values",
        _ if is_binary(to) => "a STRING can be cast to BINARY: CAST(CAST(value AS STRING) AS BINARY)",
        true if is_time(to) => "to_timestamp(n) reads it as seconds",
        _ if is_time(from) => "unix_seconds(t) gives the seconds since 1970",
        _ => "cast it to STRING first",
    };
    let said = format!("{} cannot be cast to {}", with_article(&type_name(from)), type_name(to));
    external(Error::new(ErrorCode::DatatypeMismatch, said).with_hint(hint))
}
