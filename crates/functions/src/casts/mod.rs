//! Casts with Databricks' results, where DataFusion's cast gives another one.
//!
//! The analyzer rule of the session replaces casts by these functions. SQL cannot call them.

mod from_text;
mod nested;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use self::from_text::FromText;
use self::nested::NestedCast;
use crate::lists::wrong_count;
use crate::numbers::cast_from_decimal::FromDecimal;
use crate::numbers::cast_to_decimal::ToDecimal;
use crate::plain::{Types, plain};
use crate::text::binary_text::BinaryText;
use crate::text::cast_to_string::Text;
use crate::times::to_date::ToDate;
use crate::times::to_timestamp::{OnError, ToTimestamp, timestamp_type};

/// The internal function that makes a cast a part of the name of a column: `named cast(CAST(a AS INT), 'INT')`.
pub const NAMED_CAST: &str = "named cast";

/// See [`NAMED_CAST`].
pub fn named_cast() -> ScalarUDF {
    let types = |_: &str, types: &[DataType]| match types {
        [value, _] => Types::new([value.clone(), DataType::Utf8], value.clone()),
        _ => wrong_count(NAMED_CAST, "a value and a type are taken"),
    };
    plain(NAMED_CAST, types, |call| Ok(Arc::clone(&call.arguments[0])))
}

/// Returns the function for a cast. None if DataFusion's cast gives the same as Databricks'. With `is_try`, a value that cannot
/// be cast is NULL.
pub fn cast_function(source: &DataType, target: &DataType, is_try: bool) -> Option<Arc<ScalarUDF>> {
    let on_error = if is_try { OnError::Null } else { OnError::Fail };
    if is_text(target) {
        return match source {
            source if Text::takes(source) => Some(Arc::new(ScalarUDF::new_from_impl(Text::new()))),
            source if source.is_binary() => Some(Arc::new(ScalarUDF::new_from_impl(BinaryText::new(on_error)))),
            _ => None,
        };
    }
    if source.is_nested() {
        let is_needed = nested::is_needed(source, target, is_try);
        return is_needed.then(|| Arc::new(ScalarUDF::new_from_impl(NestedCast::new(target.clone(), is_try))));
    }
    if let DataType::Decimal128(precision, scale) = target {
        let is_taken = is_text(source) || source.is_floating();
        let function = || Arc::new(ScalarUDF::new_from_impl(ToDecimal::new(*precision, *scale, on_error)));
        return is_taken.then(function);
    }
    if matches!(source, DataType::Decimal128(_, _)) && matches!(target, DataType::Float32 | DataType::Float64) {
        return Some(Arc::new(ScalarUDF::new_from_impl(FromDecimal::new(target.clone()))));
    }
    if !is_text(source) {
        return None;
    }
    match target {
        DataType::Boolean | DataType::Float32 | DataType::Float64 => {
            Some(Arc::new(ScalarUDF::new_from_impl(FromText::new(target.clone(), on_error))))
        }
        DataType::Date32 => Some(Arc::new(ScalarUDF::new_from_impl(ToDate::new(on_error)))),
        target if *target == timestamp_type() => Some(Arc::new(ScalarUDF::new_from_impl(ToTimestamp::new(on_error)))),
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
