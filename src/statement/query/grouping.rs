//! GROUP BY and ORDER BY in the forms of Spark that DataFusion reads in another way.
//!
//! - `ORDER BY ALL` becomes the ordinals of all columns. DataFusion ignores it after a set operation.
//! - `GROUP BY all` and `ORDER BY all` mean the column `all`, if there is one.
//! - Ordinals inside GROUPING SETS, ROLLUP and CUBE become the expressions in the select list.
//! - In GROUPING SETS, ROLLUP and CUBE, `b + a` means the same key as `a + b`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Query, Select,
    SelectItem, SetExpr, Spanned, TableAlias, TableFactor, Value, Visitor, VisitorMut,
};

use super::joins::has_keys;
use crate::statement::template;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

const ALL: &str = "all";

/// Writes out these forms in `query`. `has_all` is true if an open relation has a column `all`.
///
/// Errors: an ordinal is not the position of a column.
pub(super) fn write_out(query: &mut Query, has_all: bool) -> Result<()> {
    let has_all = has_all || names_all(query);
    match walk::rewrite(query, &mut Grouping { has_all }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Grouping {
    has_all: bool,
}

impl VisitorMut for Grouping {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let Some(OrderBy { kind: OrderByKind::All(options), .. }) = &query.order_by else {
            return ControlFlow::Continue(());
        };
        let options = *options;
        match self.order(query, options) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        if self.has_all
            && let GroupByExpr::All(modifiers) = &mut select.group_by
        {
            select.group_by = GroupByExpr::Expressions(vec![column_all()], std::mem::take(modifiers));
        }
        let Select { projection, group_by: GroupByExpr::Expressions(groups, _), .. } = select else {
            return ControlFlow::Continue(());
        };
        for group in groups {
            if let Expr::GroupingSets(sets) | Expr::Rollup(sets) | Expr::Cube(sets) = group {
                for key in sets.iter_mut().flatten() {
                    match at_ordinal(key, projection) {
                        Ok(Some(expr)) => *key = expr,
                        Ok(None) => {}
                        Err(error) => return ControlFlow::Break(error),
                    }
                }
                share_equal_keys(sets);
            }
        }
        ControlFlow::Continue(())
    }
}

impl Grouping {
    fn order(&self, query: &mut Query, options: OrderByOptions) -> Result<()> {
        let by = |expr: Expr| OrderByExpr { expr, options, with_fill: None };
        let number = |number: usize| Expr::Value(Value::Number(number.to_string(), false).into());
        let kind = match number_of_columns(&query.body) {
            _ if self.has_all => OrderByKind::Expressions(vec![by(column_all())]),
            Some(columns) => OrderByKind::Expressions((1..=columns).map(|place| by(number(place))).collect()),
            // DataFusion reads the columns of a star itself.
            None if has_columns_alone(&query.body) => return Ok(()),
            None => {
                let body = std::mem::replace(&mut query.body, Box::new(SetExpr::Values(empty_values())));
                let inner = Query { body, order_by: None, limit_clause: None, with: None, ..query.clone() };
                let relation =
                    TableFactor::Derived { lateral: false, subquery: Box::new(inner), alias: None, sample: None };
                query.body = template::query("SELECT * FROM `relation 0`", &[relation], &[])?.body;
                return Ok(());
            }
        };
        if let Some(order) = &mut query.order_by {
            order.kind = kind;
        }
        Ok(())
    }
}

fn empty_values() -> sqlparser::ast::Values {
    sqlparser::ast::Values { explicit_row: false, rows: Vec::new(), value_keyword: false }
}

fn column_all() -> Expr {
    Expr::Identifier(Ident::with_quote('`', ALL))
}

/// True for a SELECT of columns and stars. The star of a join with USING is written out later, with expressions.
fn has_columns_alone(body: &SetExpr) -> bool {
    let SetExpr::Select(select) = body else { return false };
    let is_column = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        }
        _ => true,
    };
    select.projection.iter().all(is_column) && !select.from.iter().any(has_keys)
}

/// The number of columns of a query. None if it has a star.
fn number_of_columns(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => {
            let is_one =
                |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
            select.projection.iter().all(is_one).then_some(select.projection.len())
        }
        SetExpr::SetOperation { left, right, .. } => number_of_columns(left).or_else(|| number_of_columns(right)),
        SetExpr::Query(query) => number_of_columns(&query.body),
        SetExpr::Values(values) => values.rows.first().map(|row| row.len()),
        _ => None,
    }
}

/// The expression in the select list that an ordinal means. None for another expression.
fn at_ordinal(key: &Expr, items: &[SelectItem]) -> Result<Option<Expr>> {
    let Expr::Value(value) = key else { return Ok(None) };
    let Value::Number(number, _) = &value.value else { return Ok(None) };
    let wrong = |said: String| Error::new(ErrorCode::InvalidStatement, said).at(key.span());
    let place: usize = number.parse().map_err(|_| wrong(format!("GROUP BY: {number} is not a position")))?;
    let before = items.get(..place).filter(|_| place > 0);
    let Some(before) = before else {
        return Err(wrong(format!(
            "GROUP BY position {place} is not in the select list, which has {} items",
            items.len()
        )));
    };
    match before.last() {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. })
            if before
                .iter()
                .all(|item| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })) =>
        {
            Ok(Some(expr.clone()))
        }
        _ => Err(wrong(format!("GROUP BY position {place} counts columns of a star"))
            .with_hint("write the names of the columns")),
    }
}

/// Writes the first form of a key in the place of its equal forms.
fn share_equal_keys(sets: &mut [Vec<Expr>]) {
    let mut known: Vec<(String, Expr)> = Vec::new();
    for key in sets.iter_mut().flatten() {
        let form = canonical(key).to_string().to_lowercase();
        match known.iter().find(|(other, _)| *other == form) {
            Some((_, first)) => key.clone_from(first),
            None => known.push((form, key.clone())),
        }
    }
}

/// The expression with the operands of commutative operators in a fixed order.
fn canonical(expr: &Expr) -> Expr {
    match expr {
        Expr::Nested(inner) => canonical(inner),
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (canonical(left), canonical(right));
            let is_commutative = matches!(
                op,
                BinaryOperator::Plus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Eq
                    | BinaryOperator::And
                    | BinaryOperator::Or
                    | BinaryOperator::BitwiseAnd
                    | BinaryOperator::BitwiseOr
                    | BinaryOperator::BitwiseXor
            );
            let (left, right) = match is_commutative && right.to_string() < left.to_string() {
                true => (right, left),
                false => (left, right),
            };
            let nested = |expr: Expr| Box::new(Expr::Nested(Box::new(expr)));
            Expr::BinaryOp { left: nested(left), op: op.clone(), right: nested(right) }
        }
        other => other.clone(),
    }
}

/// True if the query gives a column the name `all`.
fn names_all(query: &Query) -> bool {
    walk::read(query, &mut FindAll).is_break()
}

struct FindAll;

impl Visitor for FindAll {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::NestedJoin { alias, .. }) = factor
        else {
            return ControlFlow::Continue(());
        };
        found(alias.iter().any(is_all_column))
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        found(query.with.iter().flat_map(|with| &with.cte_tables).any(|common| is_all_column(&common.alias)))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let is_all = |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value.eq_ignore_ascii_case(ALL));
        found(select.projection.iter().any(is_all))
    }
}

fn is_all_column(alias: &TableAlias) -> bool {
    alias.columns.iter().any(|column| column.name.value.eq_ignore_ascii_case(ALL))
}

fn found(found: bool) -> ControlFlow<()> {
    if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
