//! ORDER BY of arrays and structs, and PARTITION BY of floats.
//!
//! NULLS FIRST and NULLS LAST are about the value itself. A NULL inside the value is always lower than all others in Spark. Arrow
//! applies the option to both, so a key that does not have the default of its direction becomes two keys: whether it is NULL, and
//! the value with the default.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{BinaryExpr, Sort as SortKey};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, Sort};

use pinsql_functions::expect_order;

/// The keys in the form that Arrow sorts as Spark. None if they have it already.
///
/// Errors: a key has no order.
pub(super) fn keys(keys: &[SortKey], schema: &DFSchema) -> Result<Option<Vec<SortKey>>> {
    let mut is_changed = false;
    let mut written = Vec::with_capacity(keys.len());
    for key in keys {
        let data_type = key.expr.get_type(schema)?;
        expect_order(&data_type)?;
        if data_type.is_nested() && key.nulls_first != key.asc {
            is_changed = true;
            let is_null = Expr::IsNull(Box::new(key.expr.clone()));
            written.push(SortKey { expr: is_null, asc: !key.nulls_first, nulls_first: true });
            written.push(SortKey { expr: key.expr.clone(), asc: key.asc, nulls_first: key.asc });
        } else {
            written.push(key.clone());
        }
    }
    Ok(is_changed.then_some(written))
}

/// The plan of ORDER BY. None if it is right already.
pub(super) fn sort(sort: &Sort) -> Result<Option<LogicalPlan>> {
    let keys = keys(&sort.expr, sort.input.schema())?;
    Ok(keys.map(|expr| LogicalPlan::Sort(Sort { expr, input: sort.input.clone(), fetch: sort.fetch })))
}

/// The keys of PARTITION BY, in which -0.0 and 0.0 are one key. None if no key is a float.
pub(super) fn partitions(keys: &[Expr], schema: &DFSchema) -> Result<Option<Vec<Expr>>> {
    let mut is_changed = false;
    let mut written = Vec::with_capacity(keys.len());
    for key in keys {
        let zero = match key.get_type(schema)? {
            DataType::Float32 => Some(ScalarValue::Float32(Some(0.0))),
            DataType::Float64 => Some(ScalarValue::Float64(Some(0.0))),
            _ => None,
        };
        written.push(match zero {
            Some(zero) if !is_normalized(key) => {
                is_changed = true;
                let zero = Box::new(Expr::Literal(zero, None));
                Expr::BinaryExpr(BinaryExpr::new(Box::new(key.clone()), Operator::Plus, zero))
            }
            _ => key.clone(),
        });
    }
    Ok(is_changed.then_some(written))
}

/// True for the sum with zero, or what type coercion made of it.
fn is_normalized(key: &Expr) -> bool {
    match key {
        Expr::BinaryExpr(BinaryExpr { op: Operator::Plus, right, .. }) => {
            matches!(
                right.as_ref(),
                Expr::Literal(ScalarValue::Float32(Some(0.0)) | ScalarValue::Float64(Some(0.0)), _)
            )
        }
        Expr::ScalarFunction(call) => {
            let zero = call.args.get(1);
            matches!(zero, Some(Expr::Literal(ScalarValue::Float32(Some(0.0)) | ScalarValue::Float64(Some(0.0)), _)))
        }
        _ => false,
    }
}
