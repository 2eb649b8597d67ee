//! The outer columns that a plan of a subquery references.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The columns outside of `plan` that it references, each once. A reference of a nested subquery to a column of `plan` is inside.
pub(super) fn outer_columns(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    plan.apply(|node| {
        let inputs = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            collect(expr, &inputs, &mut found)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// The columns that a condition uses: its own, and the outer ones of its subqueries.
pub(super) fn columns_of_condition(expr: &Expr) -> Result<Vec<Column>> {
    let mut used: Vec<Column> = expr.column_refs().into_iter().cloned().collect();
    collect(expr, &DFSchema::empty(), &mut used)?;
    Ok(used)
}

/// True if the schema has the column under the same relation. A column without a relation is not one of a relation.
pub(super) fn has_exactly(schema: &DFSchema, column: &Column) -> bool {
    schema.iter().any(|(relation, field)| relation == column.relation.as_ref() && *field.name() == column.name)
}

fn collect(expr: &Expr, inputs: &DFSchema, found: &mut Vec<Column>) -> Result<()> {
    let mut add = |column: &Column| {
        if !found.contains(column) {
            found.push(column.clone());
        }
    };
    expr.apply(|expr| {
        match expr {
            Expr::OuterReferenceColumn(_, column) => add(column),
            Expr::ScalarSubquery(subquery) => outer_of(&subquery.subquery, inputs, &mut add)?,
            Expr::Exists(exists) => outer_of(&exists.subquery.subquery, inputs, &mut add)?,
            Expr::InSubquery(within) => outer_of(&within.subquery.subquery, inputs, &mut add)?,
            Expr::SetComparison(comparison) => outer_of(&comparison.subquery.subquery, inputs, &mut add)?,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn outer_of(subquery: &LogicalPlan, inputs: &DFSchema, add: &mut impl FnMut(&Column)) -> Result<()> {
    outer_columns(subquery)?.iter().filter(|column| !has_exactly(inputs, column)).for_each(add);
    Ok(())
}
