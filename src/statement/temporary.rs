//! What ends with a session may not be part of what outlives it: a view or a function of the warehouse that named a temporary
//! view, a temporary function or a variable would mean nothing to the next command.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName, Query, Spanned, TableFactor, Visit, Visitor};

use super::query::{self, Definitions, Planned, Purpose, temporary_name, views};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result, Span};

/// Plans what is to be kept as `what`, and refuses what it names of the session.
pub(super) async fn plan_without(session: &Session, query: &Query, what: &str) -> Result<Planned> {
    let definitions = Definitions::load(session, query).await?;
    let schema = session.current_schema();
    let known = views::Known::of(session, &definitions, &schema);
    if let Some(view) = views::expand(known, &mut query.clone())?.temporary.first() {
        return Err(refused(what, &format!("temporary view `{view}`")));
    }
    if let ControlFlow::Break((thing, span)) = query.visit(&mut Temporary { session }) {
        return Err(refused(what, &thing).at(span));
    }
    let alone = query::without_variables(query)?;
    match Box::pin(query::plan(session, &alone, Purpose::Check)).await {
        Err(error) if error.kind() == ErrorKind::Sql && !session.variables().is_empty() => {
            // What can be planned with the variables depends on one.
            match Box::pin(query::plan(session, query, Purpose::Check)).await {
                Ok(_) => Err(Error { span: error.span, ..refused(what, "variables of the session") }),
                Err(_) => Err(error),
            }
        }
        planned => planned,
    }
}

fn refused(what: &str, thing: &str) -> Error {
    Error::new(ErrorCode::InvalidTempObjReference, format!("{what} cannot depend on the {thing}"))
        .with_hint("that ends with the session, and what is kept in the warehouse does not")
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
