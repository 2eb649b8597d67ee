//! Binds the arguments of a call of a SQL function to its parameters: by position, by name, and by default.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Spanned};

use crate::session::sql_functions::SqlFunction;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

/// The argument for one parameter.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) value: Expr,
    pub(super) is_default: bool,
}

/// Returns the arguments in the order of the parameters
/// (<https://docs.databricks.com/en/sql/language-manual/sql-ref-function-invocation.html>).
pub(super) fn bind(function: &SqlFunction, given: &[FunctionArg]) -> Result<Vec<Bound>> {
    let name = function.full_name();
    let parameters = &function.signature.parameters;
    if given.len() > parameters.len() {
        return Err(Error::new(
            ErrorCode::WrongNumArgs,
            format!("{name} takes {}, {} are given", arguments(parameters.len()), given.len()),
        )
        .with_hint(usage(function)));
    }
    let mut values: Vec<Option<Expr>> = vec![None; parameters.len()];
    let mut named = None;
    for (position, argument) in given.iter().enumerate() {
        let (place, value) = match argument {
            FunctionArg::Unnamed(value) => match named {
                Some(before) => {
                    return Err(Error::new(
                        ErrorCode::WrongNumArgs,
                        format!("an argument without a name follows `{before}` in the call of {name}"),
                    )
                    .at(argument.span())
                    .with_hint("arguments without names come first"));
                }
                None => (position, value),
            },
            FunctionArg::Named { name: parameter, arg, .. } => {
                named = Some(parameter.value.clone());
                (position_of(function, &parameter.value).map_err(|error| error.at(parameter.span))?, arg)
            }
            FunctionArg::ExprNamed { .. } => {
                return Err(Error::new(ErrorCode::WrongNumArgs, format!("{argument} is not an argument of {name}"))
                    .at(argument.span()));
            }
        };
        let FunctionArgExpr::Expr(value) = value else {
            return Err(Error::new(ErrorCode::WrongNumArgs, format!("`{value}` is not an argument of {name}"))
                .at(argument.span()));
        };
        if values[place].replace(value.clone()).is_some() {
            let parameter = &parameters[place].name.value;
            return Err(Error::new(
                ErrorCode::WrongNumArgs,
                format!("the argument `{parameter}` of {name} is given twice"),
            )
            .at(argument.span()));
        }
    }
    let bound = parameters.iter().zip(values).map(|(parameter, value)| match (value, &parameter.default) {
        (Some(value), _) => Ok(Bound { value, is_default: false }),
        (None, Some(default)) => Ok(Bound { value: default.clone(), is_default: true }),
        (None, None) => Err(Error::new(
            ErrorCode::WrongNumArgs,
            format!("the argument `{}` of {name} is missing", parameter.name.value),
        )
        .with_hint(usage(function))),
    });
    bound.collect()
}

fn position_of(function: &SqlFunction, name: &str) -> Result<usize> {
    let names = || function.signature.parameters.iter().map(|parameter| parameter.name.value.as_str());
    names().position(|parameter| parameter.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let error = Error::new(ErrorCode::WrongNumArgs, format!("{} has no parameter `{name}`", function.full_name()));
        match nearest(name, names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(usage(function)),
        }
    })
}

fn arguments(count: usize) -> String {
    match count {
        0 => "no arguments".to_owned(),
        1 => "one argument".to_owned(),
        count => format!("{count} arguments"),
    }
}

/// `f(a INT, b STRING DEFAULT 'x')`
fn usage(function: &SqlFunction) -> String {
    let parameters = function.signature.parameters.iter().map(|parameter| match &parameter.default {
        Some(default) => format!("{} {} DEFAULT {default}", parameter.name, parameter.data_type),
        None => format!("{} {}", parameter.name, parameter.data_type),
    });
    format!("{}({})", function.full_name(), parameters.collect::<Vec<_>>().join(", "))
}
