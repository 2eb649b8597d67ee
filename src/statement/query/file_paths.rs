//! Replaces ``json.`path` `` and ``parquet.`path` `` in FROM by calls of `read_files`.
//!
//! Absent: ``csv.`path` ``. There Spark takes the header for a record, and `read_files` finds it, so the user has to choose.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, Ident, ObjectName, ObjectNamePart, Query, Spanned,
    TableFactor, TableFunctionArgs, Value, VisitorMut,
};

use crate::statement::walk;

/// The schema names before a path, which are the formats.
const FORMATS: [&str; 2] = ["json", "parquet"];

/// Replaces each path in `query`.
pub(super) fn write_out(query: &mut Query) {
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(query, &mut Paths);
}

struct Paths;

impl VisitorMut for Paths {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, args: args @ None, .. } = factor else { return ControlFlow::Continue(()) };
        if let Some((format, path)) = format_and_path(name) {
            let text =
                |text: &str| FunctionArgExpr::Expr(Expr::Value(Value::SingleQuotedString(text.to_owned()).into()));
            let format = FunctionArg::Named {
                name: Ident::new("format"),
                arg: text(format),
                operator: FunctionArgOperator::RightArrow,
            };
            *args = Some(TableFunctionArgs { args: vec![FunctionArg::Unnamed(text(path)), format], settings: None });
            let function = Ident { value: "read_files".to_owned(), quote_style: None, span: name.span() };
            *name = ObjectName(vec![ObjectNamePart::Identifier(function)]);
        }
        ControlFlow::Continue(())
    }
}

/// The format and the path. A path has a slash, which names of tables do not have.
fn format_and_path(name: &ObjectName) -> Option<(&'static str, &str)> {
    let [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(path)] = name.0.as_slice() else { return None };
    let format = FORMATS.into_iter().find(|format| schema.value.eq_ignore_ascii_case(format))?;
    path.value.contains('/').then_some((format, &path.value))
}
