//! Adds the result of a subquery to the rows of a plan as a column.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue, TableReference};
use datafusion::functions_aggregate::expr_fn::{count, first_value};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{
    Expr, JoinType, Limit, LogicalPlan, LogicalPlanBuilder, Operator, SubqueryAlias, binary_expr, lit,
};

use super::dependent::{Domain, dependent};
use super::free::{has_exactly, outer_columns};
use super::{Names, is_subquery, single_row};

/// A plan to which the results of subqueries are added.
pub(super) struct Attached<'a> {
    names: &'a Names,
    /// The plan without results. The combinations of outer values are read from it.
    base: LogicalPlan,
    /// The plan with the results.
    pub(super) plan: LogicalPlan,
    /// True if there are results.
    pub(super) is_changed: bool,
}

/// The rows of one subquery for each combination of keys, ready for a join with the outer rows.
struct Rows {
    plan: LogicalPlan,
    /// The columns of the outer rows, and the columns of `plan` that equal them.
    keys: Vec<Column>,
    columns: Vec<Column>,
    relation: TableReference,
}

impl<'a> Attached<'a> {
    pub(super) fn to(names: &'a Names, plan: LogicalPlan) -> Self {
        Self { names, base: plan.clone(), plan, is_changed: false }
    }

    /// The expression with a column in the place of each subquery. A subquery stays if `stays` is true for it, or if it cannot be
    /// unnested.
    pub(super) fn rewrite(&mut self, expr: Expr, stays: fn(&Expr) -> bool) -> Result<Expr> {
        let rewritten = expr.transform_up(|expr| {
            if !is_subquery(&expr) || stays(&expr) {
                return Ok(Transformed::no(expr));
            }
            let attached = match &expr {
                Expr::Exists(Exists { subquery, negated }) => self.exists(&subquery.subquery, *negated)?,
                Expr::InSubquery(InSubquery { expr, subquery, negated: false }) => {
                    self.is_in(expr, &subquery.subquery)?
                }
                Expr::InSubquery(InSubquery { expr, subquery, negated: true }) => {
                    self.is_not_in(expr, &subquery.subquery)?
                }
                Expr::ScalarSubquery(subquery) => self.scalar(&subquery.subquery)?,
                _ => None,
            };
            Ok(attached.map_or_else(|| Transformed::no(expr), Transformed::yes))
        })?;
        Ok(rewritten.data)
    }

    fn exists(&mut self, subquery: &LogicalPlan, is_negated: bool) -> Result<Option<Expr>> {
        let Some(rows) = self.rows(subquery, "rows")? else { return Ok(None) };
        let columns: Vec<Expr> = rows.columns.iter().cloned().map(Expr::Column).collect();
        let distinct = match columns.is_empty() {
            // One row is enough to know that there are rows.
            true => LogicalPlan::Limit(Limit {
                skip: None,
                fetch: Some(Box::new(lit(1_i64))),
                input: Arc::new(rows.plan.clone()),
            }),
            false => LogicalPlanBuilder::from(rows.plan.clone()).project(columns)?.distinct()?.build()?,
        };
        let present = self.join(&rows, distinct, &[], None)?;
        Ok(Some(if is_negated { present.is_null() } else { present.is_not_null() }))
    }

    fn is_in(&mut self, value: &Expr, subquery: &LogicalPlan) -> Result<Option<Expr>> {
        let Some(rows) = self.rows(subquery, "values")? else { return Ok(None) };
        let Some(element) = last_column(&rows.plan) else { return Ok(None) };
        // A name of its own, because the plan may have a column with the name of the element.
        let name = self.names.next("element");
        let keys = rows.columns.iter().cloned().map(Expr::Column);
        let columns: Vec<Expr> = keys.chain([Expr::Column(element).alias(&name)]).collect();
        let distinct = LogicalPlanBuilder::from(rows.plan.clone()).project(columns)?.distinct()?.build()?;
        let is_equal = value.clone().eq(Expr::Column(Column::new(Some(rows.relation.clone()), name)));
        Ok(Some(self.join(&rows, distinct, &[], Some(is_equal))?.is_not_null()))
    }

    /// False if a value is equal, or if a comparison is unknown: the value or an element is NULL.
    fn is_not_in(&mut self, value: &Expr, subquery: &LogicalPlan) -> Result<Option<Expr>> {
        let Some(rows) = self.rows(subquery, "numbers")? else { return Ok(None) };
        let Some(is_in) = self.is_in(value, subquery)? else { return Ok(None) };
        let Some(element) = last_column(&rows.plan) else { return Ok(None) };
        let (all, known) = (self.names.next("rows"), self.names.next("known values"));
        let counted = LogicalPlanBuilder::from(rows.plan.clone())
            .aggregate(
                rows.columns.iter().cloned().map(Expr::Column),
                [count(lit(1_i64)).alias(&all), count(Expr::Column(element)).alias(&known)],
            )?
            .build()?;
        let column = |name: &str| Expr::Column(Column::new(Some(rows.relation.clone()), name));
        self.join(&rows, counted, &[&all, &known], None)?;
        // Without rows for the keys, both numbers are NULL, and every value is outside.
        let has_rows = column(&all).gt(lit(0_i64)).is_true();
        let has_null = column(&all).not_eq(column(&known)).is_true();
        let is_unknown = has_null.or(value.clone().is_null().and(has_rows));
        Ok(Some(Expr::Not(Box::new(is_in.or(is_unknown)))))
    }

