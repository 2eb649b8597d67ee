//! Decimals as arguments of `format_string`: `%s` takes their text. The function of DataFusion writes their digits without the
//! point.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable};

/// The names of the function.
pub(super) const FUNCTIONS: [&str; 2] = ["format_string", "printf"];

/// The arguments with a cast to STRING for each DECIMAL of a `%s`. A pattern that is no constant makes all decimals texts.
pub(super) fn with_texts(arguments: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let conversions = match arguments.first() {
        Some(Expr::Literal(pattern, _)) => pattern.try_as_str().flatten().map(conversions),
        _ => None,
    };
    let with_text = |(place, argument): (usize, Expr)| {
        let is_decimal = matches!(argument.get_type(schema), Ok(DataType::Decimal128(_, _)));
        let is_text = match (&conversions, place.checked_sub(1)) {
            (Some(conversions), Some(place)) => conversions.get(place).is_none_or(|letter| matches!(letter, 's' | 'S')),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if is_decimal && is_text { argument.cast_to(&DataType::Utf8, schema) } else { Ok(argument) }
    };
    arguments.into_iter().enumerate().map(with_text).collect()
}

/// The letters of the conversions in a pattern, in the order of their arguments.
fn conversions(pattern: &str) -> Vec<char> {
    let mut letters = Vec::new();
    let mut rest = pattern.chars();
    while rest.by_ref().any(|character| character == '%') {
        let letter = rest.by_ref().find(|character| character.is_alphabetic() || *character == '%');
        letters.extend(letter.filter(|letter| !matches!(letter, '%' | 'n')));
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_found_in_their_order() {
        for (pattern, expected) in [("%s", "s"), ("%5.2f and %-10s", "fs"), ("100%% of %d%n%S", "dS"), ("none", "")] {
            assert_eq!(conversions(pattern).into_iter().collect::<String>(), expected, "{pattern}");
        }
    }
}
