//! Replaces messages of DataFusion and Arrow that are written for developers: a code, plain words and a hint.
//!
//! Their errors have only a text, so this module compares texts. A new version of these libraries can change a text. Then
//! `wording` cleans the message, and its code is a general one.

use super::grammar::{counted, with_article};
use super::wording::{sentence, with_sql_types};
use crate::error::{Error, ErrorCode};

/// The replacements. Each returns None for a message in another form.
const REPLACEMENTS: [fn(&str) -> Option<Error>; 14] = [
    refused_argument,
    lone_text,
    outer_field,
    same_name,
    same_query_name,
    field_of_other_type,
    unknown_field,
    ungrouped_column,
    nested_aggregate,
    other_condition,
    unplanned_expression,
    column_names,
    null_in_struct,
    debug_text,
];

/// The error that replaces `message`, or None if the message is not known.
pub(super) fn replaced(message: &str) -> Option<Error> {
    REPLACEMENTS.iter().find_map(|replacement| replacement(message))
}

/// The text between `before` and `after`, where they first occur.
fn between<'a>(message: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(message.split_once(before)?.1.split_once(after)?.0)
}

/// `Function 'div' user-defined coercion failed with: Error during planning: div takes two numbers`, of a function that checks
/// its arguments.
fn refused_argument(message: &str) -> Option<Error> {
    if !message.starts_with("Function '") {
        return None;
    }
    let (_, reason) = message.split_once("user-defined coercion failed with: ")?;
    Some(Error::new(ErrorCode::DatatypeMismatch, sentence(reason)))
}

/// `Substring without for/from is not valid Substring { … }`
fn lone_text(message: &str) -> Option<Error> {
    message.starts_with("Substring without for/from").then(|| {
        Error::new(ErrorCode::WrongNumArgs, "substr needs a position").with_hint("substr(text, position[, length])")
    })
}

/// `Nested identifiers are not yet supported for OuterReferenceColumn t.s`. Variables give the same message.
fn outer_field(message: &str) -> Option<Error> {
    let column = message.split_once("Nested identifiers are not yet supported for OuterReferenceColumn ")?.1;
    let name = column.strip_prefix("session.").unwrap_or(column);
    let text =
        format!("`{name}` is a variable or a column of the query around: its fields are read from it in brackets");
    Some(Error::new(ErrorCode::InvalidExpression, text).with_hint(format!("({name}).field")))
}

/// `Projections require unique expression names but the expression "t.a" at position 0 and "t.a" at position 1 have the same
/// name.`
fn same_name(message: &str) -> Option<Error> {
    let rest = message.split_once("Projections require unique expression names but the expression ")?.1;
    let (first, rest) = rest.split_once("\" at position ")?.1.split_once(" and ")?;
    let second = rest.rsplit_once(" at position ")?.1.split(' ').next()?;
    let (first, second): (usize, usize) = (first.parse().ok()?, second.parse().ok()?);
    let text = format!("the columns {} and {} of a select list have the same name", first + 1, second + 1);
    Some(
        Error::new(ErrorCode::DuplicateColumn, text)
            .with_hint("name one of them: expression AS name; a `*` has the columns of its tables already"),
    )
}

/// `WITH query name "a" specified more than once`
fn same_query_name(message: &str) -> Option<Error> {
    let name = between(message, "WITH query name \"", "\" specified more than once")?;
    Some(duplicated_query_name(name))
}

/// Two queries of a WITH clause have the name `name`.
pub fn duplicated_query_name(name: &str) -> Error {
    Error::new(ErrorCode::DuplicatedCteNames, format!("two queries of WITH are named `{name}`"))
        .with_hint("give one of them another name")
}

/// `Cannot access field at argument 1: type Utf8View is not Struct, Map, or Null`
fn field_of_other_type(message: &str) -> Option<Error> {
    let rest = message.split_once("Cannot access field at argument ")?.1;
    let given = with_sql_types(between(rest, ": type ", " is not Struct, Map, or Null")?);
    let hint = match &given {
        text if text == "STRING" => "value:field reads a field of JSON text, and from_json makes a STRUCT of it",
        array if array.starts_with("ARRAY") => {
            "array[0].field reads it from one element, and transform(array, x -> x.field) from all"
        }
        _ => "typeof(value) gives the type of a value",
    };
    let text = format!("{} has no fields: `value.field` needs a STRUCT or a MAP", with_article(&given));
    Some(Error::new(ErrorCode::DatatypeMismatch, text).with_hint(hint))
}

