//! What DataFusion 55.2 lacks for lambdas.
//!
//! `s -> s.field` does not find the parameter `s`: there the path is written as an access to a field of an expression. And when
//! the engine moves a projection below another, it gives the columns in it other places, but not the parameters of lambdas, which then
//! read a column; so a plan with a lambda does without that.

use std::ops::ControlFlow;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr as PlannedExpr, LogicalPlan};
use sqlparser::ast::{AccessExpr, Expr, LambdaFunction, Query, VisitMut, VisitorMut};

use pinsql_base::error::Result;

/// The rule of the physical optimizer that moves projections.
const MOVES_PROJECTIONS: &str = "ProjectionPushdown";

/// Writes `s.field`, where `s` is a parameter, as a field of the expression `s`.
pub fn open_fields(query: &mut Query) {
    // Infallible: the visitor never breaks off.
    let _ = query.visit(&mut OpenFields::default());
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

/// Whether anything in the plan takes a lambda.
pub fn has_lambda(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(matches!(expr, PlannedExpr::HigherOrderFunction(_))))?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

/// The state with a physical optimizer that leaves projections where they are.
pub fn with_fixed_projections(state: SessionState) -> SessionState {
    let rules = state.physical_optimizers().iter().filter(|rule| rule.name() != MOVES_PROJECTIONS).cloned().collect();
    SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build()
}
