//! The table provider for queries over a version of a table.
//!
//! The plan is DataFusion's own Parquet scan over the data files, so everything that DataFusion does for Parquet files works:
//! files divided between cores, row groups and pages skipped, dynamic filters. On top of it:
//!
//! - Files are skipped by partition values and by the statistics in the log.
//! - Columns of files become those of the table (`column_adapter`).
//! - Deleted rows are left out (`deletion_vectors`).
//! - A query that needs no column reads no file, if the log has all row counts (`row_counts`).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use deltalake::DeltaTable;
use object_store::ObjectMeta;
use parquet::arrow::RowNumber;

use crate::read::column_adapter::ColumnAdapterFactory;
use crate::read::deletion_vectors::{DeletionVectors, DeltaScanExec};
use crate::read::file_list::FileList;
use crate::read::parquet_scan::object_of;
use crate::read::row_counts::RowCountExec;
use crate::spec::features::{Access, require};
use crate::spec::stored_columns::StoredColumns;
use crate::storage::location::TableLocation;
use crate::table::open::state_of;

/// Up to this number of files, the statistics of the log are parsed for the estimates of the planner too.
const ESTIMATED_FILES_MAX: usize = 1_000;

impl TableLocation {
    /// A table provider for the snapshot in `table`. Fails if pinsql cannot read a feature of the table. The session that runs
    /// the scan must have the store.
    pub fn provider(&self, table: &DeltaTable) -> pinsql_base::error::Result<Arc<dyn TableProvider>> {
        let state = state_of(self.name(), table)?;
        require(Access::Read, self.name(), state.protocol(), state.metadata())?;
        let columns = StoredColumns::of(self.name(), state.metadata())?;
        let list = FileList::of(self.name(), state, &columns)?;
        Ok(Arc::new(DeltaTableScan::new(self, list)))
    }
}

/// A version of a table, for queries.
#[derive(Debug)]
pub(crate) struct DeltaTableScan {
    location: TableLocation,
    list: FileList,
    reading: TableSchema,
    adapter: Arc<dyn PhysicalExprAdapterFactory>,
    vectors: Option<Arc<DeletionVectors>>,
}

impl DeltaTableScan {
    pub(crate) fn new(location: &TableLocation, list: FileList) -> Self {
        let vectors = DeletionVectors::of(location, &list.files).map(Arc::new);
        let in_files: Vec<FieldRef> =
            list.columns().in_files().iter().map(|column| Arc::clone(&column.column)).collect();
        let partitions = list.columns().partitions().iter();
        let mut constants: Vec<FieldRef> = partitions.map(|column| Arc::clone(&column.column)).collect();
        let mut virtual_columns: Vec<FieldRef> = Vec::new();
        if vectors.is_some() {
            constants.push(Arc::new(Field::new("number of the file", DataType::Int64, true)));
            let row = Field::new("row of the file", DataType::Int64, true).with_extension_type(RowNumber);
            virtual_columns.push(Arc::new(row));
        }
        let reading = TableSchema::builder(Arc::new(Schema::new(in_files)))
            .with_table_partition_cols(constants)
            .with_virtual_columns(virtual_columns)
            .build();
        let adapter = Arc::new(ColumnAdapterFactory::new(list.columns().in_files()));
        Self { location: location.clone(), list, reading, adapter, vectors }
    }

    /// The row count of each file, without deleted rows. `None` if the log lacks one.
    fn row_counts(&self, files: &[usize]) -> Option<Vec<u64>> {
        files.iter().map(|file| self.list.files[*file].live_rows()).collect()
    }

    /// As many of `files` as surely have `limit` rows.
    fn enough(&self, mut files: Vec<usize>, limit: Option<usize>) -> Vec<usize> {
        let Some(limit) = limit else { return files };
        let mut rows = 0;
        let needed = files.iter().position(|file| {
            rows += self.list.files[*file].live_rows().unwrap_or(0);
            rows >= limit as u64
        });
        files.truncate(needed.map_or(files.len(), |last| last + 1));
        files
    }

    fn partitioned_file(&self, number: usize, is_estimated: bool) -> Result<(ObjectStoreUrl, PartitionedFile)> {
        let file = &self.list.files[number];
        let (store, location) = object_of(&self.location, file)?;
        let last_modified = chrono::DateTime::UNIX_EPOCH;
        let meta = ObjectMeta { location, last_modified, size: file.bytes, e_tag: None, version: None };
        let mut values = self.list.partition_scalars(number)?;
        if self.vectors.is_some() {
            values.push(ScalarValue::Int64(Some(number as i64)));
        }
        let mut found = PartitionedFile::new_from_meta(meta).with_partition_values(values);
        if is_estimated {
            found = found.with_statistics(Arc::new(exact_bounds(&self.list.statistics()[number], &self.reading)));
        }
        Ok((store, found))
    }

