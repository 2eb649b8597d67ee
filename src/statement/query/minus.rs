//! Replaces `MINUS`, a synonym of EXCEPT in Databricks that DataFusion does not have.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, SetExpr, SetOperator, VisitorMut};

use crate::statement::walk;

/// Replaces every MINUS in `query` by EXCEPT.
pub(super) fn write_out(query: &mut Query) {
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(query, &mut Minus);
}

struct Minus;

impl VisitorMut for Minus {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        replace(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn replace(body: &mut SetExpr) {
    if let SetExpr::SetOperation { op, left, right, .. } = body {
        if *op == SetOperator::Minus {
            *op = SetOperator::Except;
        }
        replace(left);
        replace(right);
    }
}
