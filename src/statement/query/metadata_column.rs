//! `*` does not include the column `_metadata` of files, as in Databricks: a query has to name it.

use std::ops::ControlFlow;

use sqlparser::ast::{ExceptSelectItem, Ident, Query, Select, SelectItem, TableFactor, VisitorMut};

use super::relations::CALLS_SCHEMA;
use crate::statement::walk;
use pinsql_sources::objects::METADATA_COLUMN;

/// Adds `EXCEPT (_metadata)` to each star over a relation of a table function.
pub(super) fn hide(query: &mut Query) {
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(query, &mut HideMetadata);
}

struct HideMetadata;

impl VisitorMut for HideMetadata {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let reads_files = select.from.iter().any(|from| {
            std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)).any(reads_call)
        });
        if !reads_files {
            return ControlFlow::Continue(());
        }
        for item in &mut select.projection {
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item {
                let metadata = Ident::with_quote('`', METADATA_COLUMN);
                match &mut options.opt_except {
                    Some(except) => except.additional_elements.push(metadata),
                    None => {
                        options.opt_except =
                            Some(ExceptSelectItem { first_element: metadata, additional_elements: Vec::new() });
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// True for the relation of a table function, and for a generator over one.
fn reads_call(relation: &TableFactor) -> bool {
    match relation {
        TableFactor::Table { name, .. } => {
            name.0.first().and_then(|part| part.as_ident()).is_some_and(|ident| ident.value == CALLS_SCHEMA)
        }
        TableFactor::Pivot { table, .. } => reads_call(table),
        TableFactor::NestedJoin { table_with_joins, .. } => {
            let joined = table_with_joins.joins.iter().map(|join| &join.relation);
            std::iter::once(&table_with_joins.relation).chain(joined).any(reads_call)
        }
        _ => false,
    }
}
