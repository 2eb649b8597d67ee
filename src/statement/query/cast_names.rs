//! Keeps apart aggregates and keys that differ only by a cast, such as `sum(a)` and `sum(CAST(a AS DOUBLE))`.
//!
//! DataFusion leaves casts out of the names of columns, so the two would be two columns of one name. In a query with such a pair
//! each cast becomes an argument of an internal function, which is a part of the name. The analyzer rule of casts removes it.
//! Casts of literals stay, because some functions take only a literal.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    DataType, Expr, Function, FunctionArguments, GroupByExpr, Query, Select, SetExpr, Value, VisitorMut,
};

use super::json_calls::call;
use crate::statement::walk;
use pinsql_functions::casts::NAMED_CAST;

/// Rewrites the casts in the queries that have such a pair. `is_aggregate` is true for the name of an aggregate function.
pub(super) fn tell_apart(query: &mut Query, is_aggregate: &dyn Fn(&str) -> bool) {
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(query, &mut Names { is_aggregate });
}

struct Names<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    /// After the queries inside, so that no cast is wrapped twice.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_ref()
            && self.has_pair(select, query)
        {
            return walk::rewrite_expressions(query, |expr| {
                if let Some((_, data_type)) = cast_of(expr) {
                    let type_text = Expr::Value(Value::SingleQuotedString(data_type.to_string()).into());
                    let cast = std::mem::replace(expr, Expr::Value(Value::Null.into()));
                    *expr = call(NAMED_CAST, vec![cast, type_text]);
                }
                ControlFlow::Continue(())
            });
        }
        ControlFlow::Continue(())
    }
}

impl Names<'_> {
    /// True if two aggregates, windows or keys of the query are equal without their casts, and differ with them.
    fn has_pair(&self, select: &Select, query: &Query) -> bool {
        let mut with_casts: HashMap<String, String> = HashMap::new();
        let mut differs = |expr: &Expr| {
            let text = expr.to_string();
            let known = with_casts.entry(without_casts(expr).to_string()).or_insert_with(|| text.clone());
            *known != text
        };
        let keys = match &select.group_by {
            GroupByExpr::Expressions(keys, _) => keys.as_slice(),
            GroupByExpr::All(_) => &[],
        };
        let keys = keys.iter().flat_map(|key| match key {
            Expr::GroupingSets(sets) | Expr::Rollup(sets) | Expr::Cube(sets) => sets.iter().flatten().collect(),
            key => vec![key],
        });
        if keys.into_iter().any(&mut differs) {
            return true;
        }
        walk::expressions(query, |expr| match expr {
            Expr::Function(function) if self.is_named_by_text(function) && differs(expr) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .is_break()
    }

    fn is_named_by_text(&self, function: &Function) -> bool {
        let has_arguments = !matches!(function.args, FunctionArguments::None);
        has_arguments && (function.over.is_some() || (self.is_aggregate)(&function.name.to_string().to_lowercase()))
    }
}

/// The operand and the type of a cast, unless it is the cast of a literal.
fn cast_of(expr: &Expr) -> Option<(&Expr, &DataType)> {
    match expr {
        Expr::Cast { expr, data_type, .. } if !matches!(expr.as_ref(), Expr::Value(_)) => Some((expr, data_type)),
        _ => None,
    }
}

fn without_casts(expr: &Expr) -> Expr {
    let mut plain = expr.clone();
    // Infallible: nothing stops the walk.
    let _ = walk::rewrite_expressions(&mut plain, |expr| {
        if let Some((operand, _)) = cast_of(expr) {
            *expr = operand.clone();
        }
        ControlFlow::<()>::Continue(())
    });
    plain
}
