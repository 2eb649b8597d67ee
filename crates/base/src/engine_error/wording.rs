//! Rewrites messages of DataFusion and Arrow: one sentence, with SQL's names for types.
//!
//! Their messages name Arrow types (`Int32`, `Utf8View`), start with prefixes, and continue with lists and advice. Their errors
//! have only a text, so this module parses texts. A message in an unexpected form stays unchanged.

use arrow::datatypes::DataType;

use crate::error::{Error, ErrorCode};
use crate::schema::type_name;
use crate::storage_error::shorten;

/// The maximum number of signatures in a hint.
const FORMS_SHOWN_MAX: usize = 6;

/// Returns the message on one line, without the prefixes of DataFusion and Arrow.
pub(super) fn sentence(message: &str) -> String {
    const PREFIXES: [&str; 13] = [
        "Error during planning: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "Internal error: ",
        "Invalid argument error: ",
        "Arithmetic overflow: ",
        "Arrow error: ",
        "Cast error: ",
        "Parser error: ",
        "Compute error: ",
        "External error: ",
        "External: ",
        "Parquet error: ",
    ];
    /// Additions of DataFusion for its developers.
    const AFTERWORDS: [&str; 2] = ["\n\nbacktrace: ", "\nThis issue was likely caused by a bug in DataFusion"];
    let end = AFTERWORDS.iter().filter_map(|afterword| message.find(afterword)).min().unwrap_or(message.len());
    let mut text = message[..end].trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    with_sql_types(&lines.join(" "))
}

/// The error for a failed cast. The value can be of any length.
pub(super) fn cast_failure(message: &str) -> Error {
    let rewritten = string_cast(message).or_else(|| value_cast(message)).or_else(|| timestamp_cast(message));
    let text = rewritten.unwrap_or_else(|| shorten(&sentence(message)));
    Error::new(ErrorCode::CastInvalidInput, text)
        .with_hint("TRY_CAST gives NULL for a value that does not fit its type")
}

/// `Cannot cast string 'First' to value of Int32 type`
fn string_cast(message: &str) -> Option<String> {
    let rest = message.strip_prefix("Cannot cast string '").or_else(|| message.strip_prefix("Cannot cast value '"))?;
    let (value, rest) = rest.rsplit_once("' to value of ")?;
    let target = rest.strip_suffix(" type")?;
    Some(format!("cannot cast the string '{}' to {}", shorten(value), with_sql_types(target)))
}

/// `Can't cast value 3000000000 to type Int32`
fn value_cast(message: &str) -> Option<String> {
    let (value, target) = message.strip_prefix("Can't cast value ")?.rsplit_once(" to type ")?;
    Some(format!("cannot cast {} to {}: it is out of range", shorten(value), with_sql_types(target)))
}

/// `Error parsing timestamp from 'soon': error parsing date`
fn timestamp_cast(message: &str) -> Option<String> {
    let (value, _) = message.strip_prefix("Error parsing timestamp from '")?.rsplit_once("': ")?;
    Some(format!("cannot cast the string '{}' to TIMESTAMP", shorten(value)))
}

/// Parts of messages of DataFusion and Arrow, and the codes of such errors. These libraries have no codes.
const CODES: [(&str, ErrorCode); 17] = [
    ("Cannot infer common", ErrorCode::DatatypeMismatch),
    ("There isn't a common type", ErrorCode::DatatypeMismatch),
    ("Can not find compatible types", ErrorCode::DatatypeMismatch),
    ("Failed to coerce", ErrorCode::DatatypeMismatch),
    ("maps do not compare", ErrorCode::DatatypeMismatch),
    ("must be a constant", ErrorCode::InvalidExpression),
    ("Cannot coerce", ErrorCode::DatatypeMismatch),
    ("Cannot automatically convert", ErrorCode::DatatypeMismatch),
    ("Unary operator", ErrorCode::DatatypeMismatch),
    ("can't cast to", ErrorCode::DatatypeMismatch),
    ("Incompatible inputs for Union", ErrorCode::DatatypeMismatch),
    ("Unsupported CAST from", ErrorCode::DatatypeMismatch),
    ("Unsupported SQL type", ErrorCode::UnsupportedDatatype),
    ("functions are not allowed in the", ErrorCode::InvalidExpression),
    ("specified more than once", ErrorCode::ConflictingClauses),
    ("Scalar subquery returned more than one row", ErrorCode::ScalarSubqueryTooManyRows),
    ("is too large to store in a Decimal", ErrorCode::CastInvalidInput),
];

