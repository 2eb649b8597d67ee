//! The types of UNION, INTERSECT and EXCEPT: each column has the common type of the columns of the inputs.
//!
//! DataFusion plans INTERSECT and EXCEPT as a semi and an anti join over all columns, with equal NULLs. It compares the columns in
//! some common type and returns those of the first input, so `SELECT 1 INTERSECT SELECT 1.0` would be an INT.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, Result};
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, Join, LogicalPlan, Projection, Union};

use super::coercion::one_type;

/// Casts the columns of all inputs to their common types.
///
/// Errors: the columns have no common type.
pub(super) fn union(union: Union) -> Result<Union> {
    let types = |input: &Arc<LogicalPlan>| types_of(input);
    let wanted = common_types(&union.inputs.iter().map(types).collect::<Vec<_>>(), "UNION")?;
    let was_nullable: Vec<bool> = union.schema.fields().iter().map(|field| field.is_nullable()).collect();
    let inputs = union.inputs.into_iter().map(|input| with_types(input, &wanted)).collect::<Result<_>>()?;
    let Union { inputs, schema } = Union::try_new_with_loose_types(inputs)?;
    // A cast can become a function that returns NULL. DataFusion does not compute the schema of a UNION again then.
    let fields = schema.iter().enumerate().map(|(place, (qualifier, field))| {
        let is_cast = wanted.get(place).is_some_and(Option::is_some);
        let is_nullable = is_cast || was_nullable.get(place).copied().unwrap_or(true) || field.is_nullable();
        (qualifier.cloned(), Arc::new(field.as_ref().clone().with_nullable(is_nullable)))
    });
    let schema = DFSchema::new_with_metadata(fields.collect(), schema.metadata().clone())?;
    Ok(Union { inputs, schema: Arc::new(schema) })
}

/// True for the join of an INTERSECT or EXCEPT, which no query can write: it compares all columns in order, with equal NULLs.
pub(super) fn is_set_operation(join: &Join) -> bool {
    let (left, right) = (join.left.schema(), join.right.schema());
    let is_at = |expr: &Expr, schema: &DFSchema, place: usize| matches!(expr, Expr::Column(column) if schema.maybe_index_of_column(column) == Some(place));
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && join.on.len() == left.fields().len()
        && join.on.len() == right.fields().len()
        && join.on.iter().enumerate().all(|(place, (key, other))| is_at(key, left, place) && is_at(other, right, place))
}

/// Casts the columns of both inputs of an INTERSECT or EXCEPT to their common types.
///
/// Errors: the columns have no common type.
pub(super) fn intersect_or_except(join: Join) -> Result<Join> {
    let operator = if join.join_type == JoinType::LeftSemi { "INTERSECT" } else { "EXCEPT" };
    let wanted = common_types(&[types_of(&join.left), types_of(&join.right)], operator)?;
    if wanted.iter().all(Option::is_none) {
        return Ok(join);
    }
    // Values that are equal after the cast are one row, so the cast is below DISTINCT.
    let left = match Arc::unwrap_or_clone(join.left) {
        LogicalPlan::Distinct(Distinct::All(input)) => {
            Arc::new(LogicalPlan::Distinct(Distinct::All(with_types(input, &wanted)?)))
        }
        other => with_types(Arc::new(other), &wanted)?,
    };
    let right = with_types(join.right, &wanted)?;
    let columns = |plan: &LogicalPlan| plan.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
    let on = columns(&left).into_iter().zip(columns(&right)).collect();
    Join::try_new(left, right, on, None, join.join_type, join.join_constraint, join.null_equality, join.null_aware)
}

fn types_of(plan: &LogicalPlan) -> Vec<DataType> {
    plan.schema().fields().iter().map(|field| field.data_type().clone()).collect()
}

/// The type that each column is cast to. None if the column stays in every input.
fn common_types(inputs: &[Vec<DataType>], operator: &str) -> Result<Vec<Option<DataType>>> {
    let width = inputs.first().map_or(0, Vec::len);
    let types = |place: usize| inputs.iter().filter_map(|input| input.get(place).cloned()).collect::<Vec<_>>();
    (0..width).map(|place| one_type(&types(place), operator)).collect()
}

fn with_types(input: Arc<LogicalPlan>, wanted: &[Option<DataType>]) -> Result<Arc<LogicalPlan>> {
    let schema = Arc::clone(input.schema());
    let mut is_changed = false;
    let mut columns = Vec::with_capacity(wanted.len());
    for (place, (qualifier, field)) in schema.iter().enumerate() {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        match wanted.get(place) {
            Some(Some(wanted)) if wanted != field.data_type() => {
                is_changed = true;
                columns.push(column.cast_to(wanted, &schema)?.alias_qualified(qualifier.cloned(), field.name()));
            }
            _ => columns.push(column),
        }
    }
    match is_changed {
        true => Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(columns, input)?))),
        false => Ok(input),
    }
}
