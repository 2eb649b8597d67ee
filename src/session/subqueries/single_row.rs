//! The function that lets a scalar subquery return one row and no more.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

/// `value`, and an error in a row where `rows` is above 1.
pub(super) fn single_row(value: Expr, rows: Expr) -> Expr {
    let function = ScalarUDF::new_from_impl(SingleRow { signature: Signature::any(2, Volatility::Immutable) });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![value, rows]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleRow {
    signature: Signature,
}

impl ScalarUDFImpl for SingleRow {
    fn name(&self) -> &str {
        "single_row"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, rows] = call.args.as_slice() else { return exec_err!("single_row takes a value and a number") };
        let rows = rows.to_array(call.number_rows)?;
        let Some(rows) = rows.as_primitive_opt::<Int64Type>() else {
            return exec_err!("single_row takes a whole number");
        };
        match rows.iter().flatten().any(|rows| rows > 1) {
            true => Err(external(Error::new(
                ErrorCode::ScalarSubqueryTooManyRows,
                "a subquery that is used as a value returns more than one row",
            ))),
            false => Ok(value.clone()),
        }
    }
}
