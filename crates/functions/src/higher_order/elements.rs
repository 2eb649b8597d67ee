//! `transform`, `filter`, `exists` and `forall`: call a lambda for each element of an array.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDFImpl,
    LambdaParametersProgress, Volatility,
};

use super::lambda::{
    Known, call, condition, expect_condition, expect_shape, expect_typed, lambda_types, parameter, row_number, split,
    value_types,
};
use crate::lists::{Picker, array_element, list_from, range};
use pinsql_base::schema::list_of;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Transform,
    Filter,
    Exists,
    Forall,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ElementFunction {
    kind: Kind,
    aliases: Vec<String>,
    signature: HigherOrderSignature,
}

impl ElementFunction {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, aliases: Vec::new(), signature: HigherOrderSignature::user_defined(Volatility::Immutable) }
    }

    fn usage(&self) -> String {
        match self.kind {
            Kind::Transform => "transform(array, x -> …), transform(array, (x, place) -> …)".to_owned(),
            Kind::Filter => "filter(array, x -> …), filter(array, (x, place) -> …)".to_owned(),
            Kind::Exists | Kind::Forall => format!("{}(array, x -> …)", self.name()),
        }
    }

    fn run(&self, list: &ListArray, results: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self.kind {
            Kind::Transform => {
                let lengths = (0..list.len()).map(|row| range(list, row).len()).collect();
                list_from(Arc::clone(results), lengths, list.nulls().cloned())?
            }
            Kind::Filter => filtered(list, &condition(results))?,
            Kind::Exists => Arc::new(folded(list, &condition(results), true)),
            Kind::Forall => Arc::new(folded(list, &condition(results), false)),
        })
    }
}

impl HigherOrderUDFImpl for ElementFunction {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Transform => "transform",
            Kind::Filter => "filter",
            Kind::Exists => "exists",
            Kind::Forall => "forall",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_typed(self.name(), types.first(), "an ARRAY")?;
        types.iter().map(|data_type| Ok(list_of(array_element(self.name(), data_type)?))).collect()
    }

    fn lambda_parameters(&self, _step: usize, fields: &[Known]) -> Result<LambdaParametersProgress> {
        expect_shape(self.name(), fields, 1, 1..=1, &self.usage())?;
        let element = parameter("element", array_element(self.name(), value_types(fields)[0])?);
        Ok(LambdaParametersProgress::Complete(vec![match self.kind {
            Kind::Transform | Kind::Filter => vec![element, parameter("place", DataType::Int32)],
            Kind::Exists | Kind::Forall => vec![element],
        }]))
    }

    fn return_field_from_args(&self, call: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let (array, result) = (value_types(call.arg_fields)[0], lambda_types(call.arg_fields)[0]);
        let data_type = match self.kind {
            Kind::Transform => list_of(result.clone()),
            Kind::Filter => {
                expect_condition(self.name(), result)?;
                array.clone()
            }
            Kind::Exists | Kind::Forall => {
                expect_condition(self.name(), result)?;
                DataType::Boolean
            }
        };
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, arguments: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (values, lambdas) = split(&arguments.args, arguments.number_rows)?;
        let list = values[0].as_list::<i32>();
        let (mut rows, mut places) = (Vec::new(), Vec::new());
        let mut picker = Picker::new(list.values().data_type(), vec![list.values().clone()]);
        for row in 0..list.len() {
            let number = row_number(row)?;
            for (place, element) in range(list, row).enumerate() {
                rows.push(number);
                places.push(i32::try_from(place).unwrap_or(i32::MAX));
                picker.pick(0, element);
            }
        }
        let mut columns = vec![picker.elements()?];
        if matches!(self.kind, Kind::Transform | Kind::Filter) {
            columns.push(Arc::new(Int32Array::from(places)));
        }
        let results = call(lambdas[0], &columns, &rows)?;
        Ok(ColumnarValue::Array(self.run(list, &results)?))
    }
}

/// `kept` has one value per element, for all rows in sequence.
fn filtered(list: &ListArray, kept: &BooleanArray) -> Result<ArrayRef> {
    let mut picker = Picker::new(list.values().data_type(), vec![list.values().clone()]);
    let mut next = 0;
    for row in 0..list.len() {
        if list.is_null(row) {
            picker.null_row();
            continue;
        }
        for place in range(list, row) {
            if kept.is_valid(next) && kept.value(next) {
                picker.pick(0, place);
            }
            next += 1;
        }
        picker.end_row();
    }
    picker.finish()
}

/// True if some elements (`decides` is true) or all elements (false) are true. NULL if only a NULL element could decide.
fn folded(list: &ListArray, results: &BooleanArray, decides: bool) -> BooleanArray {
    let mut next = 0;
    let row = |row: usize| {
        let results: Vec<Option<bool>> = range(list, row)
            .map(|_| {
                let result = results.is_valid(next).then(|| results.value(next));
                next += 1;
                result
            })
            .collect();
        match () {
            () if list.is_null(row) => None,
            () if results.contains(&Some(decides)) => Some(decides),
            () if results.contains(&None) => None,
            () => Some(!decides),
        }
    };
    (0..list.len()).map(row).collect()
}