/// The code of a message of DataFusion. It has the kind of `otherwise`, the code of messages that are not in the table.
pub(super) fn code_of(message: &str, otherwise: ErrorCode) -> ErrorCode {
    let found = CODES.iter().find(|(part, code)| code.kind() == otherwise.kind() && message.contains(part));
    found.map_or(otherwise, |(_, code)| *code)
}

const CALL_BEGINS: &str = "No function matches the given name and argument types '";
const FORMS_BEGIN: &str = "Candidate functions:";
/// Precedes the reason of a function that checks its own arguments.
const REASON_BEGINS: &str = "user-defined coercion failed with: ";

/// True if no signature of the function matches the arguments.
pub(super) fn is_wrong_call(message: &str) -> bool {
    message.contains(CALL_BEGINS)
}

/// The error has the call with its argument types. The hint has the signatures, or the reason of the function.
pub(super) fn wrong_call(message: &str) -> Error {
    let parts = message.split_once(CALL_BEGINS).and_then(|(before, rest)| Some((before, rest.split_once("'.")?.0)));
    let Some((before, call)) = parts else { return Error::new(ErrorCode::WrongNumArgs, sentence(message)) };
    let about_number = ["arguments but received", "argument(s), not", "and the call has"];
    let is_about_number = call.ends_with("()") || about_number.iter().any(|part| before.contains(part));
    let code = if is_about_number { ErrorCode::WrongNumArgs } else { ErrorCode::DatatypeMismatch };
    let error = Error::new(code, format!("there is no function {}", with_sql_types(call)));
    if let Some((_, reason)) = before.split_once(REASON_BEGINS) {
        return error.with_hint(sentence(reason.trim_end_matches([' ', '.'])));
    }
    let listed = message.split_once(FORMS_BEGIN).map_or("", |(_, forms)| forms);
    let mut forms: Vec<String> = listed.lines().map(str::trim).filter(|form| !form.is_empty()).map(form_of).collect();
    forms.dedup();
    let more = forms.len().saturating_sub(FORMS_SHOWN_MAX);
    forms.truncate(FORMS_SHOWN_MAX);
    match (forms.is_empty(), more) {
        (true, _) => error,
        (false, 0) => error.with_hint(format!("its forms: {}", forms.join(", "))),
        (false, more) => error.with_hint(format!("its forms: {} and {more} more", forms.join(", "))),
    }
}

/// Rewrites one signature: `f(String(2))` means two strings.
fn form_of(form: &str) -> String {
    let repeated = |arguments: &str| {
        let (kind, count) = arguments.strip_suffix(')')?.split_once('(')?;
        let name = match kind {
            "String" => "STRING",
            "Numeric" => "a number",
            "Any" => "anything",
            _ => return None,
        };
        Some(vec![name; count.parse().ok()?].join(", "))
    };
    let arguments = form.strip_suffix(')').and_then(|form| form.split_once('('));
    match arguments.and_then(|(name, arguments)| Some((name, repeated(arguments)?))) {
        Some((name, arguments)) => format!("{name}({arguments})"),
        None => with_sql_types(form),
    }
}

/// Replaces names of Arrow types by SQL's, except in quotes: quoted text is data.
pub(super) fn with_sql_types(text: &str) -> String {
    let mut rewritten = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_quoted = false;
    while let Some(first) = rest.chars().next() {
        let word_end = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
        let word = &rest[..word_end.unwrap_or(rest.len())];
        if word.is_empty() {
            is_quoted ^= first == '\'';
            rewritten.push(first);
            rest = &rest[first.len_utf8()..];
        } else if let Some((name, length)) = sql_type(rest, word).filter(|_| !is_quoted) {
            rewritten.push_str(&name);
            rest = &rest[length..];
        } else {
            rewritten.push_str(word);
            rest = &rest[word.len()..];
        }
    }
    rewritten
}

