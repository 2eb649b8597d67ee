//! `(a, b)` is a STRUCT whose fields have the names of the columns in it, as in Spark. Other values have the names `col1`, `col2`.
//!
//! A tuple that is compared with tuples, as in `(a, b) = (1, 2)`, has names by position, so that both sides have one type.
//! `(a, b) IN (SELECT …)` becomes EXISTS, which DataFusion can plan.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Query, TableAlias, TableAliasColumnDef, TableFactor, Value, VisitorMut,
};

use crate::statement::template;
use crate::statement::walk;
use pinsql_base::error::{Error, Result};

/// The relation of the subquery in `(a, b) IN (SELECT …)`. SQL cannot write the name.
const ROWS: &str = "rows of a subquery";

/// Writes out all tuples in `query`. The only errors are faults of pinsql.
pub(super) fn write_out(query: &mut Query) -> Result<()> {
    match walk::rewrite(query, &mut Tuples) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Tuples;

impl VisitorMut for Tuples {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match expr {
            Expr::InSubquery { expr: left, subquery, negated } => {
                if let Expr::Tuple(values) = left.as_ref() {
                    match exists(values, subquery, *negated) {
                        Ok(exists) => *expr = exists,
                        Err(error) => return ControlFlow::Break(error),
                    }
                }
            }
            Expr::InList { expr, list, .. } if std::iter::once(&**expr).chain(list.iter()).any(is_tuple) => {
                std::iter::once(&mut **expr).chain(list.iter_mut()).for_each(by_position);
            }
            Expr::BinaryOp { left, op, right } if is_comparison(op) && is_tuple(left) && is_tuple(right) => {
                by_position(left);
                by_position(right);
            }
            Expr::Between { expr, low, high, .. } if is_tuple(expr) => {
                [expr, low, high].into_iter().for_each(|side| by_position(side));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Tuple(values) = expr {
            let names = values.iter().enumerate().map(|(place, value)| name_of(place, value)).collect();
            *expr = named_struct(names, std::mem::take(values));
        }
        ControlFlow::Continue(())
    }
}

fn is_tuple(expr: &Expr) -> bool {
    matches!(expr, Expr::Tuple(_))
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq, Spaceship};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | Spaceship)
}

fn by_position(expr: &mut Expr) {
    if let Expr::Tuple(values) = expr {
        values.iter_mut().for_each(by_position);
        let names = (1..=values.len()).map(|place| format!("col{place}")).collect();
        *expr = named_struct(names, std::mem::take(values));
    }
}

fn name_of(place: usize, value: &Expr) -> String {
    match value {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(path) => {
            path.last().map_or_else(|| format!("col{}", place + 1), |name| name.value.clone())
        }
        _ => format!("col{}", place + 1),
    }
}

fn named_struct(names: Vec<String>, values: Vec<Expr>) -> Expr {
    let text = |name: String| Expr::Value(Value::SingleQuotedString(name).into());
    call("named_struct", names.into_iter().zip(values).flat_map(|(name, value)| [text(name), value]).collect())
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

/// `EXISTS (SELECT … FROM (subquery) WHERE a = first AND b = second)`. For NOT IN, an unknown comparison counts as equal.
fn exists(values: &[Expr], subquery: &Query, is_negated: bool) -> Result<Expr> {
    let columns: Vec<String> = (0..values.len()).map(|place| format!("value {place} of a row")).collect();
    let named = |name: &String| TableAliasColumnDef { name: Ident::with_quote('`', name), data_type: None };
    let rows = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subquery.clone()),
        alias: Some(TableAlias {
            explicit: true,
            name: Ident::with_quote('`', ROWS),
            columns: columns.iter().map(named).collect(),
            at: None,
        }),
        sample: None,
    };
    let equal = columns.iter().enumerate().map(|(place, column)| format!("`expression {place}` = `{ROWS}`.`{column}`"));
    let compared = equal.map(|equal| if is_negated { format!("({equal}) IS NOT FALSE") } else { equal });
    let condition = compared.collect::<Vec<_>>().join(" AND ");
    let sql = format!("SELECT 1 FROM `relation 0` WHERE {condition}");
    let query = template::query(&sql, &[rows], values)?;
    Ok(Expr::Exists { subquery: Box::new(query), negated: is_negated })
}
