//! Corrects the types of outer columns in subqueries.
//!
//! DataFusion stores the type of an outer column in a subquery when it plans the subquery. The type is wrong if the outer query
//! reads a UNION or a CASE, whose type is found later. A comparison in the subquery would then be one of two types.
//!
//! Absent: LATERAL.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};

/// The plan of `subquery` with the types that its outer columns have in `schema`. None if they have them.
pub(super) fn corrected(subquery: &Subquery, schema: &DFSchema) -> Result<Option<LogicalPlan>> {
    let is_wrong = |expr: &Expr| match expr {
        Expr::OuterReferenceColumn(field, column) => correct(field, column, schema).is_some(),
        _ => false,
    };
    if !subquery.outer_ref_columns.iter().any(is_wrong) {
        return Ok(None);
    }
    let plan = subquery.subquery.as_ref().clone().transform_up_with_subqueries(|node| {
        node.map_expressions(|expr| {
            expr.transform_up(|expr| match &expr {
                Expr::OuterReferenceColumn(field, column) => Ok(match correct(field, column, schema) {
                    Some(field) => Transformed::yes(Expr::OuterReferenceColumn(field, column.clone())),
                    None => Transformed::no(expr),
                }),
                _ => Ok(Transformed::no(expr)),
            })
        })
    })?;
    Ok(Some(plan.data))
}

/// The field of an outer column with another type. A column of a query further out is not in `schema`.
fn correct(field: &FieldRef, column: &Column, schema: &DFSchema) -> Option<FieldRef> {
    let (_, found) = schema.qualified_field_from_column(column).ok()?;
    (found.data_type() != field.data_type()).then(|| Arc::clone(found))
}
