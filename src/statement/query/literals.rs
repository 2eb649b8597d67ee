//! Gives numbers their Databricks types, and rewrites calls (`scalar_calls`, `aggregate_calls`, `spark_forms`).
//!
//! `1` is an INT and `1e3` a DOUBLE in Databricks, while DataFusion takes a BIGINT and a DECIMAL. So this pass adds casts. A
//! number that is not a value gets none: an ordinal, a limit, the bound of a window frame, an interval, an argument of a table
//! function, or the number of places of `round`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    LimitClause, NamedWindowExpr, OrderByKind, Query, Select, TableFactor, Value, VisitMut, VisitorMut, WindowFrame,
    WindowType,
};

use super::{aggregate_calls, scalar_calls, spark_forms};

/// Functions whose result type in DataFusion depends on the second argument, which must be a plain literal.
const TYPED_BY_VALUE: [&str; 4] = ["bround", "ceil", "floor", "round"];
/// The largest precision of a DECIMAL.
const DECIMAL_DIGITS_MAX: usize = 38;

/// Rewrites the numbers and calls in `query`.
pub(super) fn write_out_types(query: &mut Query) {
    // Infallible: the visitor never stops.
    let _ = query.visit(&mut Literals::default());
}

/// The parts that the visitor must not rewrite. They leave the tree before its children are visited, and return after.
#[derive(Default)]
struct Literals {
    limits: Vec<Option<LimitClause>>,
    ordinals: Vec<Vec<Option<Expr>>>,
    groups: Vec<Vec<Option<Expr>>>,
    named_frames: Vec<Vec<Option<WindowFrame>>>,
    frames: Vec<Option<WindowFrame>>,
    places: Vec<Vec<Option<Expr>>>,
    /// Above 0 inside nodes whose numbers are not values.
    untouched: usize,
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(_, _)))
}

fn bare_numbers<'a>(exprs: impl Iterator<Item = &'a mut Expr>) -> Vec<Option<Expr>> {
    exprs.map(|expr| is_number(expr).then(|| expr.clone())).collect()
}

fn put_back<'a>(exprs: impl Iterator<Item = &'a mut Expr>, saved: Option<Vec<Option<Expr>>>) {
    for (expr, saved) in exprs.zip(saved.unwrap_or_default()) {
        if let Some(saved) = saved {
            *expr = saved;
        }
    }
}

/// The expressions of ORDER BY. None for ORDER BY ALL.
fn order_of(query: &mut Query) -> impl Iterator<Item = &mut Expr> {
    let exprs = match query.order_by.as_mut().map(|order| &mut order.kind) {
        Some(OrderByKind::Expressions(exprs)) => exprs.as_mut_slice(),
        _ => &mut [],
    };
    exprs.iter_mut().map(|order| &mut order.expr)
}

fn groups_of(select: &mut Select) -> impl Iterator<Item = &mut Expr> {
    match &mut select.group_by {
        GroupByExpr::Expressions(exprs, _) => exprs.as_mut_slice(),
        GroupByExpr::All(_) => &mut [],
    }
    .iter_mut()
}

fn named_frames_of(select: &mut Select) -> impl Iterator<Item = &mut Option<WindowFrame>> {
    select.named_window.iter_mut().filter_map(|window| match &mut window.1 {
        NamedWindowExpr::WindowSpec(spec) => Some(&mut spec.window_frame),
        NamedWindowExpr::NamedWindow(_) => None,
    })
}

fn frame_of(function: &mut Function) -> Option<&mut Option<WindowFrame>> {
    match &mut function.over {
        Some(WindowType::WindowSpec(spec)) => Some(&mut spec.window_frame),
        _ => None,
    }
}

fn is_table_function(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. })
}

