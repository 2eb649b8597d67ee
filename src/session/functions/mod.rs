//! The functions and operators whose meaning in Databricks DataFusion does not have, or has under another name.
//!
//! Each stands in for DataFusion's function of the same name; `docs/functions.md` says what is the same as in Databricks
//! and what still differs. The pipeline's own functions are not here but in the crate `udfs`.

pub mod arithmetic;
pub mod array_element;
pub mod binary_text;
mod concat;
mod current_timestamp;
mod date_format;
pub mod date_part;
pub mod divide;
pub mod from_json;
pub mod get_json_object;
mod length;
mod logarithm;
mod regex;
mod regexp_extract;
mod regexp_like;
mod regexp_replace;
pub mod remainder;
mod reverse;
mod split;
pub mod substring;
mod sum;
pub mod text;
pub mod to_date;
pub mod to_timestamp;
mod type_of;
mod unix_seconds;

use arrow::datatypes::FieldRef;
use datafusion::functions_nested::remove::array_remove_all_udf;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use self::array_element::{Access, ArrayElement};
use self::date_part::{DatePart, PART_FUNCTIONS, PartOf};
use self::from_json::FromJson;
use self::get_json_object::{GetJsonObject, Grammar};
use self::length::{Length, Unit};
use self::logarithm::{LOGARITHMS, Logarithm};
use self::to_timestamp::OnError;

/// Every function of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    let array = datafusion::functions_nested::make_array::make_array_udf().as_ref().clone().with_aliases(["array"]);
    // DataFusion's own `array_remove` takes away the first such element alone.
    let remove = array_remove_all_udf().as_ref().clone().with_aliases(["array_remove"]);
    let mut functions = vec![
        array,
        remove,
        ScalarUDF::new_from_impl(ArrayElement::new(Access::ElementAt)),
        ScalarUDF::new_from_impl(ArrayElement::new(Access::Get)),
        ScalarUDF::new_from_impl(ArrayElement::new(Access::TryElementAt)),
        ScalarUDF::new_from_impl(concat::Concat::new()),
        ScalarUDF::new_from_impl(current_timestamp::CurrentTimestamp::new()),
        ScalarUDF::new_from_impl(date_format::DateFormat::new()),
        ScalarUDF::new_from_impl(DatePart::new()),
        ScalarUDF::new_from_impl(FromJson::new()),
        ScalarUDF::new_from_impl(GetJsonObject::new(Grammar::Function)),
        ScalarUDF::new_from_impl(GetJsonObject::new(Grammar::Operator)),
        ScalarUDF::new_from_impl(Length::new(Unit::Characters)),
        ScalarUDF::new_from_impl(Length::new(Unit::Bytes)),
        ScalarUDF::new_from_impl(Length::new(Unit::Bits)),
        ScalarUDF::new_from_impl(regexp_extract::RegexpExtract::new()),
        ScalarUDF::new_from_impl(regexp_like::RegexpLike::new()),
        ScalarUDF::new_from_impl(regexp_replace::RegexpReplace::new()),
        ScalarUDF::new_from_impl(reverse::Reverse::new()),
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
    functions
}

/// Every aggregate function of this module.
pub fn all_aggregates() -> Vec<AggregateUDF> {
    vec![AggregateUDF::new_from_impl(sum::CheckedSum::new())]
}

/// Whether the result of an operator that passes NULL on can be NULL.
fn is_any_nullable(fields: &[FieldRef]) -> bool {
    fields.iter().any(|field| field.is_nullable())
}
