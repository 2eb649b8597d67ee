//! Rewrites PIVOT and UNPIVOT as plain queries.
//!
//! `t PIVOT (sum(a) FOR b IN ('x' AS x))` groups by the columns of `t` that it does not name. Each value becomes a column: the
//! aggregate over the rows with that value, or NULL if there is no such row. `t UNPIVOT (v FOR n IN (a, b))` gives one row for
//! each of the columns. The rules are those of Databricks
//! (<https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-qry-select-pivot.html>).
//!
//! Deliberately absent: ANY and subqueries as the list of values, because the columns would be unknown before the query runs, and
//! UNPIVOT of several columns into one row.

use std::ops::ControlFlow;

use sqlparser::ast::{
    ExceptSelectItem, Expr, ExprWithAlias, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, NullInclusion,
    PivotValueSource, Query, SelectItem, SetExpr, Spanned, TableFactor, Value, VisitorMut, WildcardAdditionalOptions,
};

use super::conditions::parsed;
use crate::statement::ast::StatementKind;
use crate::statement::parser::parse;
use crate::statement::walk;
use pinsql_base::engine_error::counted;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Rewrites every PIVOT and UNPIVOT in `query`, the innermost first.
pub(super) fn write_out(query: &mut Query) -> Result<()> {
    match walk::rewrite(query, &mut WriteOut) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct WriteOut;

impl VisitorMut for WriteOut {
    type Break = Error;

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let written = match factor {
            TableFactor::Pivot { .. } => pivoted(factor),
            TableFactor::Unpivot { .. } => unpivoted(factor),
            _ => return ControlFlow::Continue(()),
        };
        match written {
            Ok(written) => {
                *factor = written;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error.at(factor.span())),
        }
    }
}

fn pivoted(factor: &TableFactor) -> Result<TableFactor> {
    let TableFactor::Pivot { table, aggregate_functions, value_column, value_source, default_on_null, alias } = factor
    else {
        return Err(lost());
    };
    if default_on_null.is_some() {
        return Err(Error::new(ErrorCode::UnsupportedFeature, "DEFAULT ON NULL in PIVOT is not supported"));
    }
    let PivotValueSource::List(values) = value_source else {
        return Err(Error::new(ErrorCode::UnsupportedFeature, "PIVOT needs a list of values")
            .with_hint("the columns must be known before the query runs: FOR b IN ('x', 'y')"));
    };
    let mut named: Vec<Ident> = columns_of(value_column.iter())?;
    for name in columns_of(aggregate_functions.iter().map(|aggregate| &aggregate.expr))? {
        if !named.iter().any(|known| known.value.eq_ignore_ascii_case(&name.value)) {
            named.push(name);
        }
    }
    let mut items = vec![all_but(named)];
    for value in values {
        let is_it = condition(value_column, &value.expr)?;
        let name = value_name(value)?;
        for aggregate in aggregate_functions {
            let alias = match (&aggregate.alias, aggregate_functions.len()) {
                (None, 1) => name.clone(),
                (Some(_), 1) => name.clone(),
                (Some(alias), _) => Ident::with_quote('`', format!("{}_{}", name.value, alias.value)),
                (None, _) => {
                    return Err(Error::new(ErrorCode::InvalidStatement, "several aggregates of a PIVOT need names")
                        .at(aggregate.expr.span())
                        .with_hint("PIVOT (sum(a) AS total, count(a) AS number FOR …)"));
                }
            };
            items.push(SelectItem::ExprWithAlias { expr: cell(&aggregate.expr, &is_it)?, alias });
        }
    }
    let mut query = template("SELECT 1 FROM t GROUP BY ALL")?;
    let SetExpr::Select(select) = query.body.as_mut() else { return Err(lost()) };
    select.projection = items;
    select.from.first_mut().ok_or_else(lost)?.relation = table.as_ref().clone();
    Ok(TableFactor::Derived { lateral: false, subquery: query, alias: alias.clone(), sample: None })
}

/// The aggregate over the rows with the condition. NULL if there are none, also for a count.
fn cell(aggregate: &Expr, is_it: &Expr) -> Result<Expr> {
    let Expr::Function(function) = aggregate else {
        return Err(
            Error::new(ErrorCode::InvalidExpression, "PIVOT takes calls of aggregate functions").at(aggregate.span())
        );
    };
    let mut function = function.clone();
    let filter = match function.filter.take() {
        Some(given) => parsed_and(*given, is_it.clone())?,
        None => is_it.clone(),
    };
    function.filter = Some(Box::new(filter));
    let mut case = parsed("CASE WHEN count(1) FILTER (WHERE TRUE) > 0 THEN NULL END")?;
    let Expr::Case { conditions, .. } = &mut case else { return Err(lost()) };
    let when = conditions.first_mut().ok_or_else(lost)?;
    when.result = Expr::Function(function);
    match &mut when.condition {
        Expr::BinaryOp { left, .. } => match left.as_mut() {
            Expr::Function(count) => count.filter = Some(Box::new(is_it.clone())),
            _ => return Err(lost()),
        },
        _ => return Err(lost()),
    }
    Ok(case)
}

fn parsed_and(left: Expr, right: Expr) -> Result<Expr> {
    match parsed("(TRUE) AND (TRUE)")? {
        Expr::BinaryOp { op, .. } => Ok(Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(left))),
            op,
            right: Box::new(Expr::Nested(Box::new(right))),
        }),
        _ => Err(lost()),
    }
}

