//! `right` and the `trim` functions. The planner rewrites `left` to `substring`.

use super::substring::{characters, range};
use crate::row::Kind::{Int, Text};
use crate::row::RowFunction;

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![RowFunction::new("right", &[Text, Int], Text, |row| {
        let (text, length) = (row.text(0)?, row.int(1)?);
        let units = text.chars().count();
        Ok(if length <= 0 { String::new() } else { characters(text, range(units, -i64::from(length), i64::MAX)) }
            .into())
    })]
}
