//! Comparisons of an integer with a decimal literal, as in Spark: the literal becomes an integer, so the column needs no cast.
//!
//! `n > 1.5` is `n > 1`, and `n >= 1.5` is `n >= 2`. A column without a cast can be compared with the statistics of files.

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};

/// The same comparison with an integer literal, if there is one.
pub(super) fn compared(op: Operator, left: Expr, right: Expr, schema: &DFSchema) -> (Operator, Expr, Expr) {
    if let Some(bound) = bound(op, &left, &right, schema) {
        return (op, left, bound);
    }
    if let Some(bound) = op.swap().and_then(|op| bound(op, &right, &left, schema)) {
        return (op, bound, right);
    }
    (op, left, right)
}

/// The integer literal for `integer op literal`.
fn bound(op: Operator, integer: &Expr, literal: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Decimal128(Some(value), _, scale), _) = literal else { return None };
    if !integer.get_type(schema).is_ok_and(|data_type| data_type.is_signed_integer()) {
        return None;
    }
    let unit = 10_i128.checked_pow(u32::try_from(*scale).ok()?)?;
    let (floor, is_whole) = (value.div_euclid(unit), value.rem_euclid(unit) == 0);
    let bound = match op {
        _ if is_whole => floor,
        Operator::Gt | Operator::LtEq => floor,
        Operator::GtEq | Operator::Lt => floor + 1,
        _ => return None,
    };
    Some(Expr::Literal(ScalarValue::Int64(Some(i64::try_from(bound).ok()?)), None))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn bounds_of_integers_are_rounded_towards_the_matching_side() {
        let schema = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
        let schema = DFSchema::try_from(schema).unwrap();
        for (op, value, expected) in [
            (Operator::Gt, 15, Some(1)),
            (Operator::GtEq, 15, Some(2)),
            (Operator::Lt, -15, Some(-1)),
            (Operator::LtEq, -15, Some(-2)),
            (Operator::Eq, 20, Some(2)),
            (Operator::Eq, 15, None),
        ] {
            let literal = lit(ScalarValue::Decimal128(Some(value), 2, 1));
            let (_, _, right) = compared(op, col("n"), literal.clone(), &schema);
            assert_eq!(right, expected.map_or(literal, |bound: i64| lit(bound)), "n {op} {value}/10");
        }
    }
}
