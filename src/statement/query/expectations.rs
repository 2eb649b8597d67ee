//! `CONSTRAINT name EXPECT (condition)`: planned over the columns that the query gives.
//!
//! The conditions are planned as `conditions` does it and go through the optimizer with the plan that they are marked in.

use std::collections::HashSet;

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use sqlparser::ast::Expr;

use super::{casts, conditions};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result, Span};
use pinsql_sources::operators::marker::{Mark, Marker};
use pinsql_sources::operators::{OnViolation, Rule};

/// One expectation, as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    pub name: String,
    pub condition: Expr,
    /// The condition as it is written.
    pub text: String,
    pub action: OnViolation,
    pub span: Span,
}

/// `plan` with the expectations held against its rows.
pub fn mark(
    session: &Session,
    state: &SessionState,
    plan: LogicalPlan,
    expectations: &[Expectation],
) -> Result<LogicalPlan> {
    if expectations.is_empty() {
        return Ok(plan);
    }
    let mut names = HashSet::new();
    let mut rules = Vec::with_capacity(expectations.len());
    let mut expressions = Vec::with_capacity(expectations.len());
    for expectation in expectations {
        if !names.insert(expectation.name.to_lowercase()) {
            let said = format!("two expectations are named `{}`", expectation.name);
            return Err(Error::new(ErrorCode::InvalidTableDefinition, said).at(expectation.span));
        }
        let name = format!("the expectation `{}`", expectation.name);
        let params = &session.params();
        let condition = conditions::plan(state, plan.schema(), &expectation.condition, &name, params);
        expressions.push(condition.map_err(|error| error.at(expectation.span))?);
        rules.push(Rule { name: expectation.name.clone(), text: expectation.text.clone(), action: expectation.action });
    }
    let plan = Marker { mark: Mark::Expect(rules), expressions, input: plan }.into_plan();
    casts::refuse_casts(&plan)?;
    // The optimizer is the one that types the plan: what it refuses is an error of the SQL.
    state.optimize(&plan)?;
    Ok(plan)
}
