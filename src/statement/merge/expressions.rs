//! The rules for the expressions of a MERGE.
//!
//! As in Delta, subqueries are refused, and so are nondeterministic functions in conditions. In a clause for rows of one side
//! only, every column belongs to that side.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::logical_expr::Volatility;
use sqlparser::ast::{Expr, Ident, Query, Spanned, Visitor, VisitorMut};

use crate::session::Session;
use crate::statement::ast::{Merge, MergeAction, When};
use crate::statement::rewrite::nondeterministic;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// Returns an error for an expression that MERGE does not allow.
pub(super) fn refuse_unsupported(session: &Session, merge: &Merge) -> Result<()> {
    let conditions =
        std::iter::once(&merge.on).chain(merge.clauses.iter().filter_map(|clause| clause.condition.as_ref()));
    let mut refused = Refused { session, is_condition: true };
    for condition in conditions {
        into_result(walk::read(condition, &mut refused))?;
    }
    refused.is_condition = false;
    for clause in &merge.clauses {
        match &clause.action {
            MergeAction::Update(assignments) => {
                assignments
                    .iter()
                    .try_for_each(|assignment| into_result(walk::read(&assignment.value, &mut refused)))?;
            }
            MergeAction::Insert { values, .. } => into_result(walk::read(values, &mut refused))?,
            MergeAction::Delete | MergeAction::UpdateAll | MergeAction::InsertAll => {}
        }
    }
    Ok(())
}

fn into_result(outcome: ControlFlow<Error>) -> Result<()> {
    match outcome {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Refused<'a> {
    session: &'a Session,
    is_condition: bool,
}

impl Visitor for Refused<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        ControlFlow::Break(
            Error::new(ErrorCode::InvalidExpression, "MERGE does not allow a subquery")
                .at(query.span())
                .with_hint("make it a part of the source: USING (SELECT …)"),
        )
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let name = function.name.to_string().to_lowercase();
        let is_volatile = self
            .session
            .scalar_function(&name)
            .is_some_and(|function| function.signature().volatility == Volatility::Volatile);
        match self.is_condition && is_volatile {
            true => ControlFlow::Break(nondeterministic("a condition of MERGE").at(Span::from(function.name.span()))),
            false => ControlFlow::Continue(()),
        }
    }
}

/// Qualifies the columns of the expression with `ours`. Returns an error for a column of `theirs`, since the clause has no
/// row of that side.
pub(super) fn qualified(expression: &Expr, ours: &Ident, theirs: &Ident, when: When) -> Result<Expr> {
    let mut expression = expression.clone();
    let mut parameters = LambdaParameters::default();
    let _ = walk::read(&expression, &mut parameters);
    let mut qualify = Qualify { ours, theirs, when, parameters: parameters.0 };
    match walk::rewrite(&mut expression, &mut qualify) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(expression),
    }
}

/// The parameter names of lambdas. They are not columns.
#[derive(Default)]
struct LambdaParameters(HashSet<String>);

impl Visitor for LambdaParameters {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Lambda(lambda) = expr {
            self.0.extend(lambda.params.iter().map(|parameter| parameter.to_string().to_lowercase()));
        }
        ControlFlow::Continue(())
    }
}

struct Qualify<'a> {
    ours: &'a Ident,
    theirs: &'a Ident,
    when: When,
    parameters: HashSet<String>,
}

impl VisitorMut for Qualify<'_> {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let path = match expr {
            Expr::Identifier(name) => std::slice::from_ref(name),
            Expr::CompoundIdentifier(path) => path.as_slice(),
            _ => return ControlFlow::Continue(()),
        };
        let Some(first) = path.first() else { return ControlFlow::Continue(()) };
        if path.len() > 1 && first.value.eq_ignore_ascii_case(&self.theirs.value) {
            let said = format!("{} has no row of `{}`", self.when.name(), self.theirs.value);
            return ControlFlow::Break(
                Error::new(ErrorCode::UnresolvedColumn, said)
                    .at(first.span)
                    .with_hint(format!("use columns of `{}` only", self.ours.value)),
            );
        }
        let is_ours = path.len() > 1 && first.value.eq_ignore_ascii_case(&self.ours.value);
        if !is_ours && !self.parameters.contains(&first.value.to_lowercase()) {
            let qualified = std::iter::once(self.ours.clone()).chain(path.iter().cloned());
            *expr = Expr::CompoundIdentifier(qualified.collect());
        }
        ControlFlow::Continue(())
    }
}
