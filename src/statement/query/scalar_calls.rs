//! Rewrites calls of scalar functions whose arguments have another order or meaning in DataFusion.
//!
//! `ltrim(characters, text)` becomes `TRIM(LEADING characters FROM text)`, `position(part, text)` becomes `POSITION(part IN
//! text)`, and `left(text, n)` becomes a substring, because DataFusion's `left` counts a negative n from the end. `struct` and
//! `arrays_zip` name their fields after their arguments, so the names become arguments here, while the AST still has them.

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, TrimWhereField, Value,
};

use super::spark_forms;
use pinsql_functions::arrays::ARRAYS_ZIP;
use pinsql_functions::higher_order::ARRAY_SORT_BY;
use pinsql_functions::maps::EMPTY as EMPTY_MAP;

/// The rewritten call. None if DataFusion takes the call as it is.
pub(super) fn written_out(function: &Function) -> Option<Expr> {
    let arguments: Vec<&Expr> = arguments(function)?;
    let boxed = |expr: &Expr| Box::new(expr.clone());
    let trim = |side| match arguments.as_slice() {
        [characters, text] => Some(Expr::Trim {
            trim_where: Some(side),
            trim_what: Some(boxed(characters)),
            expr: boxed(text),
            trim_characters: None,
        }),
        _ => None,
    };
    let name = function.name.to_string().to_lowercase();
    match (name.as_str(), arguments.as_slice()) {
        ("trim", _) => trim(TrimWhereField::Both),
        ("ltrim", _) => trim(TrimWhereField::Leading),
        ("rtrim", _) => trim(TrimWhereField::Trailing),
        ("position", [part, text]) => Some(Expr::Position { expr: boxed(part), r#in: boxed(text) }),
        ("left", [text, length]) => {
            let start = Expr::Value(Value::Number("1".to_owned(), false).into());
            Some(call(function, "substring", [(*text).clone(), start, (*length).clone()]))
        }
        ("array_sort", [array, comparator @ Expr::Lambda(_)]) => {
            Some(call(function, ARRAY_SORT_BY, [(*array).clone(), (*comparator).clone()]))
        }
        ("map", []) => Some(call(function, EMPTY_MAP, [])),
        ("arrays_zip", arrays) => {
            let pair = |(place, array): (usize, &&Expr)| {
                let name = column_name(array).unwrap_or_else(|| place.to_string());
                [text(name), (*array).clone()]
            };
            Some(call(function, ARRAYS_ZIP, arrays.iter().enumerate().flat_map(pair)))
        }
        (name, arguments) => spark_forms::of_call(name, arguments),
    }
}

/// The arguments of a plain call. None for named arguments, and for clauses of aggregates and windows.
fn arguments(function: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    if function.over.is_some() || !list.clauses.is_empty() {
        return None;
    }
    let unnamed = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Some(expr),
        _ => None,
    };
    list.args.iter().map(unnamed).collect()
}

/// `struct(a, 1 AS b, 2)` as `named_struct('a', a, 'b', 1, 'col3', 2)`.
pub(super) fn struct_of(values: &[Expr]) -> Expr {
    let pair = |(place, value): (usize, &Expr)| match value {
        Expr::Named { expr, name } => [text(name.value.clone()), expr.as_ref().clone()],
        value => [text(column_name(value).unwrap_or_else(|| format!("col{}", place + 1))), value.clone()],
    };
    let unnamed = |argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_quote('`', "named_struct")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: values.iter().enumerate().flat_map(pair).map(unnamed).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn text(text: String) -> Expr {
    Expr::Value(Value::SingleQuotedString(text).into())
}

/// The name of a column, or of a field of one.
fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::CompoundIdentifier(path) => path.last().map(|name| name.value.clone()),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(field))) => Some(field.value.clone()),
            Some(AccessExpr::Dot(Expr::Value(value))) => value.value.clone().into_string(),
            _ => None,
        },
        _ => None,
    }
}

fn call(like: &Function, name: &str, arguments: impl IntoIterator<Item = Expr>) -> Expr {
    let mut function = like.clone();
    function.name = ObjectName::from(vec![Ident::with_quote('`', name)]);
    if let FunctionArguments::List(list) = &mut function.args {
        let unnamed = |argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
        list.args = arguments.into_iter().map(unnamed).collect();
    }
    Expr::Function(function)
}
