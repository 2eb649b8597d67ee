//! The functions and operators whose meaning in Databricks DataFusion does not have, or has under another name.
//!
//! Each stands in for DataFusion's function of the same name; `docs/functions.md` says what is the same as in Databricks
//! and what still differs. The pipeline's own functions are not here but in the crate `udfs`.

pub mod aggregates;
pub mod arithmetic;
pub mod arrays;
pub mod binary_text;
mod concat;
mod current_timestamp;
mod date_format;
pub mod date_part;
pub mod divide;
pub mod generators;
pub mod higher_order;
pub mod json;
mod length;
mod lists;
mod logarithm;
pub mod maps;
mod plain;
mod regex;
mod regexp_extract;
mod regexp_like;
mod regexp_replace;
pub mod remainder;
mod split;
pub mod substring;
pub mod text;
pub mod to_date;
pub mod to_timestamp;
mod type_of;
mod unix_seconds;

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF};

use self::date_part::{DatePart, PART_FUNCTIONS, PartOf};
use self::length::{Length, Unit};
use self::logarithm::{LOGARITHMS, Logarithm};
use self::to_timestamp::OnError;

/// Every function of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    let mut functions = vec![
        ScalarUDF::new_from_impl(concat::Concat::new()),
        ScalarUDF::new_from_impl(current_timestamp::CurrentTimestamp::new()),
        ScalarUDF::new_from_impl(date_format::DateFormat::new()),
        ScalarUDF::new_from_impl(DatePart::new()),
        ScalarUDF::new_from_impl(Length::new(Unit::Characters)),
        ScalarUDF::new_from_impl(Length::new(Unit::Bytes)),
        ScalarUDF::new_from_impl(Length::new(Unit::Bits)),
        ScalarUDF::new_from_impl(regexp_extract::RegexpExtract::new()),
        ScalarUDF::new_from_impl(regexp_like::RegexpLike::new()),
        ScalarUDF::new_from_impl(regexp_replace::RegexpReplace::new()),
        ScalarUDF::new_from_impl(split::Split::new()),
        ScalarUDF::new_from_impl(substring::Substring::new()),
        ScalarUDF::new_from_impl(to_date::ToDate::new()),
        ScalarUDF::new_from_impl(to_timestamp::ToTimestamp::new(OnError::Fail)),
        ScalarUDF::new_from_impl(to_timestamp::ToTimestamp::new(OnError::Null)),
        ScalarUDF::new_from_impl(type_of::TypeOf::new()),
        ScalarUDF::new_from_impl(unix_seconds::UnixSeconds::new()),
    ];
    functions.extend(LOGARITHMS.map(|kind| ScalarUDF::new_from_impl(Logarithm::new(kind))));
    functions.extend(PART_FUNCTIONS.map(|part| ScalarUDF::new_from_impl(PartOf::new(part))));
    functions.extend(arrays::all());
    functions.extend(json::all());
    functions.extend(maps::all());
    functions
}

/// Every function of this module that takes a lambda.
pub fn all_higher_order() -> Vec<Arc<HigherOrderUDF>> {
    higher_order::all()
}

/// Every aggregate function of this module.
pub fn all_aggregates() -> Vec<AggregateUDF> {
    aggregates::all()
}

/// Whether the result of an operator that passes NULL on can be NULL.
fn is_any_nullable(fields: &[FieldRef]) -> bool {
    fields.iter().any(|field| field.is_nullable())
}
