//! LATERAL joins: the subquery on the right side is computed for each distinct combination of the columns that it uses.

use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, SubqueryAlias};

use super::attach::equal_keys;
use super::dependent::{Domain, dependent};
use super::free::{has_exactly, outer_columns};
use super::{Names, columns_of};

/// The join, with the subquery on its right side unnested. A join that is not LATERAL stays.
pub(super) fn unnest(names: &Names, join: Join) -> Result<LogicalPlan> {
    let Some(subquery) = subquery_of(&join.right)? else { return Ok(LogicalPlan::Join(join)) };
    let keys: Vec<Column> =
        outer_columns(&subquery)?.into_iter().filter(|column| has_exactly(join.left.schema(), column)).collect();
    if keys.is_empty() {
        return Ok(LogicalPlan::Join(Join { right: subquery.into(), ..join }));
    }
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) || !join.on.is_empty() {
        return Ok(LogicalPlan::Join(join));
    }
    let domain = Domain::new(names, &join.left, &keys)?;
    let Some(right) = dependent(&domain, &subquery)? else { return Ok(LogicalPlan::Join(join)) };
    let columns: Vec<Expr> = join.schema.iter().map(|column| Expr::Column(Column::from(column))).collect();
    debug_assert_eq!(right.schema().fields().len(), domain.len() + columns_of(&subquery).len());
    let condition = equal_keys(&keys, &domain.columns()).into_iter().chain(join.filter);
    LogicalPlanBuilder::from(join.left.as_ref().clone())
        .join_on(right, join.join_type, condition)?
        .project(columns)?
        .build()
}

/// The subquery under its alias, if the plan is the right side of a LATERAL join.
fn subquery_of(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Subquery(subquery) => Ok(Some(subquery.subquery.as_ref().clone())),
        LogicalPlan::SubqueryAlias(alias) => match subquery_of(&alias.input)? {
            Some(inner) => {
                Ok(Some(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(inner.into(), alias.alias.clone())?)))
            }
            None => Ok(None),
        },
        // The names of the columns of the alias.
        LogicalPlan::Projection(projection) => match subquery_of(&projection.input)? {
            Some(inner) => Ok(Some(LogicalPlanBuilder::from(inner).project(projection.expr.clone())?.build()?)),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}
