//! Arguments that Spark refuses, and that DataFusion would cast or take from a column.
//!
//! - An argument that Spark evaluates once for the query must be a constant.
//! - Some functions of Spark cast no argument, or only some types.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, ExprSchemable};

use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;

/// The functions and the positions of their constant arguments.
const CONSTANTS: [(&str, &[usize]); 8] = [
    ("mask", &[1, 2, 3, 4]),
    ("regexp_replace", &[3]),
    ("sort_array", &[1]),
    ("to_binary", &[1]),
    ("to_char", &[1]),
    ("to_number", &[1]),
    ("try_to_binary", &[1]),
    ("try_to_number", &[1]),
];

/// The types that an argument can have. NULL without a type is one of each, unless the rule says otherwise.
#[derive(Debug, Clone, Copy)]
enum Taken {
    Boolean,
    /// DATE, or a STRING with one.
    Date,
    Int,
    /// INT, or a STRING.
    IntOrText,
    /// The position in an array: TINYINT, SMALLINT or INT, and no NULL without a type.
    Place,
    /// TINYINT, SMALLINT or INT, or a STRING with one.
    Days,
    /// TIMESTAMP, or a STRING with one.
    Moment,
    /// Any number, or a STRING with one.
    Number,
    Text,
    TextOrBinary,
    /// An integer of any size.
    Whole,
    /// An integer of any size, or a BOOLEAN.
    WholeOrBoolean,
}

impl Taken {
    fn takes(self, given: &DataType) -> bool {
        let is_small = matches!(given, DataType::Int8 | DataType::Int16 | DataType::Int32);
        match self {
            _ if given.is_null() => !matches!(self, Self::Place),
            Self::Boolean => *given == DataType::Boolean,
            Self::Date => *given == DataType::Date32 || given.is_string(),
            Self::Int => *given == DataType::Int32,
            Self::IntOrText => *given == DataType::Int32 || given.is_string(),
            Self::Place => is_small,
            Self::Days => is_small || given.is_string(),
            Self::Moment => matches!(given, DataType::Timestamp(_, _)) || given.is_string(),
            Self::Number => given.is_numeric() || given.is_string(),
            Self::Text => given.is_string(),
            Self::TextOrBinary => given.is_string() || given.is_binary(),
            Self::Whole => given.is_integer(),
            Self::WholeOrBoolean => given.is_integer() || *given == DataType::Boolean,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "a BOOLEAN",
            Self::Date => "a DATE",
            Self::Int | Self::IntOrText | Self::Place | Self::Days => "an INT",
            Self::Moment => "a TIMESTAMP",
            Self::Number => "a number",
            Self::Text | Self::TextOrBinary => "a STRING",
            Self::Whole | Self::WholeOrBoolean => "an integer",
        }
    }
}

/// The functions, the positions of their arguments, and what these can be.
const TYPES: [(&str, &[usize], Taken); 29] = [
    ("array_insert", &[1], Taken::Place),
    ("array_join", &[1, 2], Taken::Text),
    ("array_repeat", &[1], Taken::Int),
    ("bit_count", &[0], Taken::WholeOrBoolean),
    ("date_add", &[1], Taken::Days),
    ("date_sub", &[1], Taken::Days),
    ("format_number", &[1], Taken::IntOrText),
    // Spark takes no BINARY. Messages of streams are BINARY, and `value:path` reads them.
    ("get_json_object", &[0], Taken::TextOrBinary),
    ("get_json_object", &[1], Taken::Text),
    ("json_array_length", &[0], Taken::Text),
    ("json_object_keys", &[0], Taken::Text),
    ("mask", &[0, 1, 2, 3, 4], Taken::Text),
    ("parse_url", &[0, 1, 2], Taken::Text),
    ("regexp_extract", &[2], Taken::Number),
    ("regexp_extract_all", &[2], Taken::Number),
    ("schema_of_json", &[0], Taken::Text),
    ("slice", &[1, 2], Taken::Number),
    ("sort_array", &[1], Taken::Boolean),
    ("soundex", &[0], Taken::Text),
    ("split", &[2], Taken::Number),
    ("str_to_map", &[0, 1, 2], Taken::Text),
    ("substr", &[1, 2], Taken::Number),
    ("timestamp_micros", &[0], Taken::Whole),
    ("timestamp_millis", &[0], Taken::Whole),
    ("try_parse_url", &[0, 1, 2], Taken::Text),
    ("unix_date", &[0], Taken::Date),
    ("unix_micros", &[0], Taken::Moment),
    ("unix_millis", &[0], Taken::Moment),
    ("unix_seconds", &[0], Taken::Moment),
];

/// The functions and the argument that cannot be a NULL without a type.
const TYPED: [(&str, usize); 18] = [
    ("array_append", 0),
    ("array_contains", 0),
    ("array_contains", 1),
    ("array_except", 0),
    ("array_except", 1),
    ("array_insert", 0),
    ("array_intersect", 0),
    ("array_intersect", 1),
    ("array_position", 0),
    ("array_prepend", 0),
    ("array_remove", 0),
    ("array_sort", 0),
    ("array_union", 0),
    ("array_union", 1),
    ("arrays_overlap", 0),
    ("arrays_overlap", 1),
    ("flatten", 0),
    ("map_concat", 0),
];

