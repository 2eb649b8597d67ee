//! Operands that DataFusion refuses or types in another way, with the types of Spark.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable};

use pinsql_base::engine_error::{external, with_article};
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;

/// Aggregates of bits. An untyped NULL is an INT there.
pub(super) const OF_BITS: [&str; 3] = ["bit_and", "bit_or", "bit_xor"];

/// The arguments with a type for each untyped NULL.
pub(super) fn typed_null(arguments: Vec<Expr>, data_type: &DataType, schema: &DFSchema) -> Result<Vec<Expr>> {
    let typed = |argument: Expr| match argument.get_type(schema) {
        Ok(given) if given.is_null() => argument.cast_to(data_type, schema),
        _ => Ok(argument),
    };
    arguments.into_iter().map(typed).collect()
}

/// An operand of LIKE as a STRING.
///
/// Errors: it is an ARRAY, a MAP or a STRUCT.
pub(super) fn as_text(operand: Expr, schema: &DFSchema) -> Result<Expr> {
    match operand.get_type(schema) {
        Ok(given) if given.is_nested() => {
            let said = format!("LIKE takes texts, not {}", with_article(&type_name(&given)));
            Err(external(Error::new(ErrorCode::DatatypeMismatch, said).with_hint("CAST(value AS STRING)")))
        }
        Ok(given) if !given.is_string() && !given.is_null() => operand.cast_to(&DataType::Utf8, schema),
        _ => Ok(operand),
    }
}
