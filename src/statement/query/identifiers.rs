//! `IDENTIFIER(text)`: a constant string, such as a parameter, as the name of a table or a column.
//!
//! The string is parsed as a name only, so a parameter cannot inject SQL. Names of functions are deliberately absent.

use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Spanned,
    TableFactor, Visit, Visitor, VisitorMut,
};

use super::{constant_text, parameters, variable_values};
use crate::session::Session;
use crate::statement::parser::parse_name;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// The parts of the name that `text` evaluates to.
///
/// Errors: `text` is not a constant string, or the string is not a name.
pub(in crate::statement) fn parts(session: &Session, text: &Expr) -> Result<Vec<Ident>> {
    parts_in(session, &session.state(), text)
}

fn parts_in(session: &Session, state: &SessionState, text: &Expr) -> Result<Vec<Ident>> {
    let mut constant = text.clone();
    parameters::bind(&mut constant, &session.params())?;
    variable_values::put_in(session, &mut constant);
    let name = constant_text(state, &constant, "IDENTIFIER takes a text, and not NULL")?;
    let span = Span::from(text.span());
    let parts = parse_name(&name).map_err(|error| {
        Error::new(
            ErrorCode::InvalidIdentifier,
            format!("IDENTIFIER returns `{name}`, which is not a valid name: {}", error.message),
        )
        .at(span)
    })?;
    // Errors about the name point to the argument.
    Ok(parts.into_iter().map(|part| Ident { span: text.span(), ..part }).collect())
}

/// Replaces every IDENTIFIER in `query` by its name.
pub(super) fn resolve(session: &Session, state: &SessionState, query: &mut Query) -> Result<()> {
    match walk::rewrite(query, &mut Identifiers { session, state }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Identifiers<'a> {
    session: &'a Session,
    state: &'a SessionState,
}

impl VisitorMut for Identifiers<'_> {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, args, .. } = factor else { return ControlFlow::Continue(()) };
        let Some(text) = args.as_ref().filter(|_| is_identifier(name)).and_then(|call| only(&call.args)) else {
            return ControlFlow::Continue(());
        };
        match parts_in(self.session, self.state, text) {
            Ok(parts) => {
                *name = ObjectName(parts.into_iter().map(ObjectNamePart::Identifier).collect());
                *args = None;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Some(text) = text_of(expr) else { return ControlFlow::Continue(()) };
        match parts_in(self.session, self.state, text).map(<[Ident; 1]>::try_from) {
            Ok(Ok([only])) => *expr = Expr::Identifier(only),
            Ok(Err(parts)) => *expr = Expr::CompoundIdentifier(parts),
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// The place of the first IDENTIFIER in a tree.
pub(in crate::statement) fn find(tree: &impl Visit) -> Option<Span> {
    struct Find;

    impl Visitor for Find {
        type Break = Span;

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Span> {
            match factor {
                TableFactor::Table { name, args: Some(_), .. } if is_identifier(name) => {
                    ControlFlow::Break(Span::from(name.span()))
                }
                _ => ControlFlow::Continue(()),
            }
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Span> {
            match text_of(expr) {
                Some(_) => ControlFlow::Break(Span::from(expr.span())),
                None => ControlFlow::Continue(()),
            }
        }
    }

    match walk::read(tree, &mut Find) {
        ControlFlow::Break(span) => Some(span),
        ControlFlow::Continue(()) => None,
    }
}

/// The argument of an IDENTIFIER expression.
fn text_of(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Function(function) if is_identifier(&function.name) => match &function.args {
            FunctionArguments::List(list) => only(&list.args),
            _ => None,
        },
        _ => None,
    }
}

fn is_identifier(name: &ObjectName) -> bool {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(only)] => {
            only.quote_style.is_none() && only.value.eq_ignore_ascii_case("IDENTIFIER")
        }
        _ => false,
    }
}

fn only(arguments: &[FunctionArg]) -> Option<&Expr> {
    match arguments {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(text))] => Some(text),
        _ => None,
    }
}
