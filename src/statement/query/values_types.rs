//! Casts the numbers of VALUES to DOUBLE in a column that mixes DECIMAL with DOUBLE or FLOAT, as Spark does.
//!
//! DataFusion finds the types of VALUES while it plans them, before the analyzer rule of the session. It would make a DECIMAL of
//! a DOUBLE. Only the types that an expression shows in the AST are seen here: those of literals and casts.

use sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, SetExpr, UnaryOperator, Value, Values};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A DOUBLE or a FLOAT.
    Floating,
    Decimal,
    Other,
}

/// Rewrites the rows of VALUES.
pub(super) fn unify(body: &mut SetExpr) {
    let SetExpr::Values(Values { rows, .. }) = body else { return };
    let width = rows.first().map_or(0, |row| row.len());
    for column in 0..width {
        let has = |wanted: Kind| rows.iter().filter_map(|row| row.get(column)).any(|expr| kind_of(expr) == wanted);
        if !has(Kind::Decimal) || !has(Kind::Floating) {
            continue;
        }
        for expr in rows.iter_mut().filter_map(|row| row.get_mut(column)) {
            if kind_of(expr) != Kind::Other {
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
}

fn kind_of(expr: &Expr) -> Kind {
    match expr {
        // Only a number with a fraction has no cast yet.
        Expr::Value(value) if matches!(&value.value, Value::Number(number, _) if number.contains('.')) => Kind::Decimal,
        Expr::Nested(expr) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => kind_of(expr),
        Expr::Cast { data_type, .. } => match data_type {
            DataType::Double(_) | DataType::DoublePrecision | DataType::Float(_) | DataType::Real => Kind::Floating,
            DataType::Decimal(_) | DataType::Dec(_) | DataType::Numeric(_) => Kind::Decimal,
            _ => Kind::Other,
        },
        _ => Kind::Other,
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
            unify(&mut query.body);
            assert_eq!(query.to_string(), expected);
        }
    }
}