/// The condition that the columns have the value. NULL equals NULL here.
fn condition(columns: &[Expr], value: &Expr) -> Result<Expr> {
    let values: Vec<Expr> = match value {
        Expr::Tuple(values) => values.clone(),
        value => vec![value.clone()],
    };
    if values.len() != columns.len() {
        let said =
            format!("PIVOT has {} after FOR, but a value has {}", counted(columns.len(), "column"), values.len());
        return Err(Error::new(ErrorCode::InvalidStatement, said).at(value.span()));
    }
    let mut equal = columns.iter().zip(values).map(|(column, value)| {
        Expr::IsNotDistinctFrom(Box::new(Expr::Nested(Box::new(column.clone()))), Box::new(value))
    });
    let first = equal.next().ok_or_else(lost)?;
    equal.try_fold(first, parsed_and)
}

/// The column name for a value: its alias, or its text.
fn value_name(value: &ExprWithAlias) -> Result<Ident> {
    if let Some(alias) = &value.alias {
        return Ok(alias.clone());
    }
    let text = match &value.expr {
        Expr::Value(literal) => match &literal.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            Value::Number(number, _) => number.clone(),
            Value::Boolean(value) => value.to_string(),
            Value::Null => "null".to_owned(),
            _ => return Err(needs_name(&value.expr)),
        },
        _ => return Err(needs_name(&value.expr)),
    };
    Ok(Ident::with_quote('`', text))
}

fn needs_name(value: &Expr) -> Error {
    Error::new(ErrorCode::InvalidStatement, "this value of a PIVOT needs a name")
        .at(value.span())
        .with_hint("FOR b IN (DATE '2024-01-01' AS first_day)")
}

fn unpivoted(factor: &TableFactor) -> Result<TableFactor> {
    let TableFactor::Unpivot { table, value, name, columns, null_inclusion, alias } = factor else {
        return Err(lost());
    };
    let Expr::Identifier(value) = value else {
        return Err(Error::new(
            ErrorCode::UnsupportedFeature,
            "UNPIVOT of several columns into one row is not supported",
        )
        .at(value.span()));
    };
    let names: Vec<Ident> = columns
        .iter()
        .map(|column| match &column.expr {
            Expr::Identifier(name) => Ok(name.clone()),
            other => Err(Error::new(ErrorCode::InvalidExpression, "UNPIVOT takes columns").at(other.span())),
        })
        .collect::<Result<_>>()?;
    let mut rows = Vec::with_capacity(columns.len());
    for (column, column_name) in columns.iter().zip(&names) {
        let label = column.alias.as_ref().unwrap_or(column_name).value.clone();
        let mut query = template("SELECT 1, 'label' FROM t")?;
        let SetExpr::Select(select) = query.body.as_mut() else { return Err(lost()) };
        let mut label_item = select.projection.pop().ok_or_else(lost)?;
        if let SelectItem::UnnamedExpr(Expr::Value(literal)) = &mut label_item {
            literal.value = Value::SingleQuotedString(label);
        }
        let SelectItem::UnnamedExpr(label) = label_item else { return Err(lost()) };
        let kept = Expr::Identifier(column_name.clone());
        select.projection = vec![
            all_but(names.clone()),
            SelectItem::ExprWithAlias { expr: label, alias: name.clone() },
            SelectItem::ExprWithAlias { expr: kept.clone(), alias: value.clone() },
        ];
        select.from.first_mut().ok_or_else(lost)?.relation = table.as_ref().clone();
        if !matches!(null_inclusion, Some(NullInclusion::IncludeNulls)) {
            select.selection = Some(Expr::IsNotNull(Box::new(kept)));
        }
        rows.push(query.body);
    }
    let mut query = template("SELECT 1 UNION ALL SELECT 1")?;
    let SetExpr::SetOperation { op, set_quantifier, .. } = query.body.as_ref() else { return Err(lost()) };
    let (op, set_quantifier) = (*op, *set_quantifier);
    let mut rows = rows.into_iter();
    let first = rows.next().ok_or_else(lost)?;
    query.body = rows.fold(first, |left, right| Box::new(SetExpr::SetOperation { op, set_quantifier, left, right }));
    Ok(TableFactor::Derived { lateral: false, subquery: query, alias: alias.clone(), sample: None })
}

/// `* EXCEPT (…)`
fn all_but(names: Vec<Ident>) -> SelectItem {
    let mut names = names.into_iter();
    let opt_except =
        names.next().map(|first_element| ExceptSelectItem { first_element, additional_elements: names.collect() });
    SelectItem::Wildcard(WildcardAdditionalOptions { opt_except, ..WildcardAdditionalOptions::default() })
}

/// The columns in expressions.
fn columns_of<'a>(expressions: impl Iterator<Item = &'a Expr>) -> Result<Vec<Ident>> {
    let mut names = Vec::new();
    for expression in expressions {
        let found = walk::expressions(expression, |part| {
            match part {
                Expr::Identifier(name) => names.push(name.clone()),
                Expr::CompoundIdentifier(path) => names.extend(path.last().cloned()),
                Expr::Function(function) => {
                    if let FunctionArguments::List(list) = &function.args
                        && list.args.iter().any(|argument| {
                            matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)))
                        })
                    {
                        return ControlFlow::Break(part.span());
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
        if let ControlFlow::Break(span) = found {
            return Err(
                Error::new(ErrorCode::UnsupportedFeature, "a star of one table is not supported in PIVOT").at(span)
            );
        }
    }
    Ok(names)
}

fn template(sql: &str) -> Result<Box<Query>> {
    match parse(sql)?.into_iter().next().map(|statement| statement.kind) {
        Some(StatementKind::Query(query)) => Ok(query),
        _ => Err(lost()),
    }
}

fn lost() -> Error {
    Error::internal("a PIVOT was lost on its way")
}
