//! Leaves out the rows that deletion vectors delete.
//!
//! A deletion vector has the positions of deleted rows of one data file. The scan below gives two more columns, the number of the
//! file and the position of the row in it. A vector is loaded when the first rows of its file arrive.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr, PlanProperties,
};
use deltalake::kernel::DeletionVectorDescriptor;
use futures::TryStreamExt;
use tokio::sync::OnceCell;

use crate::error::external;
use crate::read::file_list::DataFile;
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, ErrorCode};

/// The number of columns at the end of the input that the output does not have: file and row.
const HIDDEN_COLUMNS: usize = 2;

/// The deletion vectors of a version, by the number of the file.
#[derive(Debug)]
pub(crate) struct DeletionVectors {
    location: TableLocation,
    by_file: HashMap<i64, DeletionVector>,
}

#[derive(Debug)]
struct DeletionVector {
    path: String,
    descriptor: DeletionVectorDescriptor,
    /// The positions of the deleted rows, in ascending order.
    rows: OnceCell<Vec<u64>>,
}

impl DeletionVectors {
    /// The vectors of `files`. `None` if no file has one.
    pub(crate) fn of(location: &TableLocation, files: &[DataFile]) -> Option<Self> {
        let vector = |(number, file): (usize, &DataFile)| {
            let descriptor = file.deletion_vector.clone()?;
            Some((number as i64, DeletionVector { path: file.path.clone(), descriptor, rows: OnceCell::new() }))
        };
        let by_file: HashMap<_, _> = files.iter().enumerate().filter_map(vector).collect();
        (!by_file.is_empty()).then(|| Self { location: location.clone(), by_file })
    }

    /// The positions of the deleted rows of a file. Empty if it has no vector.
    async fn rows(&self, file: i64) -> Result<&[u64]> {
        let Some(vector) = self.by_file.get(&file) else { return Ok(&[]) };
        Ok(vector.rows.get_or_try_init(|| self.load(vector)).await?)
    }

    async fn load(&self, vector: &DeletionVector) -> Result<Vec<u64>> {
        let failed = |why: Box<dyn std::error::Error + Send + Sync>| {
            let said = format!("the deletion vector of {} in {} cannot be read", vector.path, self.location.name());
            external(Error::new(ErrorCode::InvalidFile, said).caused_by(why))
        };
        let descriptor =
            delta_kernel::actions::deletion_vector::DeletionVectorDescriptor::try_from(vector.descriptor.clone());
        let descriptor = descriptor.map_err(|error| failed(Box::new(error)))?;
        let storage = self.location.log_store().engine(None).storage_handler();
        let root = self.location.url().clone();
        let rows = tokio::task::spawn_blocking(move || descriptor.row_indexes(storage, &root)).await;
        let rows = rows.map_err(|error| failed(Box::new(error)))?.map_err(|error| failed(Box::new(error)))?;
        if rows.len() as u64 != vector.descriptor.cardinality.unsigned_abs() {
            let said = format!("it has {} rows, and the log says {}", rows.len(), vector.descriptor.cardinality);
            return Err(failed(said.into()));
        }
        Ok(rows)
    }

    /// The rows of `batch` that are not deleted, without the hidden columns.
    async fn live(&self, batch: RecordBatch, schema: SchemaRef) -> Result<RecordBatch> {
        let visible = batch.num_columns() - HIDDEN_COLUMNS;
        let files = batch.column(visible).as_primitive::<Int64Type>();
        let positions = batch.column(visible + 1).as_primitive::<Int64Type>();
        let mut known: Option<(i64, &[u64])> = None;
        let mut is_live = Vec::with_capacity(batch.num_rows());
        for (file, position) in files.values().iter().zip(positions.values()) {
            let deleted = match known {
                Some((of, deleted)) if of == *file => deleted,
                _ => self.rows(*file).await?,
            };
            known = Some((*file, deleted));
            is_live.push(deleted.is_empty() || deleted.binary_search(&position.unsigned_abs()).is_err());
        }
        let columns = batch.columns()[..visible].to_vec();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        if is_live.iter().all(|live| *live) {
            return Ok(batch);
        }
        Ok(filter_record_batch(&batch, &BooleanArray::from(is_live))?)
    }
}

/// The scan of a table with deletion vectors. Its input ends with the hidden columns.
#[derive(Debug)]
pub(crate) struct DeltaScanExec {
    input: Arc<dyn ExecutionPlan>,
    vectors: Arc<DeletionVectors>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl DeltaScanExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, vectors: Arc<DeletionVectors>) -> Self {
        let schema = input.schema();
        let visible = schema.fields().len().saturating_sub(HIDDEN_COLUMNS);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(Schema::new(schema.fields()[..visible].to_vec()))),
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self { input, vectors, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for DeltaScanExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeltaScanExec: deletion_vectors={}", self.vectors.by_file.len())
    }
}

impl ExecutionPlan for DeltaScanExec {
    fn name(&self) -> &str {
        "DeltaScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    /// The file scan below divides its files by itself.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let below = ChildFilterDescription::from_child(&parent_filters, &self.input)?;
        Ok(FilterDescription::new().with_child(below))
    }

    fn repartitioned(&self, partitions: usize, config: &ConfigOptions) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let input = self.input.repartitioned(partitions, config)?;
        Ok(input.map(|input| Arc::new(Self::new(input, Arc::clone(&self.vectors))) as Arc<dyn ExecutionPlan>))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else {
            return Err(DataFusionError::Internal("DeltaScanExec has one input".to_owned()));
        };
        Ok(Arc::new(Self::new(Arc::clone(input), Arc::clone(&self.vectors))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let schema = self.schema();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let (vectors, visible) = (Arc::clone(&self.vectors), Arc::clone(&schema));
        let live = input.and_then(move |batch| {
            let (vectors, visible) = (Arc::clone(&vectors), Arc::clone(&visible));
            async move { vectors.live(batch, visible).await }
        });
        let counted = live.inspect_ok(move |batch| metrics.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
