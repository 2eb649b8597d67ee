//! Paths into JSON text: `get_json_object(text, '$.a.b[0]')` and `text:a.b[0]`.
//!
//! The result is written as in Spark (`GetJsonObject`): a string without quotes, any other value as compact JSON, floats as
//! Java prints doubles. The text is validated up to the end of the value, so a result never comes from broken JSON. The two
//! forms differ in the case of names, in `null`, and in the result of `[*]` for an element without the field (see `Style`).

mod search;
mod writer;

use serde::{Deserialize, Serialize};

use self::search::{Failure, Search, Style};
use self::writer::Writer;
use super::cursor::Cursor;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// A field of an object, case-insensitive.
    Name(String),
    /// A field of an object, case-sensitive.
    Exactly(String),
    /// An element of an array, counted from 0.
    Element(u64),
    /// All elements of an array.
    Elements,
    /// All fields of an object. Spark parses it and never finds a value.
    Fields,
}

/// A path to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
    is_operator: bool,
}

/// A function that writes a floating-point number of the JSON text.
pub type WriteDouble = fn(f64) -> String;

/// Two fields match a case-insensitive name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the JSON has more than one field that `{0}` can mean")]
pub struct Ambiguous(pub String);

impl JsonPath {
    /// Parses a path of `get_json_object`: `$`, then `.name`, `['name']`, `[0]`, `[*]`, `.*`. None if it is not a path.
    pub fn parse(path: &str) -> Option<Self> {
        let mut rest = path.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, length) = step(rest)?;
            steps.push(step);
            rest = &rest[length..];
        }
        Some(Self { steps, is_operator: false })
    }

    /// Parses the path of a `:` operator, as [`Self::operator_text`] writes it.
    pub fn of_operator(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(|steps| Self { steps, is_operator: true })
    }

    /// Writes the steps of a `:` operator as text: a JSON array.
    pub fn operator_text(steps: &[Step]) -> String {
        // Steps are strings and numbers, so serialization cannot fail.
        serde_json::to_string(steps).unwrap_or_default()
    }

    /// Appends the value at the path in `json` to `out`. Returns false if there is none, or if `json` is not JSON.
    ///
    /// # Errors
    /// [`Ambiguous`] if two fields match a case-insensitive name.
    pub fn find(&self, json: &str, write_double: WriteDouble, out: &mut Vec<u8>) -> Result<bool, Ambiguous> {
        let start = out.len();
        let mut search = Search::new(self.is_operator, write_double);
        let mut writer = Writer::new(out);
        let found = Cursor::new(json.as_bytes())
            .map_err(Failure::from)
            .and_then(|mut cursor| search.evaluate(&mut cursor, &mut writer, Style::Raw, &self.steps));
        match found {
            Ok(true) => return Ok(true),
            Ok(false) | Err(Failure::Broken) => out.truncate(start),
            Err(Failure::Ambiguous(error)) => return Err(error),
        }
        Ok(false)
    }
}

fn step(rest: &str) -> Option<(Step, usize)> {
    for wildcard in [".*", "['*']"] {
        if rest.starts_with(wildcard) {
            return Some((Step::Fields, wildcard.len()));
        }
    }
    if let Some(name) = rest.strip_prefix('.') {
        let length = name.find(['.', '[']).unwrap_or(name.len());
        return (length > 0).then(|| (Step::Exactly(name[..length].to_owned()), 1 + length));
    }
    if let Some(quoted) = rest.strip_prefix("['") {
        let length = quoted.find('\'').filter(|length| *length > 0)?;
        let end = quoted[length..].starts_with("']").then_some("['".len() + length + "']".len())?;
        return Some((Step::Exactly(quoted[..length].to_owned()), end));
    }
    let inner = rest.strip_prefix('[')?;
    let length = inner.find(']')?;
    let step = match &inner[..length] {
        "*" => Step::Elements,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Step::Element(digits.parse().ok()?),
        _ => return None,
    };
    Some((step, length + "[]".len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &JsonPath, json: &str) -> Option<String> {
        let mut out = b"before ".to_vec();
        let found = path.find(json, |value| format!("{value:?}"), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let text = text.strip_prefix("before ").expect("what was there is kept");
        assert!(found || text.is_empty(), "{text}");
        found.then(|| text.to_owned())
    }

    /// The results of PySpark are in `tests/slt/semantics_json.slt`. Here are the cases that SQL cannot reach.
    #[test]
    fn paths_are_parsed_or_rejected() {
        for path in [
            "",
            "a",
            "$.",
            "$a",
            "$..a",
            " $.a",
            "$[",
            "$[]",
            "$[-1]",
            "$[ 0]",
            "$['']",
            "$['a",
            "$['a'",
            "$[99999999999999999999]",
        ] {
            assert_eq!(JsonPath::parse(path), None, "{path}");
        }
        let steps = JsonPath::parse("$.a b['c.d'][007][*].*['*']").unwrap().steps;
        let name = |name: &str| Step::Exactly(name.to_owned());
        assert_eq!(steps, [name("a b"), name("c.d"), Step::Element(7), Step::Elements, Step::Fields, Step::Fields]);
        let text = JsonPath::operator_text(&steps);
        assert_eq!(JsonPath::of_operator(&text).unwrap().steps, steps);
        assert_eq!(JsonPath::of_operator("no steps"), None);
    }

    #[test]
    fn depth_is_bounded_and_costs_no_panic() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let all = JsonPath::parse("$").unwrap();
        assert_eq!(find(&all, &nested(500)), Some(nested(500)));
        assert_eq!(find(&all, &nested(100_000)), None);
        let deep = JsonPath { steps: vec![Step::Element(0); 500], is_operator: false };
        assert_eq!(find(&deep, &nested(500)).as_deref(), Some("1"));
    }

    #[test]
    fn an_ambiguous_name_is_an_error() {
        let name = |name: &str| JsonPath { steps: vec![Step::Name(name.to_owned())], is_operator: true };
        let mut out = Vec::new();
        let found = name("É").find(r#"{"é":1,"É":2}"#, |value| value.to_string(), &mut out);
        assert_eq!(found, Err(Ambiguous("É".to_owned())));
        // The same name twice is not ambiguous.
        assert_eq!(find(&name("A"), r#"{"a":1,"a":2}"#).as_deref(), Some("1"));
        assert_eq!(find(&name("a"), r#"{"a":null}"#), None);
    }
}
