//! New columns of a source: `WITH SCHEMA EVOLUTION`, and `mergeSchema` of COPY INTO.
//!
//! As in Databricks, the commit that adds the rows also adds the columns, after those of the table. Types of existing columns
//! do not change, and existing STRUCTs get no fields.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use pinsql_delta::{Column, NewColumn};

/// The columns of `source` that `table` does not have. Case is ignored.
pub(super) fn added<'a>(table: &Schema, source: &'a Schema) -> Vec<&'a FieldRef> {
    let is_known = |name: &str| table.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name));
    source.fields().iter().filter(|field| !is_known(field.name())).collect()
}

/// The columns of the table and after them the added ones.
pub(super) fn with_added(table: &Schema, added: &[&FieldRef]) -> SchemaRef {
    let fields = table.fields().iter().chain(added.iter().copied());
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// The columns to add to the table. Empty if nothing is added.
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
