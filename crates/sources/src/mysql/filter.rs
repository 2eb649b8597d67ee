//! Translates conditions to MySQL's SQL, if they have the same meaning there.
//!
//! MySQL compares strings by a collation, in which `a` mostly equals `A` and trailing blanks do not count. Here strings are
//! compared by their bytes. So a pushed comparison compares the bytes in UTF-8. The plain comparison is added if it can only
//! match more rows, so that the server can use an index. A condition on dates matches more rows on the server, which may have
//! zero dates that are NULL here, so the engine filters again. Conditions on FLOAT, BINARY, JSON and TIME are not pushed.

use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Like, Operator};
use datafusion::scalar::ScalarValue;

use super::operand::{Operand, operand};
use super::request::{Condition, write_name};
use super::types::{Kind, SourceColumn, TextKind};

/// A longer IN list is not pushed. The protocol allows 65,535 parameters.
const LIST_MAX: usize = 1_000;
/// The most parameters of one scan.
pub(super) const PARAMETERS_MAX: usize = 10_000;

/// The condition of MySQL for `expression`. None if it cannot be pushed.
pub(super) fn condition(expression: &Expr, columns: &[SourceColumn]) -> Option<Condition> {
    let translate = |expression: &Expr| condition(expression, columns);
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => match (translate(left), translate(right)) {
            (Some(left), Some(right)) => Some(join(left, "AND", right)),
            // One of the two alone matches more rows.
            (Some(one), None) | (None, Some(one)) => Some(Condition { is_exact: false, ..one }),
            (None, None) => None,
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(join(translate(left)?, "OR", translate(right)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (column(left, columns), column(right, columns)) {
            (Some(column), None) => compare(column, Comparison::of(*op)?, literal(right)?),
            (None, Some(column)) => compare(column, Comparison::of(op.swap()?)?, literal(left)?),
            _ => None,
        },
        Expr::Not(inner) => match column(inner, columns) {
            Some(column) => truth(column, false),
            None => negate(translate(inner)?),
        },
        Expr::IsNull(inner) => {
            let column = column(inner, columns)?;
            // A zero date is NULL here and not on the server.
            (!column.kind.is_temporal()).then(|| simple(column, "IS NULL", true))
        }
        Expr::IsNotNull(inner) => {
            let column = column(inner, columns)?;
            Some(simple(column, "IS NOT NULL", !column.kind.is_temporal()))
        }
        Expr::Between(between) => between_bounds(between, columns),
        Expr::InList(list) => in_list(list, columns),
        Expr::Like(pattern) => like(pattern, columns),
        Expr::Column(_) => truth(column(expression, columns)?, true),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn of(operator: Operator) -> Option<Self> {
        Some(match operator {
            Operator::Eq => Self::Equal,
            Operator::NotEq => Self::NotEqual,
            Operator::Lt => Self::Less,
            Operator::LtEq => Self::LessOrEqual,
            Operator::Gt => Self::Greater,
            Operator::GtEq => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

fn join(left: Condition, word: &str, right: Condition) -> Condition {
    let mut parameters = left.parameters;
    parameters.extend(right.parameters);
    Condition {
        sql: format!("({} {word} {})", left.sql, right.sql),
        parameters,
        is_exact: left.is_exact && right.is_exact,
    }
}

/// Negates a condition. Only an exact one can be negated: the negation of one that matches more rows matches fewer.
fn negate(inner: Condition) -> Option<Condition> {
    inner.is_exact.then(|| Condition { sql: format!("(NOT {})", inner.sql), ..inner })
}

fn simple(column: &SourceColumn, rest: &str, is_exact: bool) -> Condition {
    Condition { sql: format!("({} {rest})", name(column)), parameters: Vec::new(), is_exact }
}

fn name(column: &SourceColumn) -> String {
    let mut sql = String::new();
    write_name(&mut sql, &column.name);
    sql
}

/// The column of an expression that is a column, or an integer column cast to a wider integer type.
fn column<'a>(expression: &Expr, columns: &'a [SourceColumn]) -> Option<&'a SourceColumn> {
    match expression {
        Expr::Column(named) => columns.iter().find(|column| column.name == named.name),
        Expr::Cast(Cast { expr, field }) => {
            let column = column(expr, columns)?;
            let from = column.kind.data_type();
            let to = field.data_type();
            let widens =
                from.is_signed_integer() && to.is_signed_integer() && from.primitive_width() <= to.primitive_width();
            widens.then_some(column)
        }
        _ => None,
    }
}

fn literal(expression: &Expr) -> Option<&ScalarValue> {
    match expression {
        Expr::Literal(value, _) if !value.is_null() => Some(value),
        _ => None,
    }
}

/// A BOOLEAN column as a condition. A flag that is neither 0 nor 1 must not be filtered out, since it is an error here.
fn truth(column: &SourceColumn, is_true: bool) -> Option<Condition> {
    let rest = if is_true { "<> 0" } else { "= 0" };
    match column.kind {
        Kind::Flag if is_true => Some(simple(column, rest, false)),
        Kind::Flag => Some(simple(column, "<> 1", false)),
        Kind::Bit => Some(simple(column, rest, true)),
        _ => None,
    }
}

fn compare(column: &SourceColumn, comparison: Comparison, value: &ScalarValue) -> Option<Condition> {
    if let Kind::Text(kind) = column.kind {
        return compare_text(column, kind, comparison, value.try_as_str()??);
    }
    if let (ScalarValue::Boolean(Some(value)), Comparison::Equal) = (value, comparison) {
        return truth(column, *value);
    }
    let Operand { placeholder, parameter, is_exact } = operand(column.kind, value)?;
    Some(Condition {
        sql: format!("({} {} {placeholder})", name(column), comparison.sql()),
        parameters: vec![parameter],
        is_exact,
    })
}

/// The SQL for the UTF-8 bytes of a column.
fn text_bytes(column: &SourceColumn) -> String {
    format!("CAST(CONVERT({} USING utf8mb4) AS BINARY)", name(column))
}

fn compare_text(column: &SourceColumn, kind: TextKind, comparison: Comparison, value: &str) -> Option<Condition> {
    if !matches!(kind, TextKind::Characters | TextKind::Named) {
        return None;
    }
    let exact = Condition {
        sql: format!("({} {} CAST(? AS BINARY))", text_bytes(column), comparison.sql()),
        parameters: vec![value.into()],
        is_exact: true,
    };
    if comparison != Comparison::Equal || kind != TextKind::Characters || !is_in_every_character_set(value) {
        return Some(exact);
    }
    let wider = Condition { sql: format!("({} = ?)", name(column)), parameters: vec![value.into()], is_exact: true };
    Some(join(wider, "AND", exact))
}

/// True if a text can be converted to the character set of any column. Otherwise the server refuses the comparison.
fn is_in_every_character_set(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_.,:/".contains(&byte))
}

fn between_bounds(between: &Between, columns: &[SourceColumn]) -> Option<Condition> {
    let column = column(&between.expr, columns)?;
    let low = compare(column, Comparison::GreaterOrEqual, literal(&between.low)?)?;
    let high = compare(column, Comparison::LessOrEqual, literal(&between.high)?)?;
    let inside = join(low, "AND", high);
    if between.negated { negate(inside) } else { Some(inside) }
}

fn in_list(list: &InList, columns: &[SourceColumn]) -> Option<Condition> {
    let column = column(&list.expr, columns)?;
    if list.list.is_empty() || list.list.len() > LIST_MAX {
        return None;
    }
    let values: Vec<&ScalarValue> = list.list.iter().map(literal).collect::<Option<_>>()?;
    let inside = match column.kind {
        Kind::Text(kind) => {
            let texts = values.iter().map(|value| value.try_as_str().flatten()).collect::<Option<Vec<_>>>()?;
            text_in_list(column, kind, &texts)?
        }
        kind => {
            let operands = values.iter().map(|value| operand(kind, value)).collect::<Option<Vec<_>>>()?;
            let placeholders: Vec<&str> = operands.iter().map(|operand| operand.placeholder.as_str()).collect();
            Condition {
                sql: format!("({} IN ({}))", name(column), placeholders.join(", ")),
                is_exact: operands.iter().all(|operand| operand.is_exact),
                parameters: operands.into_iter().map(|operand| operand.parameter).collect(),
            }
        }
    };
    if list.negated { negate(inside) } else { Some(inside) }
}

fn text_in_list(column: &SourceColumn, kind: TextKind, texts: &[&str]) -> Option<Condition> {
    if !matches!(kind, TextKind::Characters | TextKind::Named) {
        return None;
    }
    let list = |left: &str, placeholder: &str| Condition {
        sql: format!("({left} IN ({}))", vec![placeholder; texts.len()].join(", ")),
        parameters: texts.iter().map(|text| (*text).into()).collect(),
        is_exact: true,
    };
    let exact = list(&text_bytes(column), "CAST(? AS BINARY)");
    let can_be_wider = kind == TextKind::Characters && texts.iter().all(|text| is_in_every_character_set(text));
    Some(if can_be_wider { join(list(&name(column), "?"), "AND", exact) } else { exact })
}

/// LIKE by code points, with an escape character that has the same meaning in every `sql_mode`.
fn like(pattern: &Like, columns: &[SourceColumn]) -> Option<Condition> {
    let column = column(&pattern.expr, columns)?;
    let text = literal(&pattern.pattern)?.try_as_str()??;
    let is_plain =
        !pattern.case_insensitive && !text.contains('\\') && matches!(pattern.escape_char, None | Some('\\'));
    if !is_plain || !matches!(column.kind, Kind::Text(TextKind::Characters | TextKind::Named)) {
        return None;
    }
    let inside = Condition {
        sql: format!("(CONVERT({} USING utf8mb4) COLLATE utf8mb4_bin LIKE ? ESCAPE '|')", name(column)),
        parameters: vec![text.replace('|', "||").into()],
        is_exact: true,
    };
    if pattern.negated { negate(inside) } else { Some(inside) }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use datafusion::prelude::{col, lit};

    use super::*;

    fn columns() -> Vec<SourceColumn> {
        let column = |name: &str, kind: Kind| SourceColumn { name: name.to_owned(), kind };
        vec![
            column("i", Kind::Integer { bytes: 4 }),
            column("u", Kind::UnsignedLong),
            column("y", Kind::Year),
            column("n", Kind::Decimal { precision: 10, scale: 2 }),
            column("f", Kind::Float),
            column("x", Kind::Double),
            column("d", Kind::Date),
            column("at", Kind::DateTime),
            column("t", Kind::Text(TextKind::Characters)),
            column("e", Kind::Text(TextKind::Named)),
            column("j", Kind::Text(TextKind::Json)),
            column("ok", Kind::Flag),
            column("b", Kind::Bit),
            column("raw", Kind::Binary),
        ]
    }

    /// The SQL with its values, and `~` before it if it is not exact.
    fn shown(expression: &Expr) -> Option<String> {
        let Condition { mut sql, parameters, is_exact } = condition(expression, &columns())?;
        for parameter in parameters {
            sql = sql.replacen('?', &parameter.as_sql(true), 1);
        }
        Some(format!("{}{sql}", if is_exact { "" } else { "~" }))
    }

    fn check(expression: Expr, sql: &str) {
        assert_eq!(shown(&expression).as_deref(), Some(sql), "{expression}");
    }

    #[test]
    fn numbers_are_compared_by_the_server() {
        check(col("i").gt(lit(5i32)), "(`i` > 5)");
        check(lit(5i64).gt(col("i")), "(`i` < 5)");
        check(Expr::Cast(Cast::new(Box::new(col("i")), DataType::Int64)).not_eq(lit(5i64)), "(`i` <> 5)");
        check(col("i").between(lit(1i32), lit(9i32)), "((`i` >= 1) AND (`i` <= 9))");
        check(col("i").not_between(lit(1i32), lit(9i32)), "(NOT ((`i` >= 1) AND (`i` <= 9)))");
        check(col("i").in_list(vec![lit(1i32), lit(2i32)], true), "(NOT (`i` IN (1, 2)))");
        let decimal = |number, scale| lit(ScalarValue::Decimal128(Some(number), 20, scale));
        check(col("u").eq(decimal(7, 0)), "(`u` = 7)");
        check(col("n").lt_eq(decimal(-5, 2)), "(`n` <= CAST('-0.05' AS DECIMAL(65, 2)))");
        check(col("n").eq(decimal(1250, 2)), "(`n` = CAST('12.50' AS DECIMAL(65, 2)))");
        check(col("x").lt(lit(1.5)), "(`x` < 1.5)");
        check(col("y").gt_eq(lit(2017i32)), "(`y` >= 2017)");
    }

    #[test]
    fn texts_are_compared_as_bytes() {
        let bytes = "CAST(CONVERT(`t` USING utf8mb4) AS BINARY)";
        check(col("t").eq(lit("art")), &format!("((`t` = 'art') AND ({bytes} = CAST('art' AS BINARY)))"));
        check(col("t").eq(lit("é")), &format!("({bytes} = CAST('é' AS BINARY))"));
        check(col("t").not_eq(lit("art")), &format!("({bytes} <> CAST('art' AS BINARY))"));
        check(col("t").lt(lit("art")), &format!("({bytes} < CAST('art' AS BINARY))"));
        check(
            col("t").in_list(vec![lit("a"), lit("b")], false),
            &format!("((`t` IN ('a', 'b')) AND ({bytes} IN (CAST('a' AS BINARY), CAST('b' AS BINARY))))"),
        );
        check(col("e").eq(lit("a")), "(CAST(CONVERT(`e` USING utf8mb4) AS BINARY) = CAST('a' AS BINARY))");
        check(col("t").like(lit("50|%")), "(CONVERT(`t` USING utf8mb4) COLLATE utf8mb4_bin LIKE '50||%' ESCAPE '|')");
    }

    #[test]
    fn conditions_on_dates_are_not_exact_and_never_negated() {
        let day = lit(ScalarValue::Date32(Some(17_617)));
        let at = lit(ScalarValue::TimestampMicrosecond(Some(1_522_128_250_000_000), Some("UTC".into())));
        check(col("d").gt(day.clone()), "~(`d` > '2018-03-27')");
        check(col("at").lt(at.clone()), "~(`at` < '2018-03-27 05:24:10')");
        check(col("at").is_not_null(), "~(`at` IS NOT NULL)");
        assert_eq!(shown(&col("at").is_null()), None);
        assert_eq!(shown(&Expr::Not(Box::new(col("d").gt(day.clone())))), None);
        check(col("d").gt(day.clone()).and(col("f").gt(lit(1f32))), "~(`d` > '2018-03-27')");
        check(col("d").gt(day).or(col("i").is_null()), "~((`d` > '2018-03-27') OR (`i` IS NULL))");
    }

    #[test]
    fn truth_is_pushed() {
        check(col("ok"), "~(`ok` <> 0)");
        check(Expr::Not(Box::new(col("ok"))), "~(`ok` <> 1)");
        check(Expr::Not(Box::new(col("b"))), "(`b` = 0)");
        check(col("b").eq(lit(true)), "(`b` <> 0)");
    }

    #[test]
    fn conditions_with_another_meaning_are_not_pushed() {
        for expression in [
            col("y").gt(lit(70i32)),
            col("f").eq(lit(0.1f32)),
            col("x").eq(lit(-0.0)),
            col("x").lt(lit(f64::NAN)),
            col("u").gt(lit(ScalarValue::Decimal128(Some(-1), 20, 0))),
            col("j").eq(lit("{}")),
            col("t").ilike(lit("a%")),
            col("t").like(lit("a\\%")),
            col("raw").eq(lit("a")),
            col("i").eq(col("u")),
            col("i").eq(lit(ScalarValue::Int32(None))),
            col("i").in_list(vec![lit(1i32), lit(ScalarValue::Int32(None))], false),
            (col("i") + lit(1i32)).eq(lit(2i32)),
            col("i").eq(lit(1i32)).or(col("f").gt(lit(1f32))),
            Expr::Not(Box::new(col("i").eq(lit(1i32)).and(col("f").gt(lit(1f32))))),
        ] {
            assert_eq!(shown(&expression), None, "{expression}");
        }
    }
}
