//! `age_group`: the pipeline's four age groups.
//!
//! The last group is everything else, like the `ELSE` of the `CASE` that this function replaces. It also has ages under 18 and
//! rows without an age, so the groups together always have every row.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, Int64Array, StringViewBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::scalar_doc_sections::DOC_SECTION_CONDITIONAL;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DOC_SECTION_CONDITIONAL,
        "The age group of a person: `18-24`, `25-35`, `36-50`, and `50+` for everything else, also for an age under 18 \
         and for NULL. Never NULL.",
        "age_group(age)",
    )
    .with_sql_example("SELECT age_group(20), age_group(50), age_group(51); -- 18-24, 36-50, 50+")
    .with_argument("age", "The age in whole years (INT or BIGINT).")
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AgeGroup {
    signature: Signature,
}

impl AgeGroup {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for AgeGroup {
    fn name(&self) -> &str {
        "age_group"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _argument_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match call.args.as_slice() {
            [ColumnarValue::Scalar(ScalarValue::Int64(age))] => {
                Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(Some(age_group(*age).to_owned()))))
            }
            [ColumnarValue::Array(ages)] => match ages.as_primitive_opt::<Int64Type>() {
                Some(ages) => Ok(ColumnarValue::Array(Arc::new(group_each(ages).finish()))),
                None => internal_err!("age_group was called with {}", ages.data_type()),
            },
            _ => internal_err!("age_group was called with {:?}", call.arg_fields),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

/// The name of each group is short enough for the view itself, so the column has no data buffer.
fn group_each(ages: &Int64Array) -> StringViewBuilder {
    let mut groups = StringViewBuilder::with_capacity(ages.len());
    for age in ages {
        groups.append_value(age_group(age));
    }
    groups
}

fn age_group(age: Option<i64>) -> &'static str {
    match age {
        Some(18..=24) => "18-24",
        Some(25..=35) => "25-35",
        Some(36..=50) => "36-50",
        _ => "50+",
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;

    #[test]
    fn every_border() {
        let cases = [
            (Some(17), "50+"),
            (Some(18), "18-24"),
            (Some(24), "18-24"),
            (Some(25), "25-35"),
            (Some(35), "25-35"),
            (Some(36), "36-50"),
            (Some(50), "36-50"),
            (Some(51), "50+"),
            (Some(-1), "50+"),
            (Some(i64::MIN), "50+"),
            (Some(i64::MAX), "50+"),
            (None, "50+"),
        ];
        for (age, group) in cases {
            assert_eq!(age_group(age), group, "{age:?}");
        }
        let (ages, groups): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        let grouped = group_each(&Int64Array::from(ages)).finish();
        assert_eq!(grouped.iter().flatten().collect::<Vec<_>>(), groups);
        assert_eq!(grouped.null_count(), 0);
    }
}