impl VisitorMut for Literals {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.limits.push(query.limit_clause.take());
        self.ordinals.push(bare_numbers(order_of(query)));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        query.limit_clause = self.limits.pop().flatten();
        put_back(order_of(query), self.ordinals.pop());
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.groups.push(bare_numbers(groups_of(select)));
        self.named_frames.push(named_frames_of(select).map(Option::take).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        put_back(groups_of(select), self.groups.pop());
        for (frame, saved) in named_frames_of(select).zip(self.named_frames.pop().unwrap_or_default()) {
            *frame = saved;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        self.untouched += usize::from(is_table_function(factor));
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        self.untouched -= usize::from(is_table_function(factor));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Interval(_) => self.untouched += 1,
            Expr::UnaryOp { op: sqlparser::ast::UnaryOperator::Minus, expr: operand } if is_number(operand) => {
                // The sign belongs to the number: -2147483648 is an INT, and 2147483648 is not.
                if let Some(negative) = negative(operand) {
                    *expr = negative;
                }
            }
            Expr::Function(function) => {
                self.frames.push(frame_of(function).and_then(Option::take));
                for places in places_of(function) {
                    let negated = match places {
                        Expr::UnaryOp { op: sqlparser::ast::UnaryOperator::Minus, expr: operand } => negative(operand),
                        _ => None,
                    };
                    if let Some(negative) = negated {
                        *places = negative;
                    }
                }
                self.places.push(bare_numbers(places_of(function)));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Interval(_) => self.untouched -= 1,
            Expr::Function(function) => {
                put_back(places_of(function), self.places.pop());
                let saved = self.frames.pop().flatten();
                if let Some(frame) = frame_of(function) {
                    *frame = saved;
                }
                if let Some(written_out) =
                    scalar_calls::written_out(function).or_else(|| aggregate_calls::written_out(function))
                {
                    *expr = written_out;
                }
            }
            Expr::Struct { values, fields } if fields.is_empty() => {
                *expr = scalar_calls::struct_of(values);
            }
            expr => {
                let form = spark_forms::of_operator(expr);
                if let Some(written_out) = form.or_else(|| (self.untouched == 0).then(|| typed(expr)).flatten()) {
                    *expr = written_out;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The second argument of a function in `TYPED_BY_VALUE`.
fn places_of(function: &mut Function) -> impl Iterator<Item = &mut Expr> {
    let is_typed_by_value = TYPED_BY_VALUE.iter().any(|name| function.name.to_string().eq_ignore_ascii_case(name));
    let arguments = match &mut function.args {
        FunctionArguments::List(list) if is_typed_by_value => list.args.as_mut_slice(),
        _ => &mut [],
    };
    arguments.iter_mut().skip(1).filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    })
}

fn negative(operand: &Expr) -> Option<Expr> {
    let Expr::Value(value) = operand else { return None };
    let Value::Number(digits, long) = &value.value else { return None };
    let mut value = value.clone();
    value.value = Value::Number(format!("-{digits}"), *long);
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(Expr::Value(value))
}

/// The number with a cast to its Databricks type. None if DataFusion gives it that type.
fn typed(expr: &Expr) -> Option<Expr> {
    let Expr::Value(value) = expr else { return None };
    let Value::Number(number, _) = &value.value else { return None };
    let as_text = || {
        let mut text = value.clone();
        text.value = Value::SingleQuotedString(number.clone());
        Expr::Value(text)
    };
    let cast = |expr: Expr, data_type: DataType| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    };
    if number.contains(['e', 'E']) {
        return Some(cast(as_text(), DataType::Double(ExactNumberInfo::None)));
    }
    if number.contains('.') {
        return None;
    }
    if number.parse::<i32>().is_ok() {
        return Some(cast(expr.clone(), DataType::Int(None)));
    }
    let digits = number.trim_start_matches(['-', '0']).len();
    let is_past_bigint = number.parse::<i64>().is_err();
    (is_past_bigint && digits <= DECIMAL_DIGITS_MAX)
        .then(|| cast(as_text(), DataType::Decimal(ExactNumberInfo::PrecisionAndScale(digits as u64, 0))))
}

#[cfg(test)]
mod tests {
    use sqlparser::ast::Statement;
    use sqlparser::dialect::DatabricksDialect;
    use sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn numbers_that_are_values_have_a_type() {
        for (sql, expected) in [
            ("SELECT 1, -2, 2147483648", "SELECT CAST(1 AS INT), CAST(-2 AS INT), 2147483648"),
            ("SELECT -2147483648, 1.5", "SELECT CAST(-2147483648 AS INT), 1.5"),
            ("SELECT 1e3", "SELECT CAST('1e3' AS DOUBLE)"),
            ("SELECT 9223372036854775808", "SELECT CAST('9223372036854775808' AS DECIMAL(19,0))"),
            ("SELECT a FROM t ORDER BY 1, a % 2 LIMIT 3", "SELECT a FROM t ORDER BY 1, a % CAST(2 AS INT) LIMIT 3"),
            ("SELECT a FROM t GROUP BY 1, a + 2", "SELECT a FROM t GROUP BY 1, a + CAST(2 AS INT)"),
            ("SELECT (SELECT 1 LIMIT 1)", "SELECT (SELECT CAST(1 AS INT) LIMIT 1)"),
            ("SELECT d + INTERVAL 1 DAY", "SELECT d + INTERVAL 1 DAY"),
            (
                "SELECT sum(1) OVER (ORDER BY a ROWS 1 PRECEDING)",
                "SELECT sum(CAST(1 AS INT)) OVER (ORDER BY a ROWS 1 PRECEDING)",
            ),
            (
                "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY a ROWS 1 PRECEDING)",
                "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY a ROWS 1 PRECEDING)",
            ),
            ("SELECT * FROM range(1, 5)", "SELECT * FROM range(1, 5)"),
            ("SELECT round(a + 1, 2)", "SELECT round(a + CAST(1 AS INT), 2)"),
            ("SELECT ltrim('x', a)", "SELECT TRIM(LEADING 'x' FROM a)"),
            ("SELECT ltrim(a)", "SELECT ltrim(a)"),
            ("SELECT position('l', a)", "SELECT POSITION('l' IN a)"),
            ("SELECT left(a, 2)", "SELECT `substring`(a, 1, CAST(2 AS INT))"),
            ("SELECT arrays_zip(a, t.b, f(c))", "SELECT `arrays zip`('a', a, 'b', t.b, '2', f(c))"),
            (
                "SELECT struct(a, 1 AS b, 2)",
                "SELECT `named_struct`('a', a, 'b', CAST(1 AS INT), 'col3', CAST(2 AS INT))",
            ),
        ] {
            let Statement::Query(mut query) = Parser::parse_sql(&DatabricksDialect, sql).unwrap().remove(0) else {
                panic!("{sql}");
            };
            write_out_types(&mut query);
            assert_eq!(query.to_string(), expected);
        }
    }
}
