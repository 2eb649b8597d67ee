//! Casts the numbers of VALUES to DOUBLE in a column that mixes DECIMAL with DOUBLE or FLOAT, as Spark does. A column that mixes
//! texts with other values is refused: Spark promotes no text in VALUES.
//!
//! DataFusion finds the types of VALUES while it plans them, before the analyzer rule of the session. It would make a DECIMAL of
//! a DOUBLE. Only the types that an expression shows in the AST are seen here: those of literals and casts.

use sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, SetExpr, Spanned, UnaryOperator, Value, Values};

use pinsql_base::error::{Error, ErrorCode, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A DOUBLE or a FLOAT.
    Floating,
    Decimal,
    Text,
    /// Another type that is known.
    Typed,
    Unknown,
}

/// Rewrites the rows of VALUES.
///
/// Errors: a column has a text and a value of another type.
pub(super) fn unify(body: &mut SetExpr) -> Result<()> {
    let SetExpr::Values(Values { rows, .. }) = body else { return Ok(()) };
    let width = rows.first().map_or(0, |row| row.len());
    for column in 0..width {
        let has = |wanted: Kind| rows.iter().filter_map(|row| row.get(column)).any(|expr| kind_of(expr) == wanted);
        let is_other = |expr: &&Expr| !matches!(kind_of(expr), Kind::Text | Kind::Unknown);
        let other = rows.iter().filter_map(|row| row.get(column)).find(is_other);
        if let Some(other) = other.filter(|_| has(Kind::Text)) {
            let said = format!("column {} of VALUES has texts and values of another type", column + 1);
            return Err(Error::new(ErrorCode::DatatypeMismatch, said).at(other.span()).with_hint("cast one of them"));
        }
        if !has(Kind::Decimal) || !has(Kind::Floating) {
            continue;
        }
        for expr in rows.iter_mut().filter_map(|row| row.get_mut(column)) {
            if matches!(kind_of(expr), Kind::Decimal | Kind::Floating) {
                *expr = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(expr.clone()),
                    data_type: DataType::Double(ExactNumberInfo::None),
                    array: false,
                    format: None,
                };
            }
        }
    }
    Ok(())
}

fn kind_of(expr: &Expr) -> Kind {
    match expr {
        // Only a number with a fraction has no cast yet.
        Expr::Value(value) if matches!(&value.value, Value::Number(number, _) if number.contains('.')) => Kind::Decimal,
        Expr::Nested(expr) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => kind_of(expr),
        Expr::Cast { data_type, .. } => match data_type {
            DataType::Double(_) | DataType::DoublePrecision | DataType::Float(_) | DataType::Real => Kind::Floating,
            DataType::Decimal(_) | DataType::Dec(_) | DataType::Numeric(_) => Kind::Decimal,
            DataType::String(_) | DataType::Varchar(_) | DataType::Char(_) | DataType::Text => Kind::Text,
            _ => Kind::Typed,
        },
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(_) | Value::DoubleQuotedString(_) => Kind::Text,
            Value::Boolean(_) | Value::Number(_, _) => Kind::Typed,
            _ => Kind::Unknown,
        },
        Expr::TypedString(_) | Expr::Interval(_) => Kind::Typed,
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::ast::Statement;
    use sqlparser::dialect::DatabricksDialect;
    use sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn a_column_with_a_double_is_a_column_of_doubles() {
        for (sql, expected) in [
            ("VALUES (1.5), (2.5)", "VALUES (1.5), (2.5)"),
            (
                "VALUES (-1.5), (CAST('2' AS DOUBLE)), (3)",
                "VALUES (CAST(-1.5 AS DOUBLE)), (CAST(CAST('2' AS DOUBLE) AS DOUBLE)), (3)",
            ),
            ("VALUES (1), (CAST('2' AS FLOAT))", "VALUES (1), (CAST('2' AS FLOAT))"),
        ] {
            let Statement::Query(mut query) = Parser::parse_sql(&DatabricksDialect, sql).unwrap().remove(0) else {
                panic!("{sql}");
            };
            unify(&mut query.body).unwrap();
            assert_eq!(query.to_string(), expected);
        }
    }
}
