//! Calls whose arguments DataFusion takes in another order, or with another meaning, in a form that both read the same.
//!
//! `ltrim(characters, text)` becomes `TRIM(LEADING characters FROM text)`, `position(part, text)` becomes
//! `POSITION(part IN text)`, `left(text, n)` the substring it is (DataFusion's counts a negative n from the end), and
//! `array_sort` says that NULLs come last.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, TrimWhereField, Value,
};

use super::forms;

/// The call in that form; none when it needs none.
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
        ("array_sort", [array]) => {
            let text = |text: &str| Expr::Value(Value::SingleQuotedString(text.to_owned()).into());
            Some(call(function, "array_sort", [(*array).clone(), text("ASC"), text("NULLS LAST")]))
        }
        (name, arguments) => forms::of_call(name, arguments),
    }
}

/// The arguments of a plain call: without names, and no aggregate or window.
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

fn call<const N: usize>(like: &Function, name: &str, arguments: [Expr; N]) -> Expr {
    let mut function = like.clone();
    function.name = ObjectName::from(vec![Ident::new(name)]);
    if let FunctionArguments::List(list) = &mut function.args {
        list.args = arguments.map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).to_vec();
    }
    Expr::Function(function)
}
