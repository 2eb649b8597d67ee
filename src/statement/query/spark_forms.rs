//! Rewrites calls and operators of Spark that DataFusion has in another form.
//!
//! `if(c, a, b)` becomes a CASE, `int(x)` a cast, `try_divide(a, b)` becomes `a / nullif(b, 0)`, `a RLIKE b` a call, and `1L` a
//! cast of a number. A function that only exists in this form is also listed in `session::rewritten_functions`.
//!
//! Absent: `>>>`, because the tokenizer reads it as several tokens. `shiftrightunsigned` does the same.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, ExactNumberInfo, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, TimezoneInfo,
    UnaryOperator, Value,
};

use pinsql_functions::DECODE_BYTES;
use pinsql_functions::times::accepted::{MOMENT_OR_TEXT, SECONDS};

/// The units that `datediff` and similar functions take without quotes.
const UNITS: [&str; 10] =
    ["MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"];

/// The exponents of decimals are below this. A larger one has more digits than a DECIMAL.
const EXPONENT_MAX: u32 = 100;

/// The other form of a call with these arguments. None if it stays a call.
pub(super) fn of_call(name: &str, arguments: &[&Expr]) -> Option<Expr> {
    let binary = |op: BinaryOperator, left: &Expr, right: Expr| Expr::BinaryOp {
        left: Box::new(nested(left)),
        op,
        right: Box::new(right),
    };
    // The digits of a literal count next to a DECIMAL, so it stays a literal.
    let or_null = |divisor: &Expr| if is_above_zero(divisor) { nested(divisor) } else { null_if(divisor, zero()) };
    Some(match (name, arguments) {
        ("if" | "iff", [condition, yes, no]) => {
            case(None, vec![((*condition).clone(), (*yes).clone())], Some((*no).clone()))
        }
        ("ifnull" | "nvl", [value, other]) => call("coalesce", vec![(*value).clone(), (*other).clone()]),
        ("nvl2", [value, yes, no]) => {
            let is_there = Expr::IsNotNull(Box::new(nested(value)));
            case(None, vec![(is_there, (*yes).clone())], Some((*no).clone()))
        }
        ("nullif", [value, other]) => null_if(value, nested(other)),
        ("nullifzero", [value]) => or_null(value),
        ("zeroifnull", [value]) => call("coalesce", vec![(*value).clone(), zero()]),
        ("equal_null", [left, right]) => binary(BinaryOperator::Spaceship, left, nested(right)),
        ("negative", [value]) => Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(nested(value)) },
        ("mod", [left, right]) => binary(BinaryOperator::Modulo, left, nested(right)),
        ("try_mod", [left, right]) => binary(BinaryOperator::Modulo, left, or_null(right)),
        ("try_divide", [left, right]) => binary(BinaryOperator::Divide, left, or_null(right)),
        ("like" | "ilike", [value, pattern, rest @ ..]) if rest.len() < 2 => like(name, value, pattern, rest)?,
        ("decode", [bytes, charset]) => call(DECODE_BYTES, vec![(*bytes).clone(), (*charset).clone()]),
        ("decode", [value, rest @ ..]) if rest.len() > 1 => decode(value, rest),
        ("datediff" | "date_diff" | "timestampdiff", [unit, start, end]) => {
            call("timestampdiff", vec![unit_text(unit)?, (*start).clone(), (*end).clone()])
        }
        ("dateadd" | "date_add" | "timestampadd", [unit, count, start]) => {
            call("timestampadd", vec![unit_text(unit)?, (*count).clone(), (*start).clone()])
        }
        ("unix_timestamp" | "to_unix_timestamp", []) => {
            call("unix_seconds", vec![call("current_timestamp", Vec::new())])
        }
        // Rounded toward zero, where `unix_seconds` rounds down.
        ("unix_timestamp" | "to_unix_timestamp", [moment, rest @ ..]) if rest.len() < 2 => {
            let moment = call(MOMENT_OR_TEXT, vec![(*moment).clone()]);
            let moment = call("to_timestamp", [moment].into_iter().chain(owned(rest)).collect());
            let million = Expr::Value(Value::Number("1000000".to_owned(), false).into());
            let micros = call("unix_micros", vec![moment]);
            binary(BinaryOperator::MyIntegerDivide, &micros, cast(million, DataType::BigInt(None)))
        }
        ("from_unixtime", [seconds, pattern @ ..]) if pattern.len() < 2 => {
            let moment = call("to_timestamp", vec![cast((*seconds).clone(), DataType::BigInt(None))]);
            let usual = || Expr::Value(Value::SingleQuotedString("yyyy-MM-dd HH:mm:ss".to_owned()).into());
            call("date_format", vec![moment, pattern.first().map_or_else(usual, |pattern| (*pattern).clone())])
        }
        ("bit_get" | "getbit", [_, _]) => cast(call("bit_get", owned(arguments)), DataType::TinyInt(None)),
        ("try_to_date", [_] | [_, _]) => cast(call("try_to_timestamp", owned(arguments)), DataType::Date),
        ("timestamp_seconds", [seconds]) => call("to_timestamp", vec![call(SECONDS, vec![(*seconds).clone()])]),
        ("curdate", []) => call("current_date", Vec::new()),
        ("current_timezone", []) => Expr::Value(Value::SingleQuotedString("UTC".to_owned()).into()),
        (name, [value]) => cast((*value).clone(), type_named(name)?),
        _ => return None,
    })
}

