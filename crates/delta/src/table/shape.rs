//! The shape of the files of a table: columns, partition columns, rules, statistics and target size. It comes from the definition
//! of a new table, or from the metadata of an existing one.

use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::{DataType, SchemaRef};
use deltalake::DeltaTable;
use deltalake::kernel::Metadata;
use deltalake::table::state::DeltaTableState;

use crate::spec::alteration::Alteration;
use crate::spec::definition::TableDefinition;
use crate::spec::features::{Access, require};
use crate::spec::partition_values::file_schema;
use crate::spec::properties::{TARGET_FILE_SIZE, file_size_bytes};
use crate::spec::rules::{Rule, rules};
use crate::spec::schema::table_schema;
use crate::spec::statistics::IndexedColumns;
use crate::spec::stored_columns::StoredColumns;
use crate::table::open::state_of;
use pinsql_base::error::Result;

const TARGET_FILE_BYTES_DEFAULT: u64 = 128 << 20;

#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) schema: SchemaRef,
    pub(crate) partition_columns: Vec<String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) indexed: IndexedColumns,
    target_file_bytes: u64,
}

impl Shape {
    /// The shape of a table that is about to be made.
    pub(crate) fn of_definition(name: &str, definition: &TableDefinition) -> Result<Self> {
        Self::of_metadata(name, &definition.metadata()?)
    }

    /// The shape of a table that exists, for a writer. Refuses a table that pinsql cannot write.
    pub(crate) fn of_table(name: &str, table: &DeltaTable) -> Result<Self> {
        Self::of_metadata(name, require_writable(name, table)?.metadata())
    }

    /// The same, as the table is after `alteration`.
    pub(crate) fn of_altered_table(name: &str, table: &DeltaTable, alteration: &Alteration) -> Result<Self> {
        let state = require_writable(name, table)?;
        Self::of_metadata(name, &alteration.altered(state.metadata())?.0)
    }

    /// The shape for readers. It does not check that the table can be written.
    pub(crate) fn plain(name: &str, metadata: &Metadata) -> Result<Self> {
        Self::of_metadata(name, metadata)
    }

    fn of_metadata(name: &str, metadata: &Metadata) -> Result<Self> {
        let properties = metadata.configuration();
        Ok(Self {
            schema: table_schema(name, metadata)?,
            partition_columns: metadata.partition_columns().to_vec(),
            rules: rules(name, metadata)?,
            indexed: indexed_columns(properties),
            target_file_bytes: properties
                .get(TARGET_FILE_SIZE)
                .and_then(|size| file_size_bytes(size))
                .unwrap_or(TARGET_FILE_BYTES_DEFAULT),
        })
    }

    /// The columns for reading files whose rows are written again.
    pub(crate) fn columns(&self) -> StoredColumns {
        StoredColumns::plain(&self.schema, &self.partition_columns)
    }

    pub(crate) fn target_file_bytes(&self) -> u64 {
        self.target_file_bytes
    }

    /// The size below which a file is worth merging: two such files fit into one.
    pub(crate) fn merged_below_bytes(&self) -> u64 {
        self.target_file_bytes / 2
    }

    /// True if files have bounds of a column, given by its dotted path.
    pub(crate) fn indexes(&self, path: &str) -> bool {
        let mut parts = path.split('.');
        let root = parts.next().unwrap_or_default();
        let files = file_schema(&self.schema, &self.partition_columns);
        let Ok(index) = files.index_of(root) else { return false };
        let mut data_type = files.field(index).data_type();
        for part in parts {
            let DataType::Struct(fields) = data_type else { return false };
            let Some((_, field)) = fields.find(part) else { return false };
            data_type = field.data_type();
        }
        let is_ordered = !data_type.is_nested() && !matches!(data_type, DataType::Boolean | DataType::Binary);
        is_ordered && self.indexed.includes(index, path)
    }
}

/// Refuses a table that pinsql cannot write.
pub(crate) fn require_writable<'a>(name: &str, table: &'a DeltaTable) -> Result<&'a DeltaTableState> {
    let state = state_of(name, table)?;
    require(Access::Append, name, state.protocol(), state.metadata())?;
    Ok(state)
}

fn indexed_columns(properties: &HashMap<String, String>) -> IndexedColumns {
    if let Some(names) = properties.get("delta.dataSkippingStatsColumns") {
        let names = names.split(',').map(|name| name.trim().replace('`', ""));
        return IndexedColumns::Named(names.collect::<BTreeSet<_>>());
    }
    let count = properties.get("delta.dataSkippingNumIndexedCols").and_then(|count| count.parse::<i64>().ok());
    match count {
        None => IndexedColumns::DEFAULT,
        Some(count) => usize::try_from(count).map_or(IndexedColumns::All, IndexedColumns::First),
    }
}