/// `Field b not found in struct`
fn unknown_field(message: &str) -> Option<Error> {
    let name = between(message, "Field ", " not found in struct")?;
    Some(
        Error::new(ErrorCode::UnresolvedField, format!("the STRUCT has no field `{name}`"))
            .with_hint("typeof(value) lists the fields of a STRUCT"),
    )
}

/// `Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column "t.a" must appear in …`
fn ungrouped_column(message: &str) -> Option<Error> {
    let rest = message.split_once(" must be in GROUP BY or an aggregate function")?.1;
    let column = between(rest, "column \"", "\" must appear in the GROUP BY clause")?;
    let name = column.rsplit('.').next()?;
    Some(
        Error::new(
            ErrorCode::InvalidExpression,
            format!("`{name}` must be in GROUP BY or in an aggregate function such as any_value"),
        )
        .with_hint(format!("GROUP BY {name}, or any_value({name})")),
    )
}

/// `Aggregate function calls cannot be nested: 'sum(t.a)' is nested inside 'sum(sum(t.a))'`
fn nested_aggregate(message: &str) -> Option<Error> {
    let inner = match message.split_once("Aggregate function calls cannot ")?.1 {
        rest if rest.starts_with("contain window function") => "a window function",
        rest if rest.starts_with("be nested") => "another aggregate function",
        _ => return None,
    };
    Some(
        Error::new(ErrorCode::InvalidExpression, format!("an aggregate function cannot contain {inner}"))
            .with_hint("compute the inner function in a subquery"),
    )
}

/// `Cannot create filter with non-boolean predicate 't.a' returning Utf8View`
fn other_condition(message: &str) -> Option<Error> {
    let given = message.split_once("non-boolean predicate '")?.1.rsplit_once("' returning ")?.1;
    let text = format!("the condition must be a BOOLEAN, and is of type {}", with_sql_types(given));
    Some(Error::new(ErrorCode::InvalidCondition, text).with_hint("compare the value: value = …, or value IS NOT NULL"))
}

/// `Physical plan does not support logical expression WindowFunction(…)`. The rest of the message is the expression in the
/// notation of Rust.
fn unplanned_expression(message: &str) -> Option<Error> {
    let expression = message.split_once("does not support logical expression ")?.1;
    let node = expression.split(|letter: char| !letter.is_alphanumeric()).next()?;
    let (code, text, hint) = match node {
        "WindowFunction" => (
            ErrorCode::InvalidExpression,
            "a window function is not allowed in a condition or in GROUP BY",
            "QUALIFY filters by a window function; elsewhere, compute it in a subquery",
        ),
        "AggregateFunction" => (
            ErrorCode::InvalidExpression,
            "an aggregate function is not allowed in this place",
            "compute it in a subquery",
        ),
        "ScalarSubquery" | "Exists" | "InSubquery" | "SetComparison" | "OuterReferenceColumn" => (
            ErrorCode::UnsupportedFeature,
            "a subquery that reads columns of the query around it is not supported in this form",
            "write it as a JOIN",
        ),
        _ => return Some(unsupported_part()),
    };
    Some(Error::new(code, text).with_hint(hint))
}

/// `Source table contains 1 columns but only 2 names given as column alias`
fn column_names(message: &str) -> Option<Error> {
    let columns: usize = between(message, "Source table contains ", " columns but ")?.parse().ok()?;
    let names: usize = between(message, "columns but only ", " names given as column alias")?.parse().ok()?;
    let verb = if names == 1 { "is" } else { "are" };
    let text = format!("the query has {}, and {} {verb} given", counted(columns, "column"), counted(names, "name"));
    Some(Error::new(ErrorCode::InvalidStatement, text).with_hint("give one name for each column"))
}

/// `Found unmasked nulls for non-nullable StructArray field "key"`. The pairs of a MAP are such an array.
fn null_in_struct(message: &str) -> Option<Error> {
    let name = between(message, "Found unmasked nulls for non-nullable StructArray field \"", "\"")?;
    Some(match name {
        "key" => Error::new(ErrorCode::NullMapKey, "a key of a MAP is NULL")
            .with_hint("filter the rows first: WHERE key IS NOT NULL"),
        name => Error::new(ErrorCode::ExecutionFailed, format!("the field `{name}` is NULL, and its type is NOT NULL"))
            .with_hint("coalesce(value, default) replaces NULL"),
    })
}

