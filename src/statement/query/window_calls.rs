//! Refuses calls of window functions that Spark refuses, and that DataFusion answers: DISTINCT in a window, a frame for a function
//! that has none or a fixed one, and a function of the order of rows without ORDER BY.

use std::ops::ControlFlow;

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Spanned, Value,
    WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The functions of the order of rows.
const ORDERED: [&str; 9] =
    ["cume_dist", "dense_rank", "lag", "lead", "nth_value", "ntile", "percent_rank", "rank", "row_number"];

/// Returns an error for the first such call in `query`. Names of windows are already their definitions.
pub(super) fn refuse(query: &Query) -> Result<()> {
    let checked = walk::expressions(query, |expr| match expr {
        Expr::Function(function) => match &function.over {
            Some(WindowType::WindowSpec(window)) => match check(function, window) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            },
            _ => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    });
    match checked {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn check(function: &Function, window: &WindowSpec) -> Result<()> {
    let name = function.name.to_string().to_lowercase();
    let refused = |code: ErrorCode, said: String| Err(Error::new(code, said).at(function.name.span()));
    if let FunctionArguments::List(list) = &function.args {
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            return refused(ErrorCode::UnsupportedFeature, format!("{name}(DISTINCT …) cannot be a window function"));
        }
        let is_zero = |argument: &FunctionArg| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => {
                matches!(&value.value, Value::Number(digits, _) if digits.bytes().all(|digit| digit == b'0'))
            }
            _ => false,
        };
        if name == "nth_value" && list.args.get(1).is_some_and(is_zero) {
            return refused(ErrorCode::InvalidExpression, "nth_value: the position must be above 0".to_owned());
        }
    }
    if !ORDERED.contains(&name.as_str()) {
        return Ok(());
    }
    if window.order_by.is_empty() {
        return refused(ErrorCode::InvalidExpression, format!("{name} needs an ORDER BY in its window"));
    }
    match (&window.window_frame, name.as_str()) {
        (None, _) | (Some(_), "nth_value") => Ok(()),
        (Some(_), "lag" | "lead") => {
            refused(ErrorCode::InvalidExpression, format!("{name} takes no frame: it reads the row at its distance"))
        }
        (Some(_), "cume_dist") => refused(ErrorCode::InvalidExpression, "cume_dist takes no frame".to_owned()),
        (Some(frame), _) if is_up_to_here(frame) => Ok(()),
        (Some(_), _) => refused(
            ErrorCode::InvalidExpression,
            format!("the frame of {name} must be ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"),
        ),
    }
}

/// True for `ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW`, also in its short form.
fn is_up_to_here(frame: &WindowFrame) -> bool {
    let is_open = matches!(frame.start_bound, WindowFrameBound::Preceding(None));
    let is_here = matches!(frame.end_bound, None | Some(WindowFrameBound::CurrentRow));
    frame.units == WindowFrameUnits::Rows && is_open && is_here
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::ast::StatementKind;
    use crate::statement::parser::parse;

    #[test]
    fn calls_that_spark_refuses_are_errors() {
        for (call, text) in [
            ("count(DISTINCT a) OVER (ORDER BY a)", Some("count(DISTINCT …) cannot be a window function")),
            ("lag(a) OVER ()", Some("lag needs an ORDER BY in its window")),
            ("lag(a) OVER (ORDER BY a ROWS 1 PRECEDING)", Some("lag takes no frame")),
            ("rank() OVER (ORDER BY a ROWS 1 PRECEDING)", Some("the frame of rank must be ROWS")),
            ("nth_value(a, 0) OVER (ORDER BY a)", Some("the position must be above 0")),
            ("rank() OVER (ORDER BY a ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)", None),
            ("nth_value(a, 1) OVER (ORDER BY a ROWS 1 PRECEDING)", None),
            ("count(a) OVER ()", None),
        ] {
            let sql = format!("SELECT {call} FROM t");
            let StatementKind::Query(query) = parse(&sql).unwrap().remove(0).kind else { panic!("{sql}") };
            let message = refuse(&query).err().map(|error| error.message).unwrap_or_default();
            assert!(
                message.contains(text.unwrap_or_default()) && message.is_empty() == text.is_none(),
                "{call}: {message}"
            );
        }
    }
}