/// The other form of an expression that is not a call. None if DataFusion takes it as it is.
pub(super) fn of_operator(expr: &Expr) -> Option<Expr> {
    let not = |is_negated: bool, expr: Expr| match is_negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) },
        false => expr,
    };
    Some(match expr {
        Expr::RLike { negated, expr, pattern, .. } => {
            not(*negated, call("regexp_like", vec![*expr.clone(), *pattern.clone()]))
        }
        Expr::Ceil { expr, field } => rounded("ceil", expr, field)?,
        Expr::Floor { expr, field } => rounded("floor", expr, field)?,
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            let arguments = [expr, overlay_what, overlay_from].into_iter().chain(overlay_for);
            call("overlay", arguments.map(|argument| *argument.clone()).collect())
        }
        Expr::UnaryOp { op: UnaryOperator::BangNot, expr } => not(true, *expr.clone()),
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr } => call("bitwise_not", vec![*expr.clone()]),
        Expr::BinaryOp { left, op: BinaryOperator::PGBitwiseShiftLeft, right } => {
            call("shiftleft", vec![*left.clone(), *right.clone()])
        }
        Expr::BinaryOp { left, op: BinaryOperator::PGBitwiseShiftRight, right } => {
            call("shiftright", vec![*left.clone(), *right.clone()])
        }
        Expr::Identifier(ident) if ident.quote_style.is_none() => typed_number(&ident.value)?,
        _ => return None,
    })
}

/// A number with a type suffix: `1L`, `1S`, `1Y`, `1.5D`, `1.5F` or `1.5BD`.
fn typed_number(word: &str) -> Option<Expr> {
    let upper = word.to_uppercase();
    let types = [
        ("BD", None),
        ("L", Some(DataType::BigInt(None))),
        ("S", Some(DataType::SmallInt(None))),
        ("Y", Some(DataType::TinyInt(None))),
        ("D", Some(DataType::Double(ExactNumberInfo::None))),
        ("F", Some(DataType::Float(ExactNumberInfo::None))),
    ];
    let (digits, data_type) = types
        .into_iter()
        .find_map(|(letters, data_type)| upper.strip_suffix(letters).map(|digits| (digits, data_type)))?;
    let is_number =
        digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') && digits.parse::<f64>().is_ok();
    if !is_number {
        return None;
    }
    match data_type {
        // The pass over literals gives the number its type.
        None => Some(Expr::Value(Value::Number(plain_decimal(digits)?, false).into())),
        // A number and not a text, because its digits count next to a DECIMAL. Those of a TINYINT do not.
        Some(data_type @ (DataType::BigInt(_) | DataType::SmallInt(_))) if digits.parse::<i64>().is_ok() => {
            Some(cast(Expr::Value(Value::Number(digits.to_owned(), false).into()), data_type))
        }
        Some(data_type) => Some(cast(Expr::Value(Value::SingleQuotedString(digits.to_owned()).into()), data_type)),
    }
}