/// A message with an expression or a plan in the notation of Rust, which nothing above replaces.
fn debug_text(message: &str) -> Option<Error> {
    let is_debug = ["Some(", "LogicalPlan", "Column { ", "Expr { "].iter().any(|part| message.contains(part));
    let is_unsupported = ["not implemented", "not support", "nsupported"].iter().any(|part| message.contains(part));
    (is_debug && is_unsupported).then(unsupported_part)
}

fn unsupported_part() -> Error {
    Error::new(ErrorCode::UnsupportedFeature, "an expression of this statement is not supported in its place")
        .with_hint("compute it in the select list of a subquery")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_for_developers_are_replaced() {
        let check = |message: &str, code: ErrorCode, expected: &str| {
            let error = replaced(message).unwrap();
            assert_eq!((error.code, error.message.as_str()), (code, expected));
            assert!(error.hint.is_some(), "{message}");
        };
        check(
            "Execution error: Cannot access field at argument 1: type Utf8View is not Struct, Map, or Null",
            ErrorCode::DatatypeMismatch,
            "a STRING has no fields: `value.field` needs a STRUCT or a MAP",
        );
        check(
            "Cannot access field at argument 2: type List(Int64) is not Struct, Map, or Null\n\nbacktrace: 1",
            ErrorCode::DatatypeMismatch,
            "an ARRAY<BIGINT> has no fields: `value.field` needs a STRUCT or a MAP",
        );
        check("Field b not found in struct", ErrorCode::UnresolvedField, "the STRUCT has no field `b`");
        check(
            "Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column \
             \"t.category\" must appear in the GROUP BY clause or must be part of an aggregate function, currently only \
             \"count(Int64(1))\" appears in the SELECT clause satisfies this requirement",
            ErrorCode::InvalidExpression,
            "`category` must be in GROUP BY or in an aggregate function such as any_value",
        );
        check(
            "Aggregate function calls cannot be nested: 'sum(t.a)' is nested inside 'sum(sum(t.a))'",
            ErrorCode::InvalidExpression,
            "an aggregate function cannot contain another aggregate function",
        );
        check(
            "Cannot create filter with non-boolean predicate 't.a' returning Utf8View",
            ErrorCode::InvalidCondition,
            "the condition must be a BOOLEAN, and is of type STRING",
        );
        check(
            "WITH query name \"a\" specified more than once",
            ErrorCode::DuplicatedCteNames,
            "two queries of WITH are named `a`",
        );
        check(
            "Source table contains 1 columns but only 2 names given as column alias",
            ErrorCode::InvalidStatement,
            "the query has 1 column, and 2 names are given",
        );
        check(
            "Invalid argument error: Found unmasked nulls for non-nullable StructArray field \"key\"",
            ErrorCode::NullMapKey,
            "a key of a MAP is NULL",
        );
        assert!(replaced("something else").is_none());
    }

    #[test]
    fn no_message_has_an_expression_in_the_notation_of_rust() {
        for (node, code) in [
            ("WindowFunction(WindowFunction { fun: Some(1) })", ErrorCode::InvalidExpression),
            ("Exists(Exists { subquery: <subquery>, negated: false })", ErrorCode::UnsupportedFeature),
            ("Wildcard { qualifier: None }", ErrorCode::UnsupportedFeature),
        ] {
            let error = replaced(&format!("Physical plan does not support logical expression {node}")).unwrap();
            assert_eq!(error.code, code);
            assert!(!error.message.contains(['{', '(']), "{}", error.message);
        }
        let error = replaced("This feature is not implemented: Unsupported ast node Some(Column { name: \"a\" })");
        assert_eq!(error.unwrap().code, ErrorCode::UnsupportedFeature);
    }

    #[test]
    fn columns_with_the_same_name_are_reported_by_position() {
        let message = "Error during planning: Projections require unique expression names but the expression \
                       \"NULL AS x and y\" at position 2 and \"NULL AS x and y\" at position 3 have the same name. \
                       Consider aliasing (\"AS\") one of them.";
        let error = replaced(message).unwrap();
        assert_eq!(error.message, "the columns 3 and 4 of a select list have the same name");
    }
}
