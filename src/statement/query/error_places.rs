//! The places of errors that DataFusion raises without one, and the hints that its own words lack.

use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use sqlparser::ast::{Expr, Query, Spanned};

use super::{PRESENT_COLUMN, relations};
use crate::statement::walk;
use pinsql_base::engine_error::is_about_sql;
use pinsql_base::error::{Error, Span};
use pinsql_delta::{FILE_COLUMN, ROW_COLUMN};

/// The functions of a query: the name in lower case, and the place in the text.
#[derive(Debug, Clone, Default)]
pub(in crate::statement) struct FunctionPlaces(Vec<(String, Span)>);

impl FunctionPlaces {
    /// The functions of `query`, without those in the queries of views: they have no place in this text.
    pub(super) fn of(query: &Query) -> Self {
        let mut places = Vec::new();
        let _ = walk::expressions(query, |expr| {
            if let Expr::Function(function) = expr {
                let span = Span::from(function.name.span());
                if span.start.0 > 0 {
                    places.push((function.name.to_string().to_lowercase(), span));
                }
            }
            ControlFlow::<()>::Continue(())
        });
        Self(places)
    }

    /// Adds the functions of another query of the same statement.
    pub(in crate::statement) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Gives `error` the place of the function that its message names.
    pub(super) fn locate(&self, error: Error) -> Error {
        if error.span.is_some() || !is_about_sql(&error) {
            return error;
        }
        let message = error.message.to_lowercase();
        let named = |name: &str| {
            message.contains(&format!("`{name}`"))
                || message.contains(&format!("'{name}'"))
                || message.contains(&format!("{name}("))
                || message.starts_with(&format!("{name}:"))
        };
        match self.0.iter().find(|(name, _)| named(name)) {
            Some((_, span)) => error.at(*span),
            None => error,
        }
    }

    /// The error of the planner or the optimizer as the user reads it.
    pub(super) fn explain(&self, error: Error, state: &SessionState) -> Error {
        self.locate(unknown_function(without_hidden(aggregate_of_change(error)), state))
    }
}

/// The query of UPDATE and DELETE adds columns to those of the user, so an aggregate in it is an error about these columns.
fn aggregate_of_change(error: Error) -> Error {
    match [FILE_COLUMN, ROW_COLUMN, PRESENT_COLUMN].iter().any(|name| error.message.contains(&format!("`{name}` must")))
    {
        true => Error {
            message: "an aggregate function is not allowed in the values of UPDATE, DELETE and MERGE".to_owned(),
            ..error
        }
        .with_hint("compute it in a subquery: SET a = (SELECT sum(b) FROM t)"),
        false => error,
    }
}

/// Leaves out of a hint the columns that a statement adds to those of the user.
fn without_hidden(mut error: Error) -> Error {
    error.hint = error.hint.map(|hint| {
        let hidden = [FILE_COLUMN, ROW_COLUMN, PRESENT_COLUMN];
        hidden.iter().fold(hint, |hint, name| hint.replace(&format!(", {name}"), "").replace(&format!("{name}, "), ""))
    });
    error
}

/// DataFusion has no error type for an unknown table function, so its text is read here.
fn unknown_function(error: Error, state: &SessionState) -> Error {
    let unknown = error
        .message
        .to_lowercase()
        .strip_prefix("table function '")
        .and_then(|rest| rest.strip_suffix("' not found").map(str::to_owned));
    match unknown {
        Some(name) => relations::unknown_table_function(&name, state.table_functions().keys().cloned()),
        None => error,
    }
}
