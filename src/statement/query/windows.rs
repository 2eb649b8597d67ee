//! Replaces the names of windows by their definitions: `OVER w`, `OVER (w)`, `WINDOW w2 AS w`.
//!
//! DataFusion reads the name in `OVER w` in a select list only, and ignores it in `OVER (w)`. Spark takes a name alone: it has no
//! `OVER (w ORDER BY …)`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, OrderByKind, Query, Select, SelectItem, SetExpr, VisitorMut,
    WindowSpec, WindowType,
};

use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Writes the definition of each window in the place of its name.
///
/// Errors: a window is not defined, is defined twice or by itself, or a name has more clauses behind it.
pub(super) fn write_out(query: &mut Query) -> Result<()> {
    match walk::rewrite(query, &mut Windows) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Windows;

impl VisitorMut for Windows {
    type Break = Error;

    /// After the queries inside, because a name has the meaning of the innermost query that defines it.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let replaced = match query.body.as_mut() {
            SetExpr::Select(select) => {
                let windows = std::mem::take(&mut select.named_window);
                let order = match query.order_by.as_mut().map(|order| &mut order.kind) {
                    Some(OrderByKind::Expressions(order)) => order.as_mut_slice(),
                    _ => &mut [],
                };
                in_select(select, &windows)
                    .and_then(|()| order.iter_mut().try_for_each(|by| in_expr(&mut by.expr, &windows)))
            }
            body => in_body(body),
        };
        match replaced {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn in_body(body: &mut SetExpr) -> Result<()> {
    match body {
        SetExpr::Select(select) => {
            let windows = std::mem::take(&mut select.named_window);
            in_select(select, &windows)
        }
        SetExpr::SetOperation { left, right, .. } => in_body(left).and_then(|()| in_body(right)),
        _ => Ok(()),
    }
}

fn in_select(select: &mut Select, windows: &[NamedWindowDefinition]) -> Result<()> {
    for (place, window) in windows.iter().enumerate() {
        let is_same = |other: &NamedWindowDefinition| other.0.value.eq_ignore_ascii_case(&window.0.value);
        if windows[..place].iter().any(is_same) {
            let said = format!("the window `{}` is defined twice", window.0.value);
            return Err(Error::new(ErrorCode::ConflictingClauses, said).at(window.0.span));
        }
        // A definition that nothing uses must be right too.
        defined(&window.0, windows, windows.len())?;
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            in_expr(expr, windows)?;
        }
    }
    match &mut select.qualify {
        Some(qualify) => in_expr(qualify, windows),
        None => Ok(()),
    }
}

fn in_expr(expr: &mut Expr, windows: &[NamedWindowDefinition]) -> Result<()> {
    let visited = walk::rewrite_expressions(expr, |expr| {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let defined = match &function.over {
            Some(WindowType::NamedWindow(name)) => defined(name, windows, windows.len()),
            Some(WindowType::WindowSpec(spec @ WindowSpec { window_name: Some(_), .. })) => {
                defined_by(spec, windows, windows.len())
            }
            _ => return ControlFlow::Continue(()),
        };
        match defined {
            Ok(spec) => {
                function.over = Some(WindowType::WindowSpec(spec));
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    });
    match visited {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The definition of the window `name`, which may be the name of another window for `depth` more times.
fn defined(name: &Ident, windows: &[NamedWindowDefinition], depth: usize) -> Result<WindowSpec> {
    let found = windows.iter().find(|window| window.0.value.eq_ignore_ascii_case(&name.value));
    let Some(NamedWindowDefinition(_, definition)) = found.filter(|_| depth > 0) else {
        let said = match found {
            Some(_) => format!("the window `{}` is defined by itself", name.value),
            None => format!("there is no window `{}`", name.value),
        };
        return Err(Error::new(ErrorCode::InvalidStatement, said)
            .at(name.span)
            .with_hint("WINDOW name AS (PARTITION BY … ORDER BY …) defines one, after HAVING"));
    };
    match definition {
        NamedWindowExpr::NamedWindow(other) => defined(other, windows, depth - 1),
        NamedWindowExpr::WindowSpec(spec) if spec.window_name.is_some() => defined_by(spec, windows, depth - 1),
        NamedWindowExpr::WindowSpec(spec) => Ok(spec.clone()),
    }
}

fn defined_by(spec: &WindowSpec, windows: &[NamedWindowDefinition], depth: usize) -> Result<WindowSpec> {
    let WindowSpec { window_name: Some(name), partition_by, order_by, window_frame } = spec else {
        return Ok(spec.clone());
    };
    if !partition_by.is_empty() || !order_by.is_empty() || window_frame.is_some() {
        let said = format!("nothing can follow the name of the window `{}` in brackets", name.value);
        return Err(Error::new(ErrorCode::ParseSyntaxError, said)
            .at(name.span)
            .with_hint("write the whole definition, or the name alone"));
    }
    defined(name, windows, depth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::ast::StatementKind;
    use crate::statement::parser::parse;

    fn written_out(sql: &str) -> Result<String> {
        let StatementKind::Query(mut query) = parse(sql).unwrap().remove(0).kind else { panic!("{sql}") };
        write_out(&mut query)?;
        Ok(query.to_string())
    }

    #[test]
    fn names_of_windows_become_their_definitions() {
        let check = |sql: &str, expected: &str| assert_eq!(written_out(sql).unwrap(), expected, "{sql}");
        let expected = "SELECT sum(v) OVER (PARTITION BY g ORDER BY v) FROM t";
        check("SELECT sum(v) OVER w FROM t WINDOW w AS (PARTITION BY g ORDER BY v)", expected);
        check("SELECT sum(v) OVER (w) FROM t WINDOW w AS (PARTITION BY g ORDER BY v)", expected);
        check("SELECT sum(v) OVER W2 FROM t WINDOW w AS (PARTITION BY g ORDER BY v), w2 AS (w)", expected);
        check(
            "SELECT v FROM t WINDOW w AS (ORDER BY v) ORDER BY sum(v) OVER w",
            "SELECT v FROM t ORDER BY sum(v) OVER (ORDER BY v)",
        );
        check(
            "SELECT (SELECT sum(a) OVER w FROM u WINDOW w AS (ORDER BY a)), sum(v) OVER w FROM t WINDOW w AS (ORDER BY v)",
            "SELECT (SELECT sum(a) OVER (ORDER BY a) FROM u), sum(v) OVER (ORDER BY v) FROM t",
        );
    }

    #[test]
    fn wrong_names_of_windows_are_errors() {
        let check = |sql: &str, expected: &str| {
            assert_eq!(written_out(sql).unwrap_err().message, expected, "{sql}");
        };
        check("SELECT sum(v) OVER w FROM t", "there is no window `w`");
        check("SELECT sum(v) OVER (w) FROM t", "there is no window `w`");
        check("SELECT 1 FROM t WINDOW w AS (w2), w2 AS (w)", "the window `w` is defined by itself");
        check(
            "SELECT sum(v) OVER (w ORDER BY v) FROM t WINDOW w AS (PARTITION BY g)",
            "nothing can follow the name of the window `w` in brackets",
        );
    }
}
