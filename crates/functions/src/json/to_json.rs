//! `to_json(value [, options])`: writes a STRUCT, an ARRAY or a MAP as JSON text, as Spark does.
//!
//! NULL fields are left out, unless the option `ignoreNullFields` is false. NULL elements and NULL values of a map are written.
//! Timestamps have milliseconds and end in Z. The planner (`statement::query::json_calls`) writes the constant options after the
//! value. The other options are deliberately absent: `date_format` writes times in any format.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::writer::{Fraction, JsonWriter};
use crate::lists::wrong_count;
use crate::plain::{Call, Types, wrong_call};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode, nearest};
use pinsql_base::schema::{STRING, normalize_type, type_name};

const OPTION: &str = "ignoreNullFields";

pub(super) fn types(function: &str, types: &[DataType]) -> Result<Types> {
    let Some((value, options)) = types.split_first() else {
        return wrong_count(function, "to_json(value [, map('option', 'value')])");
    };
    if !matches!(
        value,
        DataType::Struct(_)
            | DataType::Map(_, _)
            | DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(_, _)
    ) {
        let what = format!("expected a STRUCT, an ARRAY or a MAP, got {}", type_name(value));
        return Err(wrong_call(function, what, "to_json(struct(a, b))"));
    }
    // Normalized: one string type and one list type.
    Types::new([vec![normalize_type(value)], vec![STRING; options.len()]].concat(), STRING)
}

pub(super) fn to_json(call: &Call) -> Result<ArrayRef> {
    let mut writer = JsonWriter::new(true, Fraction::Millis);
    for option in call.arguments[1..].chunks(2).filter(|_| call.rows > 0) {
        let [name, value] = option else { return wrong_count("to_json", "an option has a name and a value") };
        let (name, value) = (name.as_string_view().value(0), value.as_string_view().value(0));
        writer.leaves_nulls_out = ignores_nulls(name, value)?;
    }
    let values = &call.arguments[0];
    let mut texts = StringViewBuilder::new();
    for row in 0..call.rows {
        if values.is_null(row) {
            texts.append_null();
            continue;
        }
        writer.clear();
        writer.value(values, row)?;
        texts.append_value(writer.text());
    }
    Ok(Arc::new(texts.finish()))
}

fn ignores_nulls(name: &str, value: &str) -> Result<bool> {
    if !name.eq_ignore_ascii_case(OPTION) {
        let error = Error::new(ErrorCode::UnknownOption, format!("to_json: there is no option `{name}`"));
        return Err(external(match nearest(name, [OPTION]) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(format!("the one option is {OPTION}")),
        }));
    }
    value.to_lowercase().parse().map_err(|_| {
        external(Error::new(ErrorCode::InvalidOption, format!("to_json: `{OPTION}` is true or false, not `{value}`")))
    })
}
