//! An example of user functions for pinsql: see `README.md`.

use std::sync::Arc;

use pinsql_udf::Function;
use pinsql_udf::arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray};
use pinsql_udf::arrow::datatypes::Float64Type;

pinsql_udf::library![Shout, Ratio];

/// `shout(text)`: the text in capitals, with an exclamation mark.
struct Shout;

impl Function for Shout {
    fn name(&self) -> &str {
        "shout"
    }

    fn parameters(&self) -> Vec<&str> {
        vec!["STRING"]
    }

    fn returns(&self) -> &str {
        "STRING"
    }

    fn documentation(&self) -> &str {
        "shout(text) - the text in capitals, with an exclamation mark"
    }

    fn evaluate(&self, arguments: &[ArrayRef], _rows: usize) -> Result<ArrayRef, String> {
        let texts = arguments[0].as_string::<i32>();
        let shouted: StringArray = texts.iter().map(|text| text.map(|text| text.to_uppercase() + "!")).collect();
        Ok(Arc::new(shouted))
    }
}

/// `ratio(part, whole)`: a ratio between 0 and 1. Other values are an error of the record.
struct Ratio;

impl Function for Ratio {
    fn name(&self) -> &str {
        "ratio"
    }

    fn parameters(&self) -> Vec<&str> {
        vec!["DOUBLE", "DOUBLE"]
    }

    fn returns(&self) -> &str {
        "DOUBLE"
    }

    fn documentation(&self) -> &str {
        "ratio(part, whole) - part / whole, which has to be between 0 and 1"
    }

    fn evaluate(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, String> {
        let (parts, wholes) = (arguments[0].as_primitive::<Float64Type>(), arguments[1].as_primitive::<Float64Type>());
        let ratio = |row: usize| match (parts.is_null(row), wholes.is_null(row)) {
            (false, false) => match parts.value(row) / wholes.value(row) {
                ratio if (0.0..=1.0).contains(&ratio) => Ok(Some(ratio)),
                ratio => Err(format!("the ratio {ratio} is not between 0 and 1")),
            },
            _ => Ok(None),
        };
        let ratios: Float64Array = (0..rows).map(ratio).collect::<Result<_, String>>()?;
        Ok(Arc::new(ratios))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_can_be_tested_without_pinsql() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("tea"), None]));
        let shouted = Shout.evaluate(&[texts], 2).unwrap();
        assert_eq!(shouted.as_string::<i32>(), &StringArray::from(vec![Some("TEA!"), None]));
    }
}
