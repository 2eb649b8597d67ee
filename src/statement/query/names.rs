//! What a column is called that nobody named.
//!
//! DataFusion calls `1` `Int64(1)` and `user.name` `t.user[name]`, and such names would end up in tables. Here an
//! expression without an alias is called by its own text, and a field of a struct by the field's name, as in Databricks.

use std::ops::ControlFlow;

use sqlparser::ast::{AccessExpr, Expr, Ident, Query, Select, SelectItem, VisitMut, VisitorMut};

use super::json_calls::last_name;

/// Gives each expression in a select list that has no name one of its own.
pub fn name_columns(query: &mut Query) {
    // Infallible: the visitor never breaks off.
    let _ = query.visit(&mut NameColumns);
}

struct NameColumns;

impl VisitorMut for NameColumns {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let names: Vec<String> = select.projection.iter().filter_map(item_name).collect();
        for item in &mut select.projection {
            // Two columns cannot have one name: then the engine's longer ones stay.
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

/// What the column of this expression is called.
pub fn name_of(expr: &Expr) -> String {
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
