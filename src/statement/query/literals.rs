//! Gives numbers their Databricks types, and rewrites calls (`scalar_calls`, `aggregate_calls`, `spark_forms`).
//!
//! `1` is an INT and `1e3` a DOUBLE in Databricks, while DataFusion takes a BIGINT and a DECIMAL. So this pass adds casts. A
//! number that is not a value gets none: an ordinal, a limit, the bound of a window frame, an interval, an argument of a table
//! function, or the number of places of `round`. `1.5` needs no cast: DataFusion also takes a DECIMAL of its digits.

use std::ops::ControlFlow;

use sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    LimitClause, NamedWindowExpr, OrderByKind, Query, Select, Spanned, TableFactor, Value, ValueWithSpan, VisitorMut,
    WindowFrame, WindowType,
};

use super::{aggregate_calls, scalar_calls, spark_forms, values_types};
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Functions whose result type in DataFusion depends on the second argument, which must be a plain literal.
const TYPED_BY_VALUE: [&str; 4] = ["bround", "ceil", "floor", "round"];
/// The largest precision of a DECIMAL.
const DECIMAL_DIGITS_MAX: usize = 38;

/// Rewrites the numbers and calls in `query`.
///
/// Errors: a number has more digits than a DECIMAL.
pub(super) fn write_out_types(query: &mut Query) -> Result<()> {
    match walk::rewrite(query, &mut Literals::default()) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
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
    number_of(expr).is_some()
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
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.limits.push(query.limit_clause.take());
        self.ordinals.push(bare_numbers(order_of(query)));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        query.limit_clause = self.limits.pop().flatten();
        put_back(order_of(query), self.ordinals.pop());
        match values_types::unify(query.body.as_mut()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        self.groups.push(bare_numbers(groups_of(select)));
        self.named_frames.push(named_frames_of(select).map(Option::take).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        put_back(groups_of(select), self.groups.pop());
        for (frame, saved) in named_frames_of(select).zip(self.named_frames.pop().unwrap_or_default()) {
            *frame = saved;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        self.untouched += usize::from(is_table_function(factor));
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        self.untouched -= usize::from(is_table_function(factor));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
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

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
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
                if let Some(form) = spark_forms::of_operator(expr) {
                    if let Err(error) = suffix_in_range(&form) {
                        return ControlFlow::Break(error.at(expr.span()));
                    }
                    // A number with the suffix BD arrives without it.
                    match decimal(&form) {
                        Ok(decimal) => *expr = decimal.unwrap_or(form),
                        Err(error) => return ControlFlow::Break(error),
                    }
                } else if self.untouched == 0 {
                    match typed(expr) {
                        Ok(Some(written_out)) => *expr = written_out,
                        Ok(None) => {}
                        Err(error) => return ControlFlow::Break(error),
                    }
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
fn typed(expr: &Expr) -> Result<Option<Expr>> {
    let Some(number) = number_of(expr) else { return Ok(None) };
    if number.contains(['e', 'E']) {
        in_range(number, &DataType::Double(ExactNumberInfo::None)).map_err(|error| error.at(expr.span()))?;
        return Ok(Some(cast(as_text(number, expr), DataType::Double(ExactNumberInfo::None))));
    }
    if number.parse::<i32>().is_ok() {
        return Ok(Some(cast(expr.clone(), DataType::Int(None))));
    }
    if number.parse::<i64>().is_ok() {
        return Ok(None);
    }
    decimal(expr)
}

/// The number as a DECIMAL of its digits. None if DataFusion gives it that type.
fn decimal(expr: &Expr) -> Result<Option<Expr>> {
    let Some(number) = number_of(expr) else { return Ok(None) };
    let (precision, scale) = decimal_size(number);
    if precision > DECIMAL_DIGITS_MAX {
        return Err(too_long(number, precision).at(expr.span()));
    }
    // DataFusion has no decimal without a fraction.
    let data_type = DataType::Decimal(ExactNumberInfo::PrecisionAndScale(precision as u64, 0));
    Ok((scale == 0).then(|| cast(as_text(number, expr), data_type)))
}

/// Checks a number with the suffix D or F, which is a cast of its digits here.
fn suffix_in_range(form: &Expr) -> Result<()> {
    match form {
        Expr::Cast { expr, data_type: data_type @ (DataType::Double(_) | DataType::Float(_)), .. } => {
            match expr.as_ref() {
                Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(digits), .. }) => {
                    in_range(digits, data_type)
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Returns an error for a literal beyond its type, which would be infinite.
fn in_range(digits: &str, data_type: &DataType) -> Result<()> {
    let is_float = matches!(data_type, DataType::Float(_));
    let max = if is_float { f64::from(f32::MAX) } else { f64::MAX };
    match digits.parse::<f64>() {
        Ok(value) if value.abs() > max => {
            let name = if is_float { "FLOAT" } else { "DOUBLE" };
            Err(Error::new(ErrorCode::UnsupportedDatatype, format!("{digits} is out of the range of {name}")))
        }
        _ => Ok(()),
    }
}

fn number_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(number, _), .. }) => Some(number),
        _ => None,
    }
}

fn as_text(number: &str, expr: &Expr) -> Expr {
    Expr::Value(Value::SingleQuotedString(number.to_owned()).with_span(expr.span()))
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// The precision and the scale of a number without an exponent: those of its digits. Zeros at its start do not count.
pub(super) fn decimal_size(number: &str) -> (usize, usize) {
    let number = number.trim_start_matches(['-', '+']);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = whole.len() + fraction.len();
    let zeros = whole.bytes().chain(fraction.bytes()).take_while(|digit| *digit == b'0').count();
    ((digits - zeros).max(fraction.len()).max(1), fraction.len())
}

fn too_long(number: &str, precision: usize) -> Error {
    Error::new(
        ErrorCode::UnsupportedDatatype,
        format!("the number {number} has {precision} digits, and a DECIMAL has at most {DECIMAL_DIGITS_MAX}"),
    )
    .with_hint("a number with an exponent, such as 1.5e0, is a DOUBLE")
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
            write_out_types(&mut query).unwrap();
            assert_eq!(query.to_string(), expected);
        }
    }

    #[test]
    fn a_decimal_has_the_digits_it_is_written_with() {
        for (number, expected) in [
            ("1.5", (2, 1)),
            ("1.10", (3, 2)),
            ("0.05", (2, 2)),
            ("0.0", (1, 1)),
            ("-00.5", (1, 1)),
            ("100.", (3, 0)),
            (".25", (2, 2)),
            ("9223372036854775808", (19, 0)),
        ] {
            assert_eq!(decimal_size(number), expected, "{number}");
        }
    }

    #[test]
    fn more_than_38_digits_are_an_error() {
        for number in ["1234567890123456789012345678901234567890", "0.000000000000000000000000000000000000001"] {
            let sql = format!("SELECT {number}");
            let Statement::Query(mut query) = Parser::parse_sql(&DatabricksDialect, &sql).unwrap().remove(0) else {
                panic!("{sql}");
            };
            assert_eq!(write_out_types(&mut query).unwrap_err().code, ErrorCode::UnsupportedDatatype, "{number}");
        }
    }
}