/// Checks the arguments of a call.
///
/// # Errors
/// `DATATYPE_MISMATCH` for an argument of another type, `INVALID_EXPRESSION` for one that is not a constant.
pub(super) fn check(function: &str, arguments: &[Expr], schema: &DFSchema) -> Result<()> {
    for (_, places, taken) in TYPES.iter().filter(|(name, _, _)| *name == function) {
        for (place, argument) in places.iter().filter_map(|place| Some((*place, arguments.get(*place)?))) {
            expect(function, place, argument, schema, *taken)?;
        }
    }
    let is = |argument: Option<&Expr>, is_type: fn(&DataType) -> bool| {
        argument.and_then(|argument| argument.get_type(schema).ok()).is_some_and(|given| is_type(&given))
    };
    if let ("element_at" | "try_element_at", [array, place]) = (function, arguments)
        && is(Some(array), |given| matches!(given, DataType::List(_)))
    {
        expect(function, 1, place, schema, Taken::Place)?;
    }
    for (place, argument) in TYPED
        .iter()
        .filter(|(name, _)| *name == function)
        .filter_map(|(_, place)| Some((*place, arguments.get(*place)?)))
    {
        if is(Some(argument), DataType::is_null) {
            return Err(mismatch(function, place, "a value with a type", &DataType::Null));
        }
    }
    if matches!(function, "greatest" | "least") {
        expect_no_mix(function, arguments, schema)?;
    }
    // The format of a date may come from a column.
    if function == "to_char" && is(arguments.first(), DataType::is_temporal) {
        return Ok(());
    }
    let constants = CONSTANTS.iter().find(|(name, _)| *name == function).map_or(&[][..], |(_, places)| places);
    match constants.iter().find(|place| arguments.get(**place).is_some_and(|argument| !is_constant(argument))) {
        Some(place) => {
            let said = format!("{function}: argument {} must be a constant", place + 1);
            Err(external(Error::new(ErrorCode::InvalidExpression, said).with_hint("it has one value for the query")))
        }
        None => Ok(()),
    }
}

/// Checks the arguments of a window function.
///
/// # Errors
/// `DATATYPE_MISMATCH` if the number of rows is not an INT.
pub(super) fn check_window(function: &str, arguments: &[Expr], schema: &DFSchema) -> Result<()> {
    let rows = match function {
        "lag" | "lead" => 1,
        "ntile" => 0,
        _ => return Ok(()),
    };
    arguments.get(rows).map_or(Ok(()), |argument| expect(function, rows, argument, schema, Taken::Int))
}

/// Checks the operands of `&`, `|` and `^`.
///
/// # Errors
/// `DATATYPE_MISMATCH` for a number with a fraction. DataFusion would drop it.
pub(super) fn check_bits(operands: [&Expr; 2], schema: &DFSchema) -> Result<()> {
    let is_fraction = |given: &DataType| given.is_floating() || matches!(given, DataType::Decimal128(_, _));
    match operands.into_iter().filter_map(|operand| operand.get_type(schema).ok()).find(is_fraction) {
        Some(given) => {
            let said = format!("the operators of bits take integers, not {}", type_name(&given));
            Err(external(Error::new(ErrorCode::DatatypeMismatch, said).with_hint("cast it to BIGINT")))
        }
        None => Ok(()),
    }
}

fn expect(function: &str, place: usize, argument: &Expr, schema: &DFSchema, taken: Taken) -> Result<()> {
    // The type of a lambda parameter can be unknown here.
    match argument.get_type(schema) {
        Ok(given) if !taken.takes(&given) => Err(mismatch(function, place, taken.name(), &given)),
        _ => Ok(()),
    }
}

/// Returns an error for a STRING next to another type: `greatest` and `least` cast no text.
fn expect_no_mix(function: &str, arguments: &[Expr], schema: &DFSchema) -> Result<()> {
    let types = arguments.iter().filter_map(|argument| argument.get_type(schema).ok());
    let types: Vec<DataType> = types.filter(|given| !given.is_null()).collect();
    let text = types.iter().find(|given| given.is_string());
    match (text, types.iter().find(|given| !given.is_string())) {
        (Some(text), Some(other)) => {
            let said = format!("{function}: {} and {} have no common type", type_name(text), type_name(other));
            Err(external(Error::new(ErrorCode::DatatypeMismatch, said).with_hint("cast one of them")))
        }
        _ => Ok(()),
    }
}

/// Checks the conditions of a CASE.
///
/// # Errors
/// `DATATYPE_MISMATCH` for a value that is no BOOLEAN. DataFusion would compare a number with 0, and cast a text.
pub(super) fn check_condition(condition: &Expr, schema: &DFSchema) -> Result<()> {
    match condition.get_type(schema) {
        Ok(given) if given != DataType::Boolean && !given.is_null() => {
            let said = format!("a condition must be a BOOLEAN, not {}", type_name(&given));
            let hint = if given.is_numeric() { "compare it: value <> 0" } else { "CAST(value AS BOOLEAN)" };
            Err(external(Error::new(ErrorCode::DatatypeMismatch, said).with_hint(hint)))
        }
        _ => Ok(()),
    }
}

fn mismatch(function: &str, place: usize, wanted: &str, given: &DataType) -> DataFusionError {
    let said = format!("{function}: argument {} must be {wanted}, not {}", place + 1, type_name(given));
    external(Error::new(ErrorCode::DatatypeMismatch, said).with_hint("cast it"))
}

/// True for an expression with the same value in each row.
fn is_constant(expr: &Expr) -> bool {
    !expr.any_column_refs() && !expr.is_volatile()
}
