//! Opens snapshots of a table, and gives them to queries.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::{LogicalPlanBuilder, cast, ident};
use deltalake::DeltaTable;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake::table::state::DeltaTableState;

use crate::error::{delta_error, table_not_found};
use crate::log::versions::{AsOf, Versions};
use crate::spec::features::{Access, require};
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, Result};
use pinsql_base::schema::normalize_type;

/// The state of an opened table. `name` is the table's, for the error.
pub(crate) fn state_of<'a>(name: &str, table: &'a DeltaTable) -> Result<&'a DeltaTableState> {
    table.snapshot().map_err(|error| delta_error(&format!("read the table {name}"), error))
}

impl TableLocation {
    /// True if the folder has a Delta log.
    pub async fn exists(&self) -> Result<bool> {
        self.log_store().is_delta_table_location().await.map_err(|error| self.cannot_read(error))
    }

    /// The newest snapshot. `None` if the table does not exist.
    pub async fn open(&self) -> Result<Option<DeltaTable>> {
        if !self.exists().await? {
            return Ok(None);
        }
        let mut table = DeltaTable::new(self.log_store());
        table.load().await.map_err(|error| self.cannot_read(error))?;
        Ok(Some(table))
    }

    /// The newest snapshot. Fails if the table does not exist.
    pub async fn open_existing(&self) -> Result<DeltaTable> {
        self.open().await?.ok_or_else(|| table_not_found(self.name()))
    }

    /// The snapshot of one version.
    pub async fn open_version(&self, version: u64) -> Result<DeltaTable> {
        let mut table = DeltaTable::new(self.log_store());
        table.load_version(version).await.map_err(|error| self.cannot_read(error))?;
        Ok(table)
    }

    /// The snapshot of the version that `as_of` names. `newest` is the table at its newest version. The error lists the versions
    /// that exist.
    pub async fn open_as_of(&self, newest: DeltaTable, as_of: AsOf) -> Result<DeltaTable> {
        let version = Versions::of(self, &newest).await?.resolve(as_of)?;
        match newest.version() {
            Some(latest) if latest == version => Ok(newest),
            _ => self.open_version(version).await,
        }
    }

    /// A table provider for the snapshot in `table`. Fails if pinsql cannot read a feature of the table. The session that runs
    /// the scan must have the store.
    pub fn provider(&self, table: &DeltaTable) -> Result<Arc<dyn TableProvider>> {
        let state = table.snapshot().map_err(|error| self.cannot_read(error))?;
        require(Access::Read, self.name(), state.protocol(), state.metadata())?;
        // Partition columns keep the type of the table, without a dictionary.
        let config = DeltaScanConfig::new().with_wrap_partition_values(false);
        let scan = DeltaScanNext::new(state.snapshot().clone(), config)?;
        with_plain_binary(self.name(), Arc::new(scan))
    }

    fn cannot_read(&self, error: deltalake::DeltaTableError) -> Error {
        delta_error(&format!("read the table {}", self.name()), error)
    }
}

/// Casts the binary views of the scan to BINARY, which functions and literals use.
fn with_plain_binary(name: &str, scan: Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>> {
    let schema = scan.schema();
    if !schema.fields().iter().any(|field| has_binary_view(field.data_type())) {
        return Ok(scan);
    }
    let column = |field: &FieldRef| match has_binary_view(field.data_type()) {
        true => cast(ident(field.name()), normalize_type(field.data_type())).alias(field.name()),
        false => ident(field.name()),
    };
    let columns: Vec<_> = schema.fields().iter().map(column).collect();
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(scan), None)?.project(columns)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

fn has_binary_view(data_type: &DataType) -> bool {
    match data_type {
        DataType::BinaryView => true,
        DataType::List(item) | DataType::Map(item, _) => has_binary_view(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_binary_view(field.data_type())),
        _ => false,
    }
}
