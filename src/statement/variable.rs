//! DECLARE VARIABLE: a constant text under a name, such as a schema that several calls share.
//!
//! A variable stands where only constants can: in the arguments of table functions, and in the schema and the options of
//! from_json. There its name cannot be a column's. Deliberately absent: variables of other types, in other places, and those
//! that change (SET VARIABLE): a parameter does for the first, and a stream could not say which value it ran with.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, FunctionArguments, Query, TableFactor, Value, VisitMut, VisitorMut, visit_expressions_mut};

use super::Outcome;
use super::ast::DeclareVariable;
use super::query::{constant_text, is_from_json, parameters};
use crate::error::{Error, Result};
use crate::session::Session;

pub(super) fn declare(session: &Session, declare: &DeclareVariable) -> Result<Outcome> {
    let name = &declare.name.value;
    if !declare.or_replace && session.variables().get(name).is_some() {
        return Err(Error::sql(format!("there is a variable `{name}` already"))
            .at(declare.name.span)
            .with_hint("DECLARE OR REPLACE VARIABLE takes its place"));
    }
    let mut value = declare.value.clone();
    parameters::bind(&mut value, &session.params())?;
    put_in(session, &mut value);
    let text = constant_text(&session.state(), &value, "a variable is a text, and not NULL")?;
    session.variables().put(name, text);
    Ok(Outcome::Prepared)
}

/// Puts the values of variables in the places of their names, in every place of `query` where one can stand.
pub(super) fn put(session: &Session, query: &mut Query) {
    if !session.variables().is_empty() {
        // Infallible: the visitor never breaks off.
        let _ = query.visit(&mut Variables(session));
    }
}

struct Variables<'a>(&'a Session);

impl VisitorMut for Variables<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { args: Some(arguments), .. } = factor {
            arguments.args.iter_mut().for_each(|argument| put_in(self.0, argument));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && is_from_json(function)
            && let FunctionArguments::List(list) = &mut function.args
        {
            list.args.iter_mut().skip(1).for_each(|argument| put_in(self.0, argument));
        }
        ControlFlow::Continue(())
    }
}

fn put_in(session: &Session, constant: &mut impl VisitMut) {
    let _ = visit_expressions_mut(constant, |expr| {
        if let Expr::Identifier(name) = expr
            && let Some(text) = session.variables().get(&name.value)
        {
            *expr = Expr::Value(Value::SingleQuotedString(text).into());
        }
        ControlFlow::<()>::Continue(())
    });
}
