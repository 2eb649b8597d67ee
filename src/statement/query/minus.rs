//! `MINUS` is Databricks' other word for EXCEPT, which DataFusion does not know.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, SetExpr, SetOperator, VisitMut, VisitorMut};

/// Puts EXCEPT in the place of every MINUS.
pub(super) fn write_out(query: &mut Query) {
    // Infallible: the visitor never breaks off.
    let _ = query.visit(&mut Minus);
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
