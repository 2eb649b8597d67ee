//! Rewrites calls of aggregate functions that DataFusion has under another name or in another form.
//!
//! `first(x, true)` becomes `first_value(x) IGNORE NULLS`, `count_if(p)` a count with a CASE, and `collect_set(x)` an
//! `array_agg(DISTINCT x)`. `WITHIN GROUP (ORDER BY …)` becomes arguments, see `pinsql_functions::aggregates`. Counts that
//! DataFusion returns as unsigned numbers are cast to BIGINT.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, NullTreatment, ObjectName, OrderByExpr, Value,
};

use super::scalar_calls::struct_of;
use pinsql_functions::aggregates::listagg::{DESCENDING, NULLS_LAST};
use pinsql_functions::aggregates::{PERCENTILE_CONT, PERCENTILE_DISC};

/// The rewritten call. None if DataFusion takes the call as it is.
pub(super) fn written_out(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let arguments: Vec<&Expr> = list.args.iter().map(value).collect::<Option<_>>()?;
    let name = function.name.to_string().to_lowercase();
    match (name.as_str(), arguments.as_slice(), function.within_group.as_slice()) {
        ("count", [_, _, ..], []) if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) => {
            Some(Expr::Function(called(function, "count", [all_or_none(&arguments)])))
        }
        // DataFusion writes `count(*)` as `count(1)` under another name, and refuses both in one query.
        ("count", [constant], [])
            if is_known(constant) && list.duplicate_treatment != Some(DuplicateTreatment::Distinct) =>
        {
            let mut call = function.clone();
            if let FunctionArguments::List(list) = &mut call.args {
                list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)];
            }
            Some(Expr::Function(call))
        }
        ("count_if", [condition], []) => Some(Expr::Function(called(function, "count", [where_true(condition)]))),
        ("any_value" | "first", [value], []) => {
            Some(Expr::Function(called(function, "first_value", [(*value).clone()])))
        }
        ("last", [value], []) => Some(Expr::Function(called(function, "last_value", [(*value).clone()]))),
        ("any_value" | "first" | "first_value", [value, flag], []) => {
            nulls_ignored(function, "first_value", value, flag)
        }
        ("last" | "last_value", [value, flag], []) => nulls_ignored(function, "last_value", value, flag),
        ("collect_set", [value], []) => {
            let mut call = called(function, "array_agg", [(*value).clone()]);
            if let FunctionArguments::List(list) = &mut call.args {
                list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
            }
            Some(Expr::Function(call))
        }
        ("approx_count_distinct", [value], []) => {
            Some(cast(Expr::Function(called(function, "approx_distinct", [(*value).clone()])), DataType::BigInt(None)))
        }
        // The average has the type of the values: DataFusion gives a DOUBLE also for decimals.
        ("regr_avgx", [other, value], []) | ("regr_avgy", [value, other], []) => {
            let value = when(Expr::IsNotNull(Box::new(Expr::Nested(Box::new((*other).clone())))), (*value).clone());
            Some(Expr::Function(called(function, "avg", [value])))
        }
        ("regr_count", [_, _], []) => Some(cast(Expr::Function(function.clone()), DataType::BigInt(None))),
        ("grouping", [_], []) => Some(cast(Expr::Function(function.clone()), DataType::TinyInt(None))),
        ("percentile_cont", [percentage], [by]) => Some(percentile(function, PERCENTILE_CONT, by, percentage)),
        ("percentile_disc", [percentage], [by]) => Some(percentile(function, PERCENTILE_DISC, by, percentage)),
        ("mode", [], [by]) => {
            Some(Expr::Function(called(function, "mode", [by.expr.clone(), boolean(is_descending(by))])))
        }
        // The flag asks for the smallest of several most frequent values.
        ("mode", [value, Expr::Value(flag)], []) => match flag.value {
            Value::Boolean(true) => Some(Expr::Function(called(function, "mode", [(*value).clone(), boolean(false)]))),
            Value::Boolean(false) => Some(Expr::Function(called(function, "mode", [(*value).clone()]))),
            _ => None,
        },
        ("listagg" | "string_agg", [text, rest @ ..], by) => {
            let by = if by.is_empty() { order_in_call(&list.clauses)? } else { by };
            let delimiter = rest.first().map_or_else(|| text_value(""), |delimiter| (*delimiter).clone());
            let keys = by.iter().flat_map(|by| [by.expr.clone(), flags(by)]);
            let arguments = [(*text).clone(), delimiter].into_iter().chain(keys);
            let mut call = called(function, "listagg", arguments);
            if let FunctionArguments::List(list) = &mut call.args {
                list.clauses.retain(|clause| !matches!(clause, FunctionArgumentClause::OrderBy(_)));
            }
            Some(Expr::Function(call))
        }
        _ => None,
    }
}