    fn scalar(&mut self, subquery: &LogicalPlan) -> Result<Option<Expr>> {
        let Some(rows) = self.rows(subquery, "value")? else { return Ok(None) };
        let Some(value) = last_column(&rows.plan) else { return Ok(None) };
        let name = self.names.next("value");
        let keys: Vec<Expr> = rows.columns.iter().cloned().map(Expr::Column).collect();
        let builder = LogicalPlanBuilder::from(rows.plan.clone());
        let column = |name: &str| Expr::Column(Column::new(Some(rows.relation.clone()), name));
        if is_single_row(subquery) {
            let named = keys.into_iter().chain([Expr::Column(value).alias(&name)]);
            self.join(&rows, builder.project(named)?.build()?, &[&name], None)?;
            return Ok(Some(column(&name)));
        }
        let number = self.names.next("rows");
        let first = first_value(Expr::Column(value), Vec::new()).alias(&name);
        let single = builder.aggregate(keys, [first, count(lit(1_i64)).alias(&number)])?.build()?;
        self.join(&rows, single, &[&name, &number], None)?;
        Ok(Some(single_row::single_row(column(&name), column(&number))))
    }

    /// The rows of the subquery with a key for each column of the plan that it uses.
    fn rows(&self, subquery: &LogicalPlan, what: &str) -> Result<Option<Rows>> {
        let keys: Vec<Column> =
            outer_columns(subquery)?.into_iter().filter(|column| has_exactly(self.base.schema(), column)).collect();
        let relation = TableReference::bare(self.names.next(what));
        if keys.is_empty() {
            return Ok(Some(Rows { plan: subquery.clone(), keys, columns: Vec::new(), relation }));
        }
        let domain = Domain::new(self.names, &self.base, &keys)?;
        let rows = dependent(&domain, subquery)?;
        Ok(rows.map(|plan| Rows { plan, keys, columns: domain.columns(), relation }))
    }

    /// Joins `result` to the plan, and returns the column that is NULL in rows without a partner. The columns with the names
    /// `kept` are columns of the relation of `rows` after that.
    fn join(&mut self, rows: &Rows, result: LogicalPlan, kept: &[&str], condition: Option<Expr>) -> Result<Expr> {
        debug_assert!(kept.iter().all(|name| result.schema().has_column_with_unqualified_name(name)));
        let present = self.names.next("presence");
        let column = |(relation, field): (Option<&TableReference>, &FieldRef)| {
            Expr::Column(Column::new(relation.cloned(), field.name())).alias(field.name())
        };
        // EXISTS needs no column of the subquery, whose columns may share a name.
        let renamed: Vec<Expr> = if rows.columns.is_empty() && kept.is_empty() && condition.is_none() {
            vec![lit(true).alias(&present)]
        } else {
            result.schema().iter().map(column).chain([lit(true).alias(&present)]).collect()
        };
        let result = LogicalPlanBuilder::from(result).project(renamed)?.build()?;
        let result = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(result), rows.relation.clone())?);
        let columns: Vec<Column> =
            rows.columns.iter().map(|column| Column::new(Some(rows.relation.clone()), &column.name)).collect();
        let condition: Vec<Expr> = equal_keys(&rows.keys, &columns).into_iter().chain(condition).collect();
        let condition = if condition.is_empty() { vec![lit(true)] } else { condition };
        let plan = std::mem::take(&mut self.plan);
        self.plan = LogicalPlanBuilder::from(plan).join_on(result, JoinType::Left, condition)?.build()?;
        self.is_changed = true;
        Ok(Expr::Column(Column::new(Some(rows.relation.clone()), present)))
    }
}

/// The conditions that each key equals its column, where NULL equals NULL.
pub(super) fn equal_keys(keys: &[Column], columns: &[Column]) -> Vec<Expr> {
    let equal = |(key, column): (&Column, &Column)| {
        binary_expr(Expr::Column(key.clone()), Operator::IsNotDistinctFrom, Expr::Column(column.clone()))
    };
    keys.iter().zip(columns).map(equal).collect()
}

fn last_column(plan: &LogicalPlan) -> Option<Column> {
    plan.schema().iter().last().map(Column::from)
}

/// True if the subquery returns at most one row for each combination of the outer values.
fn is_single_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_single_row(&projection.input),
        LogicalPlan::Filter(filter) => is_single_row(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_single_row(&alias.input),
        LogicalPlan::Sort(sort) => is_single_row(&sort.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Limit(limit) => {
            matches!(limit.fetch.as_deref(), Some(Expr::Literal(ScalarValue::Int64(Some(0 | 1)), _)))
        }
        LogicalPlan::EmptyRelation(_) => true,
        _ => false,
    }
}
