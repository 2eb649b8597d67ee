//! `CONSTRAINT name EXPECT (condition)`: conditions over the columns of the query.
//!
//! `conditions` plans them. They become a marker node in the plan and pass the optimizer with it.

use std::collections::HashSet;

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use sqlparser::ast::Expr;

use super::{conditions, refused_casts};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result, Span};
use pinsql_sources::operators::marker::{Mark, Marker};
use pinsql_sources::operators::{OnViolation, Rule};

/// One expectation of the statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The name. It is unique in the statement, without regard to case.
    pub name: String,
    /// The condition. NULL counts as a violation.
    pub condition: Expr,
    /// The text of the condition, for the user.
    pub text: String,
    /// What happens to a row that violates it.
    pub action: OnViolation,
    /// The place of the clause.
    pub span: Span,
}

/// `plan` with a marker that checks the expectations on each row.
///
/// Errors: a condition is not valid over the columns, or two expectations have the same name.
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
    refused_casts::refuse_casts(&plan)?;
    Ok(plan)
}

/// Marks the plan of a statement that does not run, and lets the optimizer check the types of the conditions.
pub fn check(
    session: &Session,
    state: &SessionState,
    plan: LogicalPlan,
    expectations: &[Expectation],
) -> Result<LogicalPlan> {
    let plan = mark(session, state, plan, expectations)?;
    if !expectations.is_empty() {
        state.optimize(&plan)?;
    }
    Ok(plan)
}