    /// Estimates for the planner, which chooses the order and the sides of joins by them.
    fn estimates(&self, files: &[usize], is_estimated: bool) -> Statistics {
        let schema = self.reading.table_schema();
        let mut found = Statistics::new_unknown(schema);
        if is_estimated {
            let known = files.iter().map(|file| padded(&self.list.statistics()[*file], schema));
            let known: Vec<Statistics> = known.collect();
            if let Ok(merged) = Statistics::try_merge_iter(&known, schema) {
                found = merged.to_inexact();
            }
        }
        found.num_rows = self
            .row_counts(files)
            .map_or(Precision::Absent, |rows| Precision::Inexact(rows.iter().sum::<u64>() as usize));
        found
    }
}

/// The statistics with unknown ones for the columns that the log does not know.
fn padded(statistics: &Statistics, schema: &Schema) -> Statistics {
    let mut padded = statistics.clone();
    padded.column_statistics.resize(schema.fields().len(), ColumnStatistics::new_unknown());
    padded
}

/// The statistics of one file for the scan. It takes a column as constant if both bounds are exact and the same, so bounds that
/// may be cut are not exact.
fn exact_bounds(statistics: &Statistics, reading: &TableSchema) -> Statistics {
    let mut exact = padded(statistics, reading.table_schema());
    for (field, column) in reading.table_schema().fields().iter().zip(&mut exact.column_statistics) {
        if !(field.data_type().is_integer() || field.data_type() == &DataType::Date32) {
            column.min_value = column.min_value.clone().to_inexact();
            column.max_value = column.max_value.clone().to_inexact();
        }
    }
    exact
}

impl TableProvider for DeltaTableScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.list.columns().schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match filter.is_volatile() {
            true => TableProviderFilterPushDown::Unsupported,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    pinsql_base::scan_by_plan!();
}

impl DeltaTableScan {
    /// [`TableProvider::scan`], which does not wait for anything here.
    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let given = self.list.scan_schema();
        let columns = DFSchema::try_from(given.as_ref().clone())?;
        let predicate =
            conjunction(filters.to_vec()).map(|filter| state.create_physical_expr(filter, &columns)).transpose()?;
        let files = self.list.candidates(predicate.as_ref(), &given);
        let files = if filters.is_empty() { self.enough(files, limit) } else { files };

        let schema = self.schema();
        let all = (0..schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        // A scan without files has no partition, and sorts and joins above it need one.
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema.project(wanted)?))));
        }
        if wanted.is_empty()
            && filters.is_empty()
            && let Some(counts) = self.row_counts(&files)
        {
            return Ok(Arc::new(RowCountExec::new(self.location.name(), counts, limit)));
        }
        let reading = self.reading.table_schema();
        let mut indices = wanted
            .iter()
            .map(|column| Ok(reading.index_of(schema.field(*column).name())?))
            .collect::<Result<Vec<_>>>()?;
        if self.vectors.is_some() {
            indices.extend(reading.fields().len() - 2..reading.fields().len());
        }
        self.scan(state, &files, indices, limit, !filters.is_empty())
    }

    /// A scan of the files, one for each store.
    fn scan(
        &self,
        state: &dyn Session,
        files: &[usize],
        indices: Vec<usize>,
        limit: Option<usize>,
        is_filtered: bool,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let is_estimated = is_filtered || files.len() <= ESTIMATED_FILES_MAX;
        let mut options = state.table_options().parquet.clone();
        // INT96 timestamps of Spark, which do not fit into nanoseconds after the year 2262.
        options.global.coerce_int96 = Some("us".to_owned());
        options.global.coerce_int96_tz = Some("UTC".to_owned());
        let source = Arc::new(ParquetSource::new(self.reading.clone()).with_table_parquet_options(options));
        let mut stores: Vec<(ObjectStoreUrl, Vec<usize>, Vec<PartitionedFile>)> = Vec::new();
        for number in files {
            let (store, file) = self.partitioned_file(*number, is_estimated)?;
            match stores.iter_mut().find(|(known, ..)| *known == store) {
                Some((_, numbers, found)) => {
                    numbers.push(*number);
                    found.push(file);
                }
                None => stores.push((store, vec![*number], vec![file])),
            }
        }
        let mut plans = Vec::new();
        for (store, numbers, found) in stores {
            let config = FileScanConfigBuilder::new(store, Arc::clone(&source) as _)
                .with_file_groups(FileGroup::new(found).split_files(state.config().target_partitions()))
                .with_statistics(self.estimates(&numbers, is_estimated))
                .with_expr_adapter(Some(Arc::clone(&self.adapter)))
                .with_limit(limit.filter(|_| self.vectors.is_none()))
                .with_projection_indices(Some(indices.clone()))?
                .build();
            let scan = DataSourceExec::from_data_source(config);
            plans.push(match &self.vectors {
                Some(vectors) => Arc::new(DeltaScanExec::new(scan, Arc::clone(vectors))),
                None => scan as Arc<dyn ExecutionPlan>,
            });
        }
        match plans.len() {
            1 => Ok(plans.remove(0)),
            _ => UnionExec::try_new(plans),
        }
    }
}
