//! Rewrites JSON paths and the constants of from_json and to_json into the arguments of the functions.
//!
//! `text:a.b[0]` becomes a call with the path as one string. The schema and the options of `from_json(text, schema,
//! map('mode', 'FAILFAST'))` become string literals after the text: their values decide the type of the call, and DataFusion
//! reads only literals for that.

use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, JsonPathElem,
    ObjectName, ObjectNamePart, Query, Spanned, Value,
};

use super::table_function_calls::{constant, text};
use crate::session::JSON_PATH_FUNCTION;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_json::{JsonPath, Step};

/// Rewrites all paths and calls in `query`.
///
/// Errors: a path has an invalid step, or a schema or an option is not a constant string.
pub(super) fn write_out(state: &SessionState, query: &mut Query) -> Result<()> {
    let rewritten = walk::rewrite_expressions(query, |expr| {
        let outcome = match expr {
            Expr::JsonAccess { value, path } => operator(value, &path.path).map(|call| *expr = call),
            Expr::Function(function) if is_from_json(function) => write_out_constants(state, function),
            Expr::Function(function) if is_call_of(function, "to_json") => write_out_options(state, function),
            _ => Ok(()),
        };
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    });
    match rewritten {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn operator(value: &Expr, path: &[JsonPathElem]) -> Result<Expr> {
    let steps = path.iter().map(step).collect::<Result<Vec<Step>>>()?;
    let path = literal(JsonPath::operator_text(&steps));
    Ok(call(JSON_PATH_FUNCTION, vec![value.clone(), path]))
}

fn step(element: &JsonPathElem) -> Result<Step> {
    let key = match element {
        JsonPathElem::Dot { key, .. } => return Ok(Step::Name(key.clone())),
        JsonPathElem::Bracket { key } | JsonPathElem::ColonBracket { key } => key,
    };
    let number = |digits: &str| digits.parse().ok().map(Step::Element);
    let step = match key {
        Expr::Wildcard(_) => Some(Step::Elements),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(name) | Value::DoubleQuotedString(name) => Some(Step::Exactly(name.clone())),
            Value::Number(digits, _) => number(digits),
            _ => None,
        },
        _ => None,
    };
    step.ok_or_else(|| {
        Error::new(ErrorCode::InvalidParameterValue, format!("`[{key}]` is not a valid step of a JSON path"))
            .at(key.span())
            .with_hint("['name'], [0] or [*]")
    })
}

/// The default name of a column with this path: the last field.
pub(super) fn last_name(path: &[JsonPathElem]) -> Option<String> {
    path.iter().rev().find_map(|element| match step(element) {
        Ok(Step::Name(name) | Step::Exactly(name)) => Some(name),
        _ => None,
    })
}

/// True for a call of from_json.
pub(super) fn is_from_json(function: &Function) -> bool {
    is_call_of(function, "from_json")
}

fn is_call_of(function: &Function, wanted: &str) -> bool {
    matches!(function.name.0.as_slice(), [ObjectNamePart::Identifier(name)] if name.value.eq_ignore_ascii_case(wanted))
}

/// The schema of a call of from_json, after this pass.
pub(super) fn schema_of(function: &Function) -> Option<&str> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.get(1) {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))) => match &value.value {
            Value::SingleQuotedString(schema) => Some(schema),
            _ => None,
        },
        _ => None,
    }
}

fn write_out_constants(state: &SessionState, function: &mut Function) -> Result<()> {
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    let arguments: Option<Vec<Expr>> = list.args.iter().map(unnamed).collect();
    let Some(arguments) = arguments else { return Ok(()) };
    let (text, constants) = match arguments.as_slice() {
        [text, schema] => (text, vec![schema.clone()]),
        [text, schema, options] => {
            let mut constants = vec![schema.clone()];
            constants.extend(entries(options)?);
            (text, constants)
        }
        // Rewritten already, because the query of a view passes twice. The function refuses any other form.
        _ => return Ok(()),
    };
    let refusal = "the schema and the options of from_json must be texts, and not NULL";
    let constants =
        constants.iter().map(|expr| constant_text(state, expr, refusal).map(literal)).collect::<Result<Vec<_>>>()?;
    list.args = std::iter::once(text.clone())
        .chain(constants)
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)))
        .collect();
    Ok(())
}

/// The names and values in `to_json(value, map('name', 'value'))` become arguments after the value.
fn write_out_options(state: &SessionState, function: &mut Function) -> Result<()> {
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    let arguments: Option<Vec<Expr>> = list.args.iter().map(unnamed).collect();
    let Some([value, options]) = arguments.as_deref() else { return Ok(()) };
    let refusal = "the options of to_json must be texts, and not NULL";
    let options = entries(options)?
        .iter()
        .map(|expr| constant_text(state, expr, refusal).map(literal))
        .collect::<Result<Vec<_>>>()?;
    list.args = std::iter::once(value.clone())
        .chain(options)
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)))
        .collect();
    Ok(())
}

/// The keys and values of `map('mode', 'FAILFAST', …)`, alternating.
fn entries(options: &Expr) -> Result<Vec<Expr>> {
    let entries = match options {
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("map") => match &function.args {
            FunctionArguments::List(list) => list.args.iter().map(unnamed).collect::<Option<Vec<_>>>(),
            _ => None,
        },
        _ => None,
    };
    entries.filter(|entries| entries.len() % 2 == 0).ok_or_else(|| {
        Error::new(ErrorCode::InvalidParameterValue, "the options must be a map of constants")
            .at(options.span())
            .with_hint("map('mode', 'FAILFAST')")
    })
}

fn unnamed(argument: &FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}

/// The value of a constant string. `refusal` is the error message for NULL and for other types.
pub(super) fn constant_text(state: &SessionState, expr: &Expr, refusal: &str) -> Result<String> {
    text(&constant(state, expr)?).ok_or_else(|| Error::new(ErrorCode::InvalidParameterValue, refusal).at(expr.span()))
}

fn literal(text: String) -> Expr {
    Expr::Value(Value::SingleQuotedString(text).into())
}

/// A call of the function `name`, which can have any characters.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(call_of(ObjectName::from(vec![Ident::with_quote('`', name)]), arguments.collect()))
}

/// A plain call, without the clauses of aggregates and windows.
pub(super) fn call_of(name: ObjectName, arguments: Vec<FunctionArg>) -> Function {
    Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}
