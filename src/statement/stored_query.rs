//! Queries that are stored in the warehouse: the query of a view and the body of a function.
//!
//! They must not depend on objects that end with the session (temporary views, temporary functions, variables) or with the
//! command (parameters), since later commands do not have these.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName, Query, Spanned, TableFactor, Value, Visit, Visitor};

use super::query::{self, Definitions, Planned, Purpose, temporary_name, view_expansion};
use crate::session::Session;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result, Span};

/// Plans a query that will be stored as `what`. Returns an error if it uses a temporary object.
pub(super) async fn plan_without_temporary(session: &Session, query: &Query, what: &str) -> Result<Planned> {
    let definitions = Definitions::load(session, query).await?;
    let schema = session.current_schema();
    let known = view_expansion::Known::of(session, &definitions, &schema);
    if let Some(view) = view_expansion::expand(known, &mut query.clone())?.temporary.first() {
        return Err(depends_on_temporary(what, &format!("temporary view `{view}`")));
    }
    if let ControlFlow::Break((thing, span)) = walk::read(query, &mut Temporary { session }) {
        return Err(depends_on_temporary(what, &thing).at(span));
    }
    let alone = query::without_variables(query)?;
    match Box::pin(query::plan(session, &alone, Purpose::Check)).await {
        Err(error) if error.kind() == ErrorKind::Sql && !session.variables().is_empty() => {
            // The query depends on a variable if it can be planned only with the variables.
            match Box::pin(query::plan(session, query, Purpose::Check)).await {
                Ok(_) => Err(Error { span: error.span, ..depends_on_temporary(what, "variables of the session") }),
                Err(_) => Err(error),
            }
        }
        planned => planned,
    }
}

fn depends_on_temporary(what: &str, thing: &str) -> Error {
    Error::new(ErrorCode::InvalidTempObjReference, format!("{what} cannot depend on the {thing}"))
        .with_hint("temporary objects end with the session, and the definition in the warehouse stays")
}

/// Returns an error if a view or a function uses a parameter marker or IDENTIFIER(…). The value of a parameter belongs to one
/// command.
pub(super) fn refuse_parameters(tree: &impl Visit, what: &str) -> Result<()> {
    if let Some(span) = query::find_identifier(tree) {
        return Err(Error::new(ErrorCode::InvalidExpression, format!("{what} cannot have an IDENTIFIER"))
            .at(span)
            .with_hint("it would mean another name whenever the view or the function is used: write the name"));
    }
    let found = walk::expressions(tree, |expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(marker) => ControlFlow::Break((marker.clone(), value.span)),
            _ => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break((marker, span)) => {
            Err(Error::new(ErrorCode::InvalidExpression, format!("{what} cannot have the parameter {marker}"))
                .at(span)
                .with_hint("the definition in the warehouse stays, and the parameter ends with the command"))
        }
    }
}

struct Temporary<'a> {
    session: &'a Session,
}

impl Temporary<'_> {
    fn function(&self, name: &ObjectName) -> ControlFlow<(String, Span)> {
        let parts: Option<Vec<&str>> =
            name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.as_str())).collect();
        let parts = parts.unwrap_or_default();
        let name_of = match parts.as_slice() {
            [only] if self.session.is_built_in_function(only) => None,
            [only] => Some(*only),
            parts => temporary_name(parts),
        };
        let is_temporary = |name: &&str| {
            self.session.sql_functions().get(name).is_some() || self.session.library_functions().get(name).is_some()
        };
        match name_of.filter(is_temporary) {
            Some(function) => ControlFlow::Break((format!("temporary function `{function}`"), Span::from(name.span()))),
            None => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Temporary<'_> {
    type Break = (String, Span);

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Table { name, args, .. } = factor else { return ControlFlow::Continue(()) };
        if args.is_some() {
            return self.function(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(function) = expr {
            return self.function(&function.name);
        }
        if let Expr::CompoundIdentifier(path) = expr
            && let parts = path.iter().map(|part| part.value.as_str()).collect::<Vec<_>>()
            && let Some(name) = temporary_name(&parts)
            && self.session.variables().get(name).is_some()
            && let Some(last) = path.last()
        {
            return ControlFlow::Break((format!("variable `{name}`"), Span::from(last.span)));
        }
        ControlFlow::Continue(())
    }
}
