//! `regexp_replace(text, pattern, replacement [, position])`: replaces every match. `$1` is a group.
//!
//! DataFusion replaces only the first match, unless the fourth argument has `g`, and replaces an unknown group by nothing.
//! Patterns have Java's syntax (`translate.rs`), and so has the replacement: `$n`, `${name}`, and a back-slash before a literal
//! character.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::pattern::{Captures, Pattern, Patterns};
use crate::plain::texts;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RegexpReplace {
    signature: Signature,
}

impl RegexpReplace {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RegexpReplace {
    fn name(&self) -> &str {
        "regexp_replace"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.len() {
            3 => texts(self.name(), types),
            4 if types[3].is_integer() => Ok([texts(self.name(), &types[..3])?, vec![DataType::Int64]].concat()),
            4 => plan_err!("regexp_replace: the fourth argument is the position to start at, a whole number"),
            _ => plan_err!("regexp_replace takes a text, a pattern, a replacement and a position to start at"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(replace, Vec::new())(&call.args)
    }
}

fn replace(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, patterns, replacements) =
        (arguments[0].as_string::<i32>(), arguments[1].as_string::<i32>(), arguments[2].as_string::<i32>());
    let positions = arguments.get(3).map(|positions| positions.as_primitive::<Int64Type>());
    let mut compiled = Patterns::default();
    let mut replaced = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
    for row in 0..texts.len() {
        if arguments.iter().any(|argument| argument.is_null(row)) {
            replaced.append_null();
            continue;
        }
        let text = texts.value(row);
        let (before, rest) = split_at(text, positions.map_or(1, |positions| positions.value(row)))?;
        let pattern = compiled.get(patterns.value(row))?.for_text(text)?;
        if !pattern.is_match(rest)? {
            replaced.append_value(text);
            continue;
        }
        let replacement = Replacement::parse(replacements.value(row), pattern)?;
        let mut whole = String::from(before);
        let mut copied = 0;
        pattern.for_each_match(rest, |captures| {
            let span = captures.span();
            whole.push_str(&rest[copied..span.start]);
            replacement.expand(captures, &mut whole);
            copied = span.end;
            true
        })?;
        whole.push_str(&rest[copied..]);
        replaced.append_value(whole);
    }
    Ok(Arc::new(replaced.finish()))
}

/// Splits a text before the character at `position`, counted from 1.
fn split_at(text: &str, position: i64) -> Result<(&str, &str)> {
    let skipped = usize::try_from(position).ok().and_then(|position| position.checked_sub(1)).ok_or_else(|| {
        external(Error::new(
            ErrorCode::InvalidValue,
            format!("regexp_replace: the position {position} is not 1 or more"),
        ))
    })?;
    let start = text.char_indices().nth(skipped).map_or(text.len(), |(start, _)| start);
    Ok(text.split_at(start))
}

/// A parsed replacement.
struct Replacement(Vec<Part>);

enum Part {
    Text(String),
    Group(usize),
}

impl Replacement {
    fn parse(written: &str, pattern: &Pattern) -> Result<Self> {
        let refuse = |reason: String| {
            external(
                Error::new(ErrorCode::InvalidPattern, format!("the replacement `{written}` cannot be used: {reason}"))
                    .with_hint(
                        r"a `$` or `\` that stands for itself has a `\` before it, which is written `\\` in a literal",
                    ),
            )
        };
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = written.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\\' => text.push(rest.next().ok_or_else(|| refuse("it ends with a back-slash".to_owned()))?),
                '$' => {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    if rest.next_if_eq(&'{').is_some() {
                        let name: String = std::iter::from_fn(|| rest.next_if(|next| *next != '}')).collect();
                        let group = pattern.group_named(&name).filter(|_| rest.next().is_some());
                        parts.push(Part::Group(group.ok_or_else(|| refuse(format!("there is no group `{name}`")))?));
                        continue;
                    }
                    let digit = rest.next().and_then(|next| next.to_digit(10));
                    let mut group =
                        digit.ok_or_else(|| refuse("a `$` is followed by the number of a group".to_owned()))? as usize;
                    if group >= pattern.groups() {
                        return Err(refuse(format!("there is no group {group}")));
                    }
                    // A further digit belongs to the number if the pattern has such a group.
                    while let Some(digit) = rest.peek().and_then(|next| next.to_digit(10)) {
                        let longer = group * 10 + digit as usize;
                        if longer >= pattern.groups() {
                            break;
                        }
                        group = longer;
                        rest.next();
                    }
                    parts.push(Part::Group(group));
                }
                other => text.push(other),
            }
        }
        parts.push(Part::Text(text));
        Ok(Self(parts))
    }

    fn expand(&self, captures: &Captures<'_>, text: &mut String) {
        for part in &self.0 {
            text.push_str(match part {
                Part::Text(written) => written,
                Part::Group(group) => captures.group(*group).unwrap_or_default(),
            });
        }
    }
}
