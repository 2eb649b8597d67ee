//! Columns that a source has and its table has not: `WITH SCHEMA EVOLUTION`, and `mergeSchema` of COPY INTO.
//!
//! As in Databricks they become columns of the table, behind those that are there, in the commit of the rows. Types of columns
//! that are there stay, and so do the fields of a STRUCT.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use pinsql_delta::{Column, NewColumn};

/// Those of `source` that `table` has not, by names in any case.
pub(super) fn added<'a>(table: &Schema, source: &'a Schema) -> Vec<&'a FieldRef> {
    let is_known = |name: &str| table.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name));
    source.fields().iter().filter(|field| !is_known(field.name())).collect()
}

/// The table's columns with the added ones behind them.
pub(super) fn with_added(table: &Schema, added: &[&FieldRef]) -> SchemaRef {
    let fields = table.fields().iter().chain(added.iter().copied());
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// What the table gets; none when nothing is added.
pub(super) fn new_columns(added: &[&FieldRef]) -> Vec<NewColumn> {
    let new = |field: &&FieldRef| NewColumn {
        parents: Vec::new(),
        column: Column {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            nullable: true,
            comment: None,
        },
        position: None,
    };
    added.iter().map(new).collect()
}
