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
use datafusion::logical_expr::TableType;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::scalar::ScalarValue;
use object_store::path::Path;

use super::bundle::{DataObject, Packing, Piece, pack};
use super::columns::{ColumnSource, value_of};
use super::csv::csv_source;
use super::json_scan::JsonScan;
use super::json_source::JsonSource;
use super::options::CsvOptions;
use super::read_ahead::Storage;
use pinsql_base::engine_error::external;
use pinsql_base::planning::Planned;

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
    Json(Arc<JsonScan>),
    Csv { options: CsvOptions, multi_line: bool },
    Parquet(Arc<ParquetFormat>),
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
}

impl FilesTable {
    /// [`TableProvider::scan`].
    fn plan<'a>(
        &'a self,
        state: &'a dyn Session,
        projection: Option<&'a Vec<usize>>,
        limit: Option<usize>,
    ) -> Planned<'a, Arc<dyn ExecutionPlan>> {
        Box::pin(self.plan_files(state, projection, limit))
    }

    async fn plan_files(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.objects.iter().all(|object| object.meta.size == 0) {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => self.schema.clone(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        match &self.reader {
            Reader::Json(scan) => {
                let source = Arc::new(JsonSource::new(scan.clone(), self.schema.clone()));
                let groups = pack(&self.objects, &self.packing, !scan.multi_line);
                let config = FileScanConfigBuilder::new(self.store_url.clone(), source)
                    .with_file_groups(groups)
                    .with_projection_indices(projection.cloned())?
                    .with_limit(limit)
                    .build();
                Ok(DataSourceExec::from_data_source(config))
            }
            Reader::Csv { options, multi_line } => {
                let compressed = self.objects.iter().any(|object| object.compression.is_compressed());
                let source = csv_source(options, *multi_line, compressed, self.file_schema());
                let config = self.whole_files(source, projection, limit)?.build();
                Ok(DataSourceExec::from_data_source(config))
            }
            Reader::Parquet(format) => {
                let source = format.file_source(self.file_schema());
                let config = self.whole_files(source, projection, limit)?.build();
                format.create_physical_plan(state, config).await
            }
        }
    }
}

impl FilesTable {
    /// The columns that come from the records (`records` is true) or from elsewhere, each with its index.
    fn fields_of(&self, records: bool) -> impl Iterator<Item = (usize, &Arc<Field>)> {
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
        let with_data = self.objects.iter().filter(|object| object.meta.size > 0);
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
        Ok(PartitionedFile::new_from_meta(object.meta.clone())
            .with_partition_values(values)
            .with_extension(object.compression))
    }
}