/// True for a literal that is not NULL. A number is a cast at this point.
fn is_known(expr: &Expr) -> bool {
    match expr {
        Expr::Value(literal) => literal.value != Value::Null,
        Expr::Cast { expr, kind: CastKind::Cast, .. } => {
            matches!(expr.as_ref(), Expr::Value(literal) if matches!(literal.value, Value::Number(_, _)))
        }
        _ => false,
    }
}

/// The `ORDER BY` after the arguments, which is DataFusion's form.
fn order_in_call(clauses: &[FunctionArgumentClause]) -> Option<&[OrderByExpr]> {
    clauses.iter().find_map(|clause| match clause {
        FunctionArgumentClause::OrderBy(by) => Some(by.as_slice()),
        _ => None,
    })
}

fn value(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// The call with another function and other arguments, and without WITHIN GROUP.
fn called(like: &Function, name: &str, arguments: impl IntoIterator<Item = Expr>) -> Function {
    let mut function = like.clone();
    function.name = ObjectName::from(vec![Ident::with_quote('`', name)]);
    function.within_group.clear();
    if let FunctionArguments::List(list) = &mut function.args {
        let unnamed = |argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
        list.args = arguments.into_iter().map(unnamed).collect();
    }
    function
}

/// The call with the second argument, the flag that ignores NULLs, as IGNORE NULLS.
fn nulls_ignored(function: &Function, name: &str, value: &Expr, flag: &Expr) -> Option<Expr> {
    let Expr::Value(flag) = flag else { return None };
    let Value::Boolean(ignores_nulls) = flag.value else { return None };
    let mut call = called(function, name, [value.clone()]);
    if ignores_nulls {
        call.null_treatment = Some(NullTreatment::IgnoreNulls);
    }
    Some(Expr::Function(call))
}

/// The values as one STRUCT. NULL if any value is NULL.
fn all_or_none(values: &[&Expr]) -> Expr {
    let known = values.iter().map(|value| Expr::IsNotNull(Box::new((*value).clone())));
    let both = |left: Expr, right: Expr| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    };
    let condition = known.reduce(both).unwrap_or_else(|| boolean(true));
    let values: Vec<Expr> = values.iter().map(|value| (*value).clone()).collect();
    when(condition, struct_of(&values))
}

fn where_true(condition: &Expr) -> Expr {
    // AND takes a text as a condition, as count_if does. CASE does not.
    let condition = Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(condition.clone()))),
        op: BinaryOperator::And,
        right: Box::new(boolean(true)),
    };
    when(condition, boolean(true))
}

fn when(condition: Expr, result: Expr) -> Expr {
    Expr::Case {
        case_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
        end_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: None,
    }
}

fn percentile(function: &Function, name: &str, by: &OrderByExpr, percentage: &Expr) -> Expr {
    let arguments = [by.expr.clone(), percentage.clone(), boolean(is_descending(by))];
    Expr::Function(called(function, name, arguments))
}

fn is_descending(by: &OrderByExpr) -> bool {
    by.options.asc == Some(false)
}

/// The sort order as a bit field. By default NULLs are first in ascending order and last in descending order.
fn flags(by: &OrderByExpr) -> Expr {
    let descending = is_descending(by);
    let nulls_last = !by.options.nulls_first.unwrap_or(!descending);
    let flags = i32::from(descending) * DESCENDING + i32::from(nulls_last) * NULLS_LAST;
    Expr::Value(Value::Number(flags.to_string(), false).into())
}

fn boolean(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).into())
}

fn text_value(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}
