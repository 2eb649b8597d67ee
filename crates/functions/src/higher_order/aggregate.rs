//! `aggregate(array, start, merge [, finish])`, and `reduce`: merges the elements of an array one by one into a value.
//!
//! For each position, the lambda is called once for all arrays with an element there. So the number of calls per batch is the
//! length of its longest array. The start value has the result type of the merge, as in Spark.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDFImpl,
    LambdaArgument, LambdaParametersProgress, Volatility,
};

use super::lambda::{Known, call, expect_shape, expect_typed, lambda_types, parameter, row_number, split, value_types};
use crate::lists::{array_element, range};
use crate::plain::wrong_call;
use pinsql_base::schema::{list_of, normalize_type, type_name};

const USAGE: &str = "aggregate(array, start, (merged, x) -> …), aggregate(array, start, (merged, x) -> …, merged -> …)";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Aggregate {
    aliases: Vec<String>,
    signature: HigherOrderSignature,
}

impl Aggregate {
    pub(super) fn new() -> Self {
        Self {
            aliases: vec!["reduce".to_owned()],
            signature: HigherOrderSignature::user_defined(Volatility::Immutable),
        }
    }
}

impl HigherOrderUDFImpl for Aggregate {
    fn name(&self) -> &str {
        "aggregate"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_typed(self.name(), types.first(), "an ARRAY")?;
        match types {
            [array, start] => Ok(vec![list_of(array_element(self.name(), array)?), start.clone()]),
            other => Ok(other.to_vec()),
        }
    }

    fn lambda_parameters(&self, _step: usize, fields: &[Known]) -> Result<LambdaParametersProgress> {
        expect_shape(self.name(), fields, 2, 1..=2, USAGE)?;
        let [array, start] = value_types(fields)[..] else { return internal_err!("aggregate has two values") };
        let merged = || parameter("merged", start.clone());
        let mut parameters = vec![vec![merged(), parameter("element", array_element(self.name(), array)?)]];
        if fields.len() > 3 {
            parameters.push(vec![merged()]);
        }
        Ok(LambdaParametersProgress::Complete(parameters))
    }

    fn return_field_from_args(&self, call: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let [_, start] = value_types(call.arg_fields)[..] else { return internal_err!("aggregate has two values") };
        let lambdas = lambda_types(call.arg_fields);
        let merged = lambdas[0];
        if normalize_type(merged) != normalize_type(start) {
            let what =
                format!("the start value is a {}, and the merge returns a {}", type_name(start), type_name(merged));
            let hint = format!("CAST(start AS {})", type_name(merged));
            return Err(wrong_call(self.name(), what, &hint));
        }
        let result = lambdas.get(1).copied().unwrap_or(start);
        Ok(Arc::new(Field::new(self.name(), result.clone(), true)))
    }

    fn invoke_with_args(&self, arguments: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let (values, lambdas) = split(&arguments.args, rows)?;
        let merged = merge(&values[0], Arc::clone(&values[1]), lambdas[0])?;
        // A NULL array needs no call.
        let known = (0..rows).filter(|row| values[0].is_valid(*row)).map(row_number).collect::<Result<Vec<u32>>>()?;
        let merged = take(&merged, &UInt32Array::from(known.clone()), None)?;
        let finished = match lambdas.get(1) {
            Some(finish) => call(finish, &[merged], &known)?,
            None => merged,
        };
        let mut next = 0_u32..;
        let place = |row: usize| if values[0].is_valid(row) { next.next() } else { None };
        let places: UInt32Array = (0..rows).map(place).collect();
        Ok(ColumnarValue::Array(take(&finished, &places, None)?))
    }
}

/// The merged value of each row. A row with a NULL array keeps its start value.
fn merge(array: &ArrayRef, start: ArrayRef, lambda: &LambdaArgument) -> Result<ArrayRef> {
    let list = array.as_list::<i32>();
    let longest = (0..list.len()).map(|row| range(list, row).len()).max().unwrap_or(0);
    let mut merged = start;
    for place in 0..longest {
        let (mut rows, mut elements) = (Vec::new(), Vec::new());
        for row in (0..list.len()).filter(|row| place < range(list, *row).len()) {
            rows.push(row_number(row)?);
            elements.push(row_number(range(list, row).start + place)?);
        }
        let picked = UInt32Array::from(rows.clone());
        let columns = [take(&merged, &picked, None)?, take(list.values(), &UInt32Array::from(elements), None)?];
        let results = call(lambda, &columns, &rows)?;
        let results = match results.data_type() == merged.data_type() {
            true => results,
            false => arrow::compute::cast(&results, merged.data_type())?,
        };
        // A row whose array has ended keeps its value.
        let mut sources: Vec<(usize, usize)> = (0..list.len()).map(|row| (0, row)).collect();
        for (result, row) in rows.iter().enumerate() {
            sources[*row as usize] = (1, result);
        }
        merged = interleave(&[merged.as_ref(), results.as_ref()], &sources)?;
    }
    Ok(merged)
}
