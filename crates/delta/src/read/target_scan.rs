//! The table provider for statements that change rows. It adds two hidden columns: the file of a row, and the row number in it.
//!
//! It reads the types that data files have. Tables with column mapping or deletion vectors are refused before a scan.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use deltalake::kernel::Add;
use object_store::ObjectMeta;
use object_store::path::Path;
use parquet::arrow::RowNumber;

use crate::error::external;
use crate::read::column_adapter::ColumnAdapterFactory;
use crate::read::file_list::FileList;
use crate::spec::types::nullable;

/// The hidden column with the number of the file. Its name has a space, so no column of a table can have the same name.
pub const FILE_COLUMN: &str = "file of target";
/// The hidden column with the number of the row in its file.
pub const ROW_COLUMN: &str = "row of target";

/// The columns of a table, followed by the hidden ones.
pub fn with_hidden_columns(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(readable).chain(hidden()).collect::<Vec<_>>()))
}

/// Makes a field nullable. The files of other writers can have nullable columns where the table has NOT NULL, and the writer
/// checks it.
fn readable(field: &FieldRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(nullable(field.data_type())).with_nullable(true))
}

fn hidden() -> [FieldRef; 2] {
    let row = Field::new(ROW_COLUMN, DataType::Int64, true).with_extension_type(RowNumber);
    [Arc::new(Field::new(FILE_COLUMN, DataType::Int64, true)), Arc::new(row)]
}

#[derive(Debug)]
pub(crate) struct TargetTable {
    schema: SchemaRef,
    reading: TableSchema,
    list: Arc<FileList>,
    store: ObjectStoreUrl,
    folder: Path,
    read: Mutex<Read>,
}

/// The scanned files, and the predicate of each scan.
#[derive(Debug, Default, Clone)]
struct Read {
    files: BTreeSet<usize>,
    predicates: Vec<Option<Arc<dyn PhysicalExpr>>>,
}

impl TargetTable {
    pub(crate) fn new(table: &Schema, list: Arc<FileList>, store: ObjectStoreUrl, folder: Path) -> Self {
        let in_files: Vec<FieldRef> = list.columns().in_files().iter().map(|column| readable(&column.column)).collect();
        let [file, row] = hidden();
        let partitions = list.partitions.schema();
        let behind: Vec<FieldRef> = partitions.fields().iter().cloned().chain([file]).collect();
        let reading = TableSchema::builder(Arc::new(Schema::new(in_files)))
            .with_table_partition_cols(behind)
            .with_virtual_columns(vec![row])
            .build();
        Self { schema: with_hidden_columns(table), reading, list, store, folder, read: Mutex::default() }
    }

    /// The scanned files, and the predicate of each scan.
    pub(crate) fn read(&self) -> (BTreeSet<usize>, Vec<Option<Arc<dyn PhysicalExpr>>>) {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (read.files, read.predicates)
    }

    /// Compiles a condition over the columns of the table.
    pub(crate) fn physical(&self, condition: &Expr, state: &dyn Session) -> Result<Arc<dyn PhysicalExpr>> {
        let columns = DFSchema::try_from(self.reading.table_schema().as_ref().clone())?;
        state.create_physical_expr(condition.clone(), &columns)
    }

    /// True if a row in one of the added files may meet `predicate`.
    pub(crate) fn may_match(&self, predicate: &Arc<dyn PhysicalExpr>, adds: &[&Add]) -> bool {
        match FileList::of_adds("the table", adds, self.list.columns()) {
            Ok(list) => !self.candidates(&list, Some(predicate)).is_empty(),
            // Files that cannot be understood may hold any row.
            Err(_) => true,
        }
    }

    /// The files of `list` in which a row may meet `predicate`.
    fn candidates(&self, list: &FileList, predicate: Option<&Arc<dyn PhysicalExpr>>) -> Vec<usize> {
        list.candidates(predicate, self.reading.table_schema())
    }

    fn partitioned_file(&self, index: usize) -> Result<PartitionedFile> {
        let file = &self.list.files[index];
        let inside = Path::parse(&file.path).map_err(external)?;
        let location = Path::from_iter(self.folder.parts().chain(inside.parts()));
        let meta =
            ObjectMeta { location, last_modified: Default::default(), size: file.bytes, e_tag: None, version: None };
        let mut values = self.list.partition_scalars(index)?;
        values.push(ScalarValue::Int64(Some(index as i64)));
        Ok(PartitionedFile::new_from_meta(meta).with_partition_values(values))
    }

    /// Row counts. The planner uses them to choose the build side of a join.
    fn statistics(&self, files: &[usize]) -> Statistics {
        let mut statistics = Statistics::new_unknown(self.reading.table_schema());
        let rows: Option<u64> = files.iter().map(|file| self.list.files[*file].rows).sum();
        statistics.num_rows = rows.map_or(Precision::Absent, |rows| Precision::Inexact(rows as usize));
        statistics
    }
}

impl TableProvider for TargetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let is_hidden = |filter: &Expr| {
            filter.column_refs().iter().any(|column| [FILE_COLUMN, ROW_COLUMN].contains(&column.name.as_str()))
        };
        let support = |filter: &&Expr| match is_hidden(filter) || filter.is_volatile() {
            true => TableProviderFilterPushDown::Unsupported,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    pinsql_base::scan_by_plan!();
}

impl TargetTable {
    /// [`TableProvider::scan`], which does not wait for anything here.
    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = conjunction(filters.to_vec()).map(|filter| self.physical(&filter, state)).transpose()?;
        let files = self.candidates(&self.list, predicate.as_ref());
        {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.files.extend(&files);
            read.predicates.push(predicate.clone());
        }
        // A scan without files has no partition, and sorts and joins above it need one.
        if files.is_empty() {
            let columns = projection.map(|columns| self.schema.project(columns)).transpose()?;
            return Ok(Arc::new(EmptyExec::new(columns.map_or_else(|| self.schema(), Arc::new))));
        }

        let mut options = state.table_options().parquet.clone();
        options.global.coerce_int96 = Some("us".to_owned());
        options.global.coerce_int96_tz = Some("UTC".to_owned());
        let mut source = ParquetSource::new(self.reading.clone()).with_table_parquet_options(options);
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate);
        }
        let partitioned = files.iter().map(|file| self.partitioned_file(*file)).collect::<Result<Vec<_>>>()?;
        let partitions = state.config().target_partitions();
        let given = self.reading.table_schema();
        let all = (0..self.schema.fields().len()).collect();
        let wanted = projection
            .unwrap_or(&all)
            .iter()
            .map(|column| Ok(given.index_of(self.schema.field(*column).name())?))
            .collect::<Result<Vec<_>>>()?;
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(FileGroup::new(partitioned).split_files(partitions))
            .with_statistics(self.statistics(&files))
            .with_expr_adapter(Some(Arc::new(ColumnAdapterFactory::new(self.list.columns().in_files()))))
            .with_projection_indices(Some(wanted))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