/// The type that `text` begins with, in SQL's spelling, and how long it was in Arrow's.
fn sql_type(text: &str, word: &str) -> Option<(String, usize)> {
    const NAMES: [&str; 32] = [
        "Null",
        "Boolean",
        "Int8",
        "Int16",
        "Int32",
        "Int64",
        "UInt8",
        "UInt16",
        "UInt32",
        "UInt64",
        "Float16",
        "Float32",
        "Float64",
        "Utf8",
        "LargeUtf8",
        "Utf8View",
        "LargeBinary",
        "BinaryView",
        "Date32",
        "Date64",
        "Timestamp",
        "Duration",
        "Interval",
        "Decimal32",
        "Decimal64",
        "Decimal128",
        "Decimal256",
        "List",
        "LargeList",
        "Struct",
        "Map",
        "Dictionary",
    ];
    if !NAMES.contains(&word) {
        return None;
    }
    let length = match text[word.len()..].starts_with('(') {
        true => word.len() + bracketed(&text[word.len()..])?,
        false => word.len(),
    };
    let data_type: DataType = text[..length].parse().ok()?;
    Some((type_name(&data_type), length))
}

/// The length of the bracket that `text` begins with, its end included.
fn bracketed(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at + character.len_utf8());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_engine_have_precise_codes_of_the_same_kind() {
        let check = |message: &str, otherwise, code| assert_eq!(code_of(message, otherwise), code, "{message}");
        let plan = ErrorCode::InvalidStatement;
        check("Cannot coerce arithmetic expression Date32 + Boolean to valid types", plan, ErrorCode::DatatypeMismatch);
        check("Unary operator 'NOT' requires a boolean expression, got Int64", plan, ErrorCode::DatatypeMismatch);
        check("something else", plan, plan);
        let run = ErrorCode::ExecutionFailed;
        check("Scalar subquery returned more than one row", run, ErrorCode::ScalarSubqueryTooManyRows);
        check("Cannot coerce a row", run, run);
    }

    #[test]
    fn types_have_their_sql_names() {
        let check = |text: &str, expected: &str| assert_eq!(with_sql_types(text), expected);
        check("Date32 + Boolean", "DATE + BOOLEAN");
        check("f(Utf8View, List(Int64))", "f(STRING, ARRAY<BIGINT>)");
        check("a Timestamp(µs, \"UTC\") é", "a TIMESTAMP é");
        check("Decimal128(10, 2), 'Int32', Int32s", "DECIMAL(10,2), 'Int32', Int32s");
        check("Timestamp(nobody knows", "Timestamp(nobody knows");
    }

    #[test]
    fn casts_name_the_value_and_the_type() {
        let check = |message: &str, expected: &str| assert_eq!(cast_failure(message).message, expected);
        check("Cannot cast string 'it's' to value of Int32 type", "cannot cast the string 'it's' to INT");
        check("Cannot cast value 'x' to value of Boolean type", "cannot cast the string 'x' to BOOLEAN");
        check("Can't cast value 300 to type Int8", "cannot cast 300 to TINYINT: it is out of range");
        check("Error parsing timestamp from 'soon': error parsing date", "cannot cast the string 'soon' to TIMESTAMP");
        check("something else about Int8", "something else about TINYINT");
        let long = format!("Cannot cast string '{}' to value of Int32 type", "x".repeat(100_000));
        assert!(cast_failure(&long).message.len() < 500);
    }

    #[test]
    fn a_wrong_call_lists_the_signatures() {
        let check = |message: &str, expected: &str, hint: &str| {
            let error = wrong_call(message);
            assert_eq!((error.message.as_str(), error.hint.as_deref()), (expected, Some(hint)));
        };
        check(
            "Function 'f' expects 1 arguments but received 2. No function matches the given name and argument types \
             'f(Int64, Utf8)'. You might need to add explicit type casts.\n\tCandidate functions:\n\tf(String(2))",
            "there is no function f(BIGINT, STRING)",
            "its forms: f(STRING, STRING)",
        );
        check(
            "No function matches the given name and argument types 'g()'. You might…\n\tCandidate functions:\n\
             \tg(Float64, Int64)\n\tg(Float32)",
            "there is no function g()",
            "its forms: g(DOUBLE, BIGINT), g(FLOAT)",
        );
        check(
            "Execution error: Function 'h' user-defined coercion failed with: Error during planning: h needs more. No \
             function matches the given name and argument types 'h(Utf8)'. You might…\n\tCandidate functions:\n\
             \th(UserDefined)",
            "there is no function h(STRING)",
            "h needs more",
        );
    }

    #[test]
    fn prefixes_and_additions_are_removed() {
        let check = |message: &str, expected: &str| assert_eq!(sentence(message), expected);
        check("Error during planning: Compute error: one\n  two", "one two");
        check("Internal error: odd.\nThis issue was likely caused by a bug in DataFusion's code. Please", "odd.");
        check("Execution error: é\n\nbacktrace:   0: main", "é");
    }
}
