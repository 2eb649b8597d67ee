//! Replaces `current_schema()`, `current_database()`, `current_catalog()` and `version()` by their values when the query is
//! planned.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Function, FunctionArguments, Query, Value, VisitorMut};

use crate::session::Session;
use crate::statement::walk;

/// Replaces the calls in `query` by string literals.
pub(super) fn put(session: &Session, query: &mut Query) {
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(
        query,
        &mut Facts { catalog: session.catalog_name().to_owned(), schema: session.current_schema() },
    );
}

struct Facts {
    catalog: String,
    schema: String,
}

impl Facts {
    fn text(&self, call: &Function) -> Option<String> {
        let has_arguments = match &call.args {
            FunctionArguments::None => false,
            FunctionArguments::List(list) => !list.args.is_empty(),
            FunctionArguments::Subquery(_) => true,
        };
        if has_arguments || call.over.is_some() {
            return None;
        }
        match call.name.to_string().to_lowercase().as_str() {
            "current_schema" | "current_database" => Some(self.schema.clone()),
            "current_catalog" => Some(self.catalog.clone()),
            "version" => Some(concat!("pinsql ", env!("CARGO_PKG_VERSION")).to_owned()),
            _ => None,
        }
    }
}

impl VisitorMut for Facts {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(call) = expr
            && let Some(text) = self.text(call)
        {
            *expr = Expr::Value(Value::SingleQuotedString(text).into());
        }
        ControlFlow::Continue(())
    }
}
