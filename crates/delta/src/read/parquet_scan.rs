//! Plain scans of a table's Parquet files, for those who know which files they want.
//!
//! Queries go through deltalake's provider, which knows about skipping and about features that change what a file means. What
//! comes through here are tables without such features (`Shape` refuses the others).

use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::storage::location::TableLocation;

/// Files that are read alike. A column that a file does not have is NULL in its rows.
#[derive(Debug)]
pub(crate) struct ParquetScan {
    pub(crate) store: ObjectStoreUrl,
    pub(crate) file_schema: SchemaRef,
    /// Columns of which each file has one value, in the order of the files' `partition_values`.
    pub(crate) constants: Vec<FieldRef>,
    pub(crate) files: Vec<PartitionedFile>,
}

impl ParquetScan {
    /// A scan that gives the columns of these names.
    pub(crate) fn plan(
        &self,
        names: &[&str],
        limit: Option<usize>,
        config: &SessionConfig,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut options = TableParquetOptions {
            global: config.options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        // Spark's older timestamps, which nanoseconds cannot hold beyond the year 2262.
        options.global.coerce_int96 = Some("us".to_owned());
        let schema = TableSchema::builder(Arc::clone(&self.file_schema))
            .with_table_partition_cols(self.constants.clone())
            .build();
        let all: Vec<&String> =
            self.file_schema.fields().iter().chain(&self.constants).map(|field| field.name()).collect();
        let index = |name: &&str| {
            let found = all.iter().position(|known| known == name);
            found.ok_or_else(|| DataFusionError::Internal(format!("there is no column {name}")))
        };
        let columns = names.iter().map(index).collect::<Result<Vec<_>>>()?;
        let source = ParquetSource::new(schema).with_table_parquet_options(options);
        let groups = FileGroup::new(self.files.clone()).split_files(config.target_partitions());
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_limit(limit)
            .with_projection_indices(Some(columns))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// The store that a table's files are in, as the engine knows it.
pub(crate) fn store_url(location: &TableLocation) -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse(&location.url()[..url::Position::BeforePath])
}

/// A file of the table, by its path in the log.
pub(crate) fn data_file(location: &TableLocation, path: &str, size: u64) -> Result<PartitionedFile> {
    let full = format!("{}/{path}", location.path());
    let location = Path::parse(&full).map_err(|error| DataFusionError::External(Box::new(error)))?;
    let last_modified = chrono::DateTime::UNIX_EPOCH;
    Ok(PartitionedFile::from(ObjectMeta { location, last_modified, size, e_tag: None, version: None }))
}
