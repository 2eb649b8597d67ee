//! Plain scans of a given list of Parquet files, and the places of data files.
//!
//! Queries use `table_scan`, which skips files and supports features that change the meaning of a file. These scans are only for
//! tables without such features (see `spec/features`). Columns of files become those of the table in the same way.

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

use crate::error::external;
use crate::read::column_adapter::ColumnAdapterFactory;
use crate::read::file_list::DataFile;
use crate::spec::stored_columns::StoredColumns;
use crate::storage::location::TableLocation;

/// Files with the same schema. A column that a file lacks is NULL in its rows.
#[derive(Debug)]
pub(crate) struct ParquetScan {
    pub(crate) store: ObjectStoreUrl,
    pub(crate) file_schema: SchemaRef,
    /// Columns with one value for each file, in the order of `partition_values` of the files.
    pub(crate) constants: Vec<FieldRef>,
    pub(crate) files: Vec<PartitionedFile>,
}

impl ParquetScan {
    /// A scan of the columns with these names.
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
        // INT96 timestamps of Spark, which do not fit into nanoseconds after the year 2262.
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
        let columns_of_files = StoredColumns::plain(&self.file_schema, &[]);
        let adapter = ColumnAdapterFactory::new(columns_of_files.in_files());
        let groups = FileGroup::new(self.files.clone()).split_files(config.target_partitions());
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(adapter)))
            .with_projection_indices(Some(columns))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// The URL of the store that has the files of the table.
pub(crate) fn store_url(location: &TableLocation) -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse(&location.url()[..url::Position::BeforePath])
}

/// The store and the path of a data file, which may be outside of the table's folder.
pub(crate) fn object_of(location: &TableLocation, file: &DataFile) -> Result<(ObjectStoreUrl, Path)> {
    if !file.is_elsewhere() {
        let path = Path::parse(format!("{}/{}", location.path(), file.path)).map_err(external)?;
        return Ok((store_url(location)?, path));
    }
    // Hadoop writes `file:/folder` too.
    let (scheme, rest) = file.path.split_once(":/").unwrap_or_default();
    let (authority, path) = match rest.strip_prefix('/') {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", rest),
    };
    let scheme = if matches!(scheme, "s3a" | "s3n") { "s3" } else { scheme };
    Ok((ObjectStoreUrl::parse(format!("{scheme}://{authority}"))?, Path::parse(path).map_err(external)?))
}

/// A data file by its path in the log.
pub(crate) fn data_file(location: &TableLocation, path: &str, size: u64) -> Result<PartitionedFile> {
    let full = format!("{}/{path}", location.path());
    let location = Path::parse(&full).map_err(|error| DataFusionError::External(Box::new(error)))?;
    let last_modified = chrono::DateTime::UNIX_EPOCH;
    Ok(PartitionedFile::from(ObjectMeta { location, last_modified, size, e_tag: None, version: None }))
}
