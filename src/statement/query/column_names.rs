//! Default column names.
//!
//! DataFusion names the column `1` `Int64(1)` and the column `user.name` `t.user[name]`, and such names would end up in tables.
//! Here the name of an expression without an alias is its text, and that of a field of a STRUCT is the field name, as in
//! Databricks.

use std::ops::ControlFlow;

use sqlparser::ast::{AccessExpr, Expr, Ident, Query, Select, SelectItem, SetExpr, VisitorMut};

use super::json_calls::last_name;
use crate::statement::walk;

/// Adds an alias to each expression in a select list that has no name.
pub(super) fn name_columns(query: &mut Query) {
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(query, &mut NameColumns);
}

/// Numbers equal unnamed columns of a result, such as in `SELECT a, a` or `SELECT id, NULL, NULL`: `a` and `a_1`.
///
/// Databricks gives both columns the same name, which DataFusion refuses. Not for a query that creates a table: there Databricks
/// refuses equal names too.
pub(in crate::statement) fn set_apart(query: &Query) -> Query {
    let mut query = query.clone();
    set_body_apart(&mut query.body);
    query
}

fn set_body_apart(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => set_items_apart(&mut select.projection),
        SetExpr::Query(query) => set_body_apart(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            set_body_apart(left);
            set_body_apart(right);
        }
        _ => {}
    }
}

fn set_items_apart(items: &mut [SelectItem]) {
    let mut names: Vec<String> = items.iter().filter_map(item_name).map(|name| name.to_lowercase()).collect();
    for place in 1..items.len() {
        let (earlier, rest) = items.split_at_mut(place);
        let Some(item @ SelectItem::UnnamedExpr(_)) = rest.first_mut() else { continue };
        let is_repeated = earlier.contains(item);
        if let SelectItem::UnnamedExpr(expr) = item
            && is_repeated
        {
            let mut numbered = (1..=names.len()).map(|number| format!("{}_{number}", name_of(expr)));
            let Some(name) = numbered.find(|name| !names.contains(&name.to_lowercase())) else { continue };
            names.push(name.to_lowercase());
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('`', name) };
        }
    }
}

struct NameColumns;

impl VisitorMut for NameColumns {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let names: Vec<String> = select.projection.iter().filter_map(item_name).collect();
        for item in &mut select.projection {
            // Two columns cannot have the same name. In that case the longer names of DataFusion stay.
            let is_free = |name: &String| names.iter().filter(|other| other.eq_ignore_ascii_case(name)).count() == 1;
            if let SelectItem::UnnamedExpr(expr) = item
                && !matches!(expr, Expr::Identifier(_))
                && let Some(name) = Some(name_of(expr)).filter(is_free)
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('`', name) };
            }
        }
        ControlFlow::Continue(())
    }
}

fn item_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(name_of(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    }
}

/// The default name of the column with this expression.
pub(super) fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => ident.value.clone(),
        // With or without a cast: `data:user.name::STRING`.
        Expr::JsonAccess { path, .. } => last_name(&path.path).unwrap_or_else(|| expr.to_string()),
        Expr::Cast { expr: inner, .. } if matches!(**inner, Expr::JsonAccess { .. }) => name_of(inner),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(field))) => field.value.clone(),
            _ => expr.to_string(),
        },
        Expr::CompoundIdentifier(path) => path.last().map(|ident| ident.value.clone()).unwrap_or_default(),
        other => other.to_string(),
    }
}
