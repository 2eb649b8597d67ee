//! The rows of the last level of a recursive query, which its own subqueries read.
//!
//! DataFusion sees a recursive query only if it names itself in FROM. With the name in a subquery alone, it plans a UNION that
//! reads rows which are never there. After the subqueries are joins, such a UNION becomes the recursive query that it is.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, TableType, Union};

use super::{columns_of, named_as};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

/// The recursive query that a UNION is. Any other node stays.
pub(super) fn recursive(node: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Union(union) = node else { return Ok(node) };
    let Union { inputs, schema } = &union;
    let [first, next] = inputs.as_slice() else { return Ok(LogicalPlan::Union(union)) };
    let (of_first, of_next) = (names(first)?, names(next)?);
    match of_next.as_slice() {
        [name] if of_first.is_empty() => {
            let plan = LogicalPlanBuilder::from(first.as_ref().clone())
                .to_recursive_query(name.clone(), next.as_ref().clone(), false)?
                .build()?;
            let columns = named_as(columns_of(&plan), schema.iter().map(Column::from))?;
            LogicalPlanBuilder::from(plan).project(columns)?.build()
        }
        _ => Ok(LogicalPlan::Union(union)),
    }
}

/// Refuses a plan that reads such rows outside of the recursive query.
pub(super) fn refuse_outside(plan: &LogicalPlan) -> Result<()> {
    match names(plan)?.first() {
        Some(name) => Err(external(
            Error::new(
                ErrorCode::UnsupportedFeature,
                format!("the recursive query `{name}` names itself in a place that is not supported"),
            )
            .with_hint("name it in FROM, in the part after UNION ALL"),
        )),
        None => Ok(()),
    }
}

/// True if the plan reads such rows.
pub(super) fn reads_one(plan: &LogicalPlan) -> bool {
    names(plan).is_ok_and(|names| !names.is_empty())
}

/// The names of the recursive queries around `plan` whose rows it reads. Their relations are the only ones that are temporary.
fn names(plan: &LogicalPlan) -> Result<Vec<String>> {
    let mut found = Vec::new();
    match plan {
        LogicalPlan::TableScan(scan) if scan.source.table_type() == TableType::Temporary => {
            found.push(scan.table_name.table().to_owned());
        }
        LogicalPlan::RecursiveQuery(query) => {
            found.extend(names(&query.static_term)?);
            found.extend(names(&query.recursive_term)?.into_iter().filter(|name| *name != query.name));
        }
        other => {
            for input in other.inputs() {
                found.extend(names(input)?);
            }
            other.apply_subqueries(|subquery| {
                found.extend(names(subquery)?);
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
    }
    Ok(found)
}
