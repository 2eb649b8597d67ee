//! Workarounds for two faults of DataFusion 55.2 with lambdas.
//!
//! - In `s -> s.field` it does not find the parameter `s`. The path becomes a field access of the expression `s`.
//! - When the physical optimizer moves a projection below another, it gives the columns new indexes, but not the parameters of
//!   lambdas, which then read a column. A plan with a lambda is planned without that rule.

use std::ops::ControlFlow;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr as PlannedExpr, LogicalPlan};
use sqlparser::ast::{AccessExpr, Expr, LambdaFunction, Query, VisitorMut};

use crate::statement::walk;
use pinsql_base::error::Result;

/// The physical optimizer rule that moves projections.
const MOVES_PROJECTIONS: &str = "ProjectionPushdown";

/// Rewrites `s.field`, where `s` is a parameter of a lambda, as a field access of the expression `s`.
pub(super) fn open_fields(query: &mut Query) {
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(query, &mut OpenFields::default());
}

#[derive(Default)]
struct OpenFields {
    /// The parameters of the lambdas around this place.
    parameters: Vec<String>,
}

impl VisitorMut for OpenFields {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Lambda(lambda) => self.parameters.extend(names(lambda)),
            Expr::CompoundIdentifier(path) => {
                let is_parameter =
                    |name: &String| path.first().is_some_and(|first| first.value.eq_ignore_ascii_case(name));
                if self.parameters.iter().any(is_parameter) {
                    let mut path = std::mem::take(path).into_iter().map(Expr::Identifier);
                    if let Some(parameter) = path.next() {
                        let access_chain = path.map(AccessExpr::Dot).collect();
                        *expr = Expr::CompoundFieldAccess { root: Box::new(parameter), access_chain };
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Lambda(lambda) = expr {
            let outer = self.parameters.len().saturating_sub(names(lambda).len());
            self.parameters.truncate(outer);
        }
        ControlFlow::Continue(())
    }
}

fn names(lambda: &LambdaFunction) -> Vec<String> {
    lambda.params.iter().map(|parameter| parameter.name.value.clone()).collect()
}

/// True if any function in the plan takes a lambda.
pub(super) fn has_lambda(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(matches!(expr, PlannedExpr::HigherOrderFunction(_))))?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

/// The state without the rule that moves projections.
pub(super) fn with_fixed_projections(state: SessionState) -> SessionState {
    let rules = state.physical_optimizers().iter().filter(|rule| rule.name() != MOVES_PROJECTIONS).cloned().collect();
    SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build()
}
