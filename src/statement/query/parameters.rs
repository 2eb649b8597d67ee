//! Named parameter markers: `:name` becomes the value that the user gives.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Value, VisitMut};

use crate::config::Param;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result, Span, nearest};

/// Replaces every marker in `node` by its value in `params`.
///
/// Errors: a marker has no value.
pub(in crate::statement) fn bind<N: VisitMut>(node: &mut N, params: &BTreeMap<String, Param>) -> Result<()> {
    let bound = walk::rewrite_expressions(node, |expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(marker) = &value.value
        {
            match lookup(marker, params) {
                Ok(literal) => value.value = literal,
                Err(error) => return ControlFlow::Break(error.at(Span::from(value.span))),
            }
        }
        ControlFlow::Continue(())
    });
    match bound {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn lookup(marker: &str, params: &BTreeMap<String, Param>) -> Result<Value> {
    let Some(name) = marker.strip_prefix(':') else {
        return Err(Error::new(ErrorCode::UnboundSqlParameter, format!("the parameter marker `{marker}` has no name"))
            .with_hint("write `:name` and give its value with --param name=value"));
    };
    match params.get(name) {
        Some(Param::Boolean(value)) => Ok(Value::Boolean(*value)),
        Some(Param::Integer(value)) => Ok(Value::Number(value.to_string(), false)),
        // With an exponent it is a DOUBLE, without one a DECIMAL.
        Some(Param::Float(value)) => Ok(Value::Number(format!("{value:e}"), false)),
        Some(Param::String(value)) => Ok(Value::SingleQuotedString(value.clone())),
        None => {
            let hint = match nearest(name, params.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `:{near}`?"),
                None => format!("--param {name}=…, or {name} = … under [params] in pinsql.toml"),
            };
            Err(Error::new(ErrorCode::UnboundSqlParameter, format!("the parameter `:{name}` has no value"))
                .with_hint(hint))
        }
    }
}
