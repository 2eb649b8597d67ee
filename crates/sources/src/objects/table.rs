//! The table of one call of `read_files`.
//!
//! It has the objects that were listed when the statement was planned, so that a statement reads the same objects however often
//! it scans the table. Statistics are unknown on purpose: the number of rejected records cannot be known in advance.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::MetricBuilder;
use datafusion::scalar::ScalarValue;
use object_store::path::Path;

use super::bundle::{DataObject, Packing, Piece, pack};
use super::columns::{ColumnSource, value_of};
use super::parquet::CaseAdapterFactory;
use super::prune;
use super::read_ahead::Storage;
use super::record_scan::RecordScan;
use super::record_source::RecordSource;
use pinsql_base::engine_error::external;
use pinsql_base::planning::Planned;
use pinsql_base::rejects::NOTICE;

#[derive(Clone)]
pub(super) struct FilesTable {
    pub schema: SchemaRef,
    /// The source of each column of the schema.
    pub columns: Vec<ColumnSource>,
    pub store_url: ObjectStoreUrl,
    /// The folder that was listed.
    pub base: Path,
    pub objects: Vec<Arc<DataObject>>,
    pub packing: Packing,
    pub reader: Reader,
    /// For requests outside of the scan: they count the lines before a record that is rejected after the scan.
    pub storage: Storage,
}

/// How the objects are read.
#[derive(Clone)]
pub(super) enum Reader {
    Records(Arc<RecordScan>),
    Parquet {
        format: Arc<ParquetFormat>,
        /// Sentences for the user about what the scan does not read.
        notices: Vec<String>,
    },
}

impl fmt::Debug for FilesTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilesTable")
            .field("base", &self.base)
            .field("objects", &self.objects.len())
            .finish_non_exhaustive()
    }
}

impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    pinsql_base::scan_by_plan!(waits);

    /// A condition on the columns of folders and files excludes objects. The rows are compared again above the scan.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match prune::is_about_objects(filter, &self.schema, &self.columns) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }
}

impl FilesTable {
    /// [`TableProvider::scan`].
    fn plan<'a>(
        &'a self,
        state: &'a dyn Session,
        projection: Option<&'a Vec<usize>>,
        filters: &'a [Expr],
        limit: Option<usize>,
    ) -> Planned<'a, Arc<dyn ExecutionPlan>> {
        Box::pin(self.plan_files(state, projection, filters, limit))
    }

    async fn plan_files(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let objects = prune::objects(self, state, filters)?;
        if objects.iter().all(|object| object.meta.size == 0) {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => self.schema.clone(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        match &self.reader {
            Reader::Records(scan) => {
                let total_bytes = objects.iter().map(|object| object.meta.size).sum();
                let scan = RecordScan { objects: objects.len(), total_bytes, ..scan.as_ref().clone() };
                let groups = pack(&objects, &self.packing, scan.format.is_splittable());
                let source = Arc::new(RecordSource::new(Arc::new(scan), self.schema.clone()));
                let config = FileScanConfigBuilder::new(self.store_url.clone(), source)
                    .with_file_groups(groups)
                    .with_projection_indices(projection.cloned())?
                    .with_limit(limit)
                    .build();
                Ok(DataSourceExec::from_data_source(config))
            }
            Reader::Parquet { format, notices } => {
                let source = format.file_source(self.file_schema());
                for notice in notices {
                    MetricBuilder::new(source.metrics()).counter(format!("{NOTICE}{notice}"), 0).add(1);
                }
                let config = self.whole_files(&objects, source, projection, limit)?;
                let config = config.with_expr_adapter(Some(Arc::new(CaseAdapterFactory))).build();
                format.create_physical_plan(state, config).await
            }
        }
    }
}

impl FilesTable {
    /// The columns that come from the records (`records` is true) or from elsewhere, each with its index.
    pub(super) fn fields_of(&self, records: bool) -> impl Iterator<Item = (usize, &Arc<Field>)> {
        let columns = self.columns.iter().zip(self.schema.fields()).enumerate();
        columns
            .filter(move |(_, (source, _))| (**source == ColumnSource::Record) == records)
            .map(|(index, (_, field))| (index, field))
    }

    /// The schema in DataFusion's form: first the columns of the files, then those of the folders.
    fn file_schema(&self) -> TableSchema {
        let files: Vec<_> = self.fields_of(true).map(|(_, field)| field.clone()).collect();
        let folders: Vec<_> = self.fields_of(false).map(|(_, field)| field.clone()).collect();
        TableSchema::builder(Arc::new(Schema::new(files))).with_table_partition_cols(folders).build()
    }

    fn whole_files(
        &self,
        objects: &[Arc<DataObject>],
        source: Arc<dyn FileSource>,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<FileScanConfigBuilder> {
        let order: Vec<usize> = self.fields_of(true).chain(self.fields_of(false)).map(|(index, _)| index).collect();
        let all = (0..order.len()).collect();
        let wanted: Vec<usize> = projection
            .unwrap_or(&all)
            .iter()
            .filter_map(|column| order.iter().position(|index| index == column))
            .collect();
        let with_data = objects.iter().filter(|object| object.meta.size > 0);
        let files = with_data.map(|object| self.partitioned_file(object)).collect::<Result<Vec<_>>>()?;
        FileScanConfigBuilder::new(self.store_url.clone(), source)
            .with_file_groups(FileGroup::new(files).split_files(self.packing.target_partitions))
            .with_limit(limit)
            .with_projection_indices(Some(wanted))
    }

    fn partitioned_file(&self, object: &Arc<DataObject>) -> Result<PartitionedFile> {
        let piece = Piece { object: object.clone(), range: 0..object.meta.size };
        let values = self
            .fields_of(false)
            .map(|(index, field)| {
                let value = value_of(&self.columns[index], field.data_type(), &piece, &self.store_url, &self.base);
                ScalarValue::try_from_array(&value.map_err(external)?, 0)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(PartitionedFile::new_from_meta(object.meta.clone()).with_partition_values(values))
    }
}
