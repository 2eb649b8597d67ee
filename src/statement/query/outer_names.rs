//! Refuses a name in a subquery that several relations of the subquery have.
//!
//! DataFusion takes such a name as the column of the query around the subquery, if there is one. Spark refuses it. In the plan, an
//! outer column under a name with a qualifier looks the same, so the pass also reads the text.

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlan};
use sqlparser::ast::{Expr, Ident, Query, Select, TableFactor, TableWithJoins, Visitor};

use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The names without a qualifier in the subqueries of a query.
pub(super) struct PlainNames(Vec<PlainName>);

struct PlainName {
    name: Ident,
    /// The names of the relations in the FROM clause of the subquery.
    relations: Vec<String>,
}

impl PlainNames {
    pub(super) fn of(query: &Query) -> Self {
        let mut found = Found { open: Vec::new(), names: Vec::new() };
        // Infallible: the visitor never stops.
        let _ = walk::read(query, &mut found);
        Self(found.names)
    }

    /// Checks the plan of the query, as DataFusion has planned it.
    pub(super) fn refuse_ambiguous(&self, plan: &LogicalPlan) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut ambiguous = None;
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let PlanExpr::OuterReferenceColumn(_, column) = expr
                        && let Some(found) = self.ambiguous(&column.name, node)
                    {
                        ambiguous = Some(found.clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        match ambiguous {
            None => Ok(()),
            Some(name) => {
                let said = format!("the column `{}` is ambiguous: more than one table has it", name.value);
                let error = Error::new(ErrorCode::AmbiguousReference, said).at(name.span);
                Err(error.with_hint("put the table's name or alias before it"))
            }
        }
    }

    /// The name of a column that several relations below `node` have, if a subquery with these relations has it.
    fn ambiguous(&self, column: &str, node: &LogicalPlan) -> Option<&Ident> {
        let schema = merge_schema(&node.inputs());
        let fields = schema.qualified_fields_with_unqualified_name(column);
        let relations: Vec<&str> =
            fields.iter().filter_map(|(relation, _)| relation.map(TableReference::table)).collect();
        let is_of = |plain: &&PlainName| {
            plain.name.value == column
                && relations.iter().all(|relation| plain.relations.iter().any(|name| name == relation))
        };
        (relations.len() > 1).then(|| self.0.iter().find(is_of))?.map(|plain| &plain.name)
    }
}

struct Found {
    /// The relations of each SELECT around the place. A name in the outermost SELECT means its own relations.
    open: Vec<Vec<String>>,
    names: Vec<PlainName>,
}

impl Visitor for Found {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.open.push(relations_of(select));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> ControlFlow<()> {
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let (Expr::Identifier(name), [_, .., relations]) = (expr, self.open.as_slice()) {
            self.names.push(PlainName { name: name.clone(), relations: relations.clone() });
        }
        ControlFlow::Continue(())
    }
}

/// The names of the relations in the FROM clause.
pub(super) fn relations_of(select: &Select) -> Vec<String> {
    select.from.iter().flat_map(factors_of).filter_map(name_of).collect()
}

fn factors_of(tables: &TableWithJoins) -> impl Iterator<Item = &TableFactor> {
    std::iter::once(&tables.relation).chain(tables.joins.iter().map(|join| &join.relation))
}

/// The name that qualifies the columns of the relation.
fn name_of(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(alias.name.value.clone()),
        TableFactor::Table { name, .. } => Some(name.0.last()?.as_ident()?.value.clone()),
        _ => None,
    }
}
