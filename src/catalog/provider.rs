//! The warehouse as DataFusion asks for it while it resolves names.
//!
//! A table is opened at its newest version when a statement names it, and that snapshot is what the statement reads, to
//! its end. The snapshot's version stays visible ([`version_read`]), because a statement that writes what it read must
//! be committed against it.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::{TableType, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use url::Url;

use super::{DEFAULT_SCHEMA, TableName, Warehouse, schema_name};
use crate::sink::delta::TableLocation;

/// All schemas of a warehouse.
///
/// Its lists of names are empty: DataFusion asks for them without waiting for the store. `SHOW` asks the
/// [`Warehouse`].
#[derive(Debug)]
pub struct WarehouseCatalog {
    warehouse: Warehouse,
    /// Schemas of other makers, such as that of views.
    registered: Mutex<HashMap<String, Arc<dyn SchemaProvider>>>,
}

impl WarehouseCatalog {
    pub fn new(warehouse: Warehouse) -> Self {
        Self { warehouse, registered: Mutex::default() }
    }
}

impl CatalogProvider for WarehouseCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![DEFAULT_SCHEMA.to_owned()]
    }

    /// Any name may be a schema: whether it is one shows when a table of it is asked for.
    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let name = schema_name(name).ok()?;
        let registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = registered.get(&name) {
            return Some(schema.clone());
        }
        Some(Arc::new(WarehouseSchema { name, warehouse: self.warehouse.clone() }))
    }

    fn register_schema(&self, name: &str, schema: Arc<dyn SchemaProvider>) -> Result<Option<Arc<dyn SchemaProvider>>> {
        let name = schema_name(name).map_err(external)?;
        Ok(self.registered.lock().unwrap_or_else(PoisonError::into_inner).insert(name, schema))
    }
}

#[derive(Debug)]
struct WarehouseSchema {
    name: String,
    warehouse: Warehouse,
}

#[async_trait]
impl SchemaProvider for WarehouseSchema {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        // A name that no table can have is a table that is not there.
        let Ok(name) = TableName::new(&self.name, name) else { return Ok(None) };
        let location = self.warehouse.location(&name).map_err(external)?;
        let Some(table) = location.open().await.map_err(external)? else { return Ok(None) };
        let table = WarehouseTable::new(&location, &table).map_err(external)?;
        Ok(Some(Arc::new(table)))
    }

    fn table_exist(&self, name: &str) -> bool {
        TableName::new(&self.name, name).is_ok()
    }
}

/// One version of one Delta table, to read.
///
/// It is deltalake's provider without the ways to write that it has: those commit past `sink::delta::commit`.
pub struct WarehouseTable {
    url: Url,
    version: u64,
    scan: Arc<dyn TableProvider>,
}

impl WarehouseTable {
    /// A provider for the snapshot that `table` holds.
    pub fn new(location: &TableLocation, table: &deltalake::DeltaTable) -> crate::error::Result<Self> {
        let scan = location.provider(table)?;
        Ok(Self { url: location.url().clone(), version: table.version().unwrap_or_default(), scan })
    }

    pub fn version(&self) -> u64 {
        self.version
    }
}

impl fmt::Debug for WarehouseTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WarehouseTable({} version {})", self.url, self.version)
    }
}

#[async_trait]
impl TableProvider for WarehouseTable {
    fn schema(&self) -> SchemaRef {
        self.scan.schema()
    }

    fn table_type(&self) -> TableType {
        self.scan.table_type()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.scan.scan(state, projection, filters, limit).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.scan.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.scan.statistics()
    }
}

/// The version of the table at `location` that a query reads, if it reads it at all.
pub fn version_read(plan: &LogicalPlan, location: &TableLocation) -> Result<Option<u64>> {
    let mut version = None;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = (provider.as_ref() as &dyn Any).downcast_ref::<WarehouseTable>()
            && table.url == *location.url()
        {
            // Read at two versions, the older decides: what came after it was not seen by all of the query.
            version = Some(version.map_or(table.version, |older: u64| older.min(table.version)));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(version)
}

fn external(error: crate::error::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