/// A number without its exponent, with the digits that Java's `BigDecimal` keeps: `1.20E-3` is `0.00120`.
fn plain_decimal(number: &str) -> Option<String> {
    let Some((mantissa, exponent)) = number.split_once(['e', 'E']) else { return Some(number.to_owned()) };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.parse::<i32>().ok().filter(|exponent| exponent.unsigned_abs() < EXPONENT_MAX)?;
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let length = i32::try_from(digits.len()).ok()?;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    Some(match point {
        ..=0 => format!("0.{}{digits}", zeros(-point)),
        point if point >= length => format!("{digits}{}", zeros(point - length)),
        point => {
            let (whole, fraction) = digits.split_at(usize::try_from(point).ok()?);
            format!("{whole}.{fraction}")
        }
    })
}

/// The type of a function that is a cast, such as `int(x)`.
fn type_named(name: &str) -> Option<DataType> {
    Some(match name {
        "bigint" => DataType::BigInt(None),
        "binary" => DataType::Binary(None),
        "boolean" => DataType::Boolean,
        "date" => DataType::Date,
        "decimal" => DataType::Decimal(ExactNumberInfo::None),
        "double" => DataType::Double(ExactNumberInfo::None),
        "float" => DataType::Float(ExactNumberInfo::None),
        "int" => DataType::Int(None),
        "smallint" => DataType::SmallInt(None),
        "string" => DataType::String(None),
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "tinyint" => DataType::TinyInt(None),
        _ => return None,
    })
}

fn unit_text(unit: &Expr) -> Option<Expr> {
    let Expr::Identifier(ident) = unit else { return None };
    let unit = ident.value.to_uppercase();
    UNITS.contains(&unit.as_str()).then(|| Expr::Value(Value::SingleQuotedString(unit).into()))
}

fn like(name: &str, value: &Expr, pattern: &Expr, escape: &[&Expr]) -> Option<Expr> {
    let escape_char = match escape {
        [] => None,
        [Expr::Value(escape)] => Some(escape.clone()),
        _ => return None,
    };
    let (expr, pattern) = (Box::new(nested(value)), Box::new(nested(pattern)));
    Some(match name {
        "like" => Expr::Like { negated: false, any: false, expr, pattern, escape_char },
        _ => Expr::ILike { negated: false, any: false, expr, pattern, escape_char },
    })
}

/// `decode(value, search, result, … [, default])`, where NULL equals NULL.
fn decode(value: &Expr, rest: &[&Expr]) -> Expr {
    let (pairs, default) = rest.as_chunks::<2>();
    let found = |search: &Expr| Expr::BinaryOp {
        left: Box::new(nested(value)),
        op: BinaryOperator::Spaceship,
        right: Box::new(nested(search)),
    };
    let whens = pairs.iter().map(|[search, result]| (found(search), (*result).clone())).collect();
    case(None, whens, default.first().map(|default| (*default).clone()))
}

/// None for a date field, as in `CEIL(t TO DAY)`, which Spark does not have.
fn rounded(name: &str, expr: &Expr, kind: &CeilFloorKind) -> Option<Expr> {
    match kind {
        CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => Some(call(name, vec![expr.clone()])),
        CeilFloorKind::Scale(places) => Some(call(name, vec![expr.clone(), Expr::Value(places.clone())])),
        CeilFloorKind::DateTimeField(_) => None,
    }
}

fn is_above_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { expr, data_type: DataType::Int(None), .. } => is_above_zero(expr),
        Expr::Value(value) => {
            matches!(&value.value, Value::Number(number, _) if number.parse::<i64>().is_ok_and(|number| number > 0))
        }
        _ => false,
    }
}

/// NULL if both are equal, otherwise the value, with the type of the value. DataFusion's `nullif` has the common type.
fn null_if(value: &Expr, other: Expr) -> Expr {
    let is_equal = Expr::BinaryOp { left: Box::new(nested(value)), op: BinaryOperator::Eq, right: Box::new(other) };
    case(None, vec![(is_equal, Expr::Value(Value::Null.into()))], Some(value.clone()))
}

fn owned(arguments: &[&Expr]) -> Vec<Expr> {
    arguments.iter().map(|argument| (*argument).clone()).collect()
}

fn zero() -> Expr {
    cast(Expr::Value(Value::Number("0".to_owned(), false).into()), DataType::Int(None))
}

fn nested(expr: &Expr) -> Expr {
    Expr::Nested(Box::new(expr.clone()))
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

fn case(operand: Option<Expr>, whens: Vec<(Expr, Expr)>, otherwise: Option<Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: operand.map(Box::new),
        conditions: whens.into_iter().map(|(condition, result)| CaseWhen { condition, result }).collect(),
        else_result: otherwise.map(Box::new),
    }
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
