//! The JSON scan for DataFusion: a `FileSource` whose files are bundles.
//!
//! It takes over projections of plain columns, so that the decoder skips all other fields. Expressions stay in the plan above: in
//! the scan, their failures could not be distinguished from failures of the reader.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use futures::{FutureExt, StreamExt, stream};
use object_store::ObjectStore;

use super::bundle::Bundle;
use super::bundle_reader::{BundleReader, Counts, Reading};
use super::columns::{Assembly, ColumnSource, OutputColumn};
use super::json_scan::JsonScan;
use super::options::Mode;
use super::read_ahead::Storage;
use pinsql_base::engine_error::external;
use pinsql_base::rejects::{RECORDS_DROPPED, RECORDS_READ, RECORDS_REJECTED};
use pinsql_json::{Decoder, DecoderOptions, Permissive};

#[derive(Clone)]
pub(super) struct JsonSource {
    scan: Arc<JsonScan>,
    table_schema: TableSchema,
    /// Has only plain columns.
    projection: ProjectionExprs,
    batch_rows_max: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl JsonSource {
    pub(super) fn new(scan: Arc<JsonScan>, schema: SchemaRef) -> Self {
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        Self {
            scan,
            projection: ProjectionExprs::from_indices(&all, &schema),
            table_schema: schema.into(),
            batch_rows_max: 0,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.scan.path
    }

    fn decoder_options(&self, decoded: &Schema) -> DecoderOptions {
        let corrupt_record_column = decoded.index_of(&self.scan.corrupt_record_column).ok();
        DecoderOptions {
            permissive: (self.scan.mode == Mode::Permissive).then_some(Permissive { corrupt_record_column }),
            timestamp_format: self.scan.timestamp_format.clone(),
            date_format: self.scan.date_format.clone(),
        }
    }

    /// The schema to decode, the schema of the output, and the source of each output column.
    fn output(&self) -> Result<(SchemaRef, SchemaRef, Vec<OutputColumn>)> {
        let table = self.table_schema.table_schema();
        let mut decoded: Vec<usize> = Vec::new();
        let mut output = Vec::new();
        for expression in self.projection.iter() {
            let index = column_index(&expression.expr).ok_or_else(|| {
                DataFusionError::Internal("a JSON scan was given an expression to evaluate".to_owned())
            })?;
            output.push(match &self.scan.columns[index] {
                ColumnSource::Record => OutputColumn::Record(position_or_push(&mut decoded, index)),
                ColumnSource::Place(column) if column.is_of_record() => OutputColumn::Kept(*column),
                other => OutputColumn::Object(other.clone()),
            });
        }
        let output_schema = Arc::new(self.projection.project_schema(table)?);
        Ok((Arc::new(table.project(&decoded)?), output_schema, output))
    }
}

fn position_or_push(known: &mut Vec<usize>, wanted: usize) -> usize {
    known.iter().position(|index| *index == wanted).unwrap_or_else(|| {
        known.push(wanted);
        known.len() - 1
    })
}

fn column_index(expression: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expression.downcast_ref::<Column>().map(Column::index)
}

impl fmt::Debug for JsonSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonSource").field("scan", &self.scan).finish_non_exhaustive()
    }
}

impl FileSource for JsonSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let (decoded_schema, output_schema, columns) = self.output()?;
        let count = |name| MetricBuilder::new(&self.metrics).counter(name, partition);
        let url = config.object_store_url.clone();
        let reading = Reading {
            storage: Storage {
                store,
                url: url.clone(),
                limits: self.scan.limits,
                bytes_scanned: count("bytes_scanned"),
            },
            assembly: Assembly { output_schema, columns, store_url: url, base: self.scan.base.clone() },
            memory: self.scan.memory.clone(),
            mode: self.scan.mode,
            multi_line: self.scan.multi_line,
            batch_rows_max: self.batch_rows_max.max(1),
            rejects: self.scan.rejects.clone(),
            counts: Counts {
                read: count(RECORDS_READ),
                rejected: count(RECORDS_REJECTED),
                dropped: count(RECORDS_DROPPED),
            },
        };
        let options = self.decoder_options(&decoded_schema);
        Ok(Arc::new(BundleOpener { reading: Arc::new(reading), decoded_schema, options }))
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, batch_rows_max: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_rows_max, ..self.clone() })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let projection = self.projection.try_merge(projection)?;
        if projection.iter().any(|expression| column_index(&expression.expr).is_none()) {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self { projection, ..self.clone() })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        "json"
    }

    fn fmt_extra(&self, kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let (objects, bytes) = (self.scan.objects, self.scan.total_bytes);
        match kind {
            DisplayFormatType::TreeRender => writeln!(f, "objects={objects}\nbytes={bytes}"),
            _ => write!(f, ", objects={objects}, bytes={bytes}"),
        }
    }

    /// The bundles are already cut, by rules that a cut by bytes alone would break.
    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        datafusion::physical_plan::apply_expression_roots(self.projection.iter(), f)
    }
}

struct BundleOpener {
    reading: Arc<Reading>,
    decoded_schema: SchemaRef,
    options: DecoderOptions,
}

impl FileOpener for BundleOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let Some(bundle) = file.extension::<Bundle>() else {
            return Err(DataFusionError::Internal("a JSON scan was given a file that is not a bundle".to_owned()));
        };
        let decoder = Decoder::new(self.decoded_schema.clone(), self.options.clone()).map_err(external)?;
        let reader = BundleReader::new(self.reading.clone(), decoder, bundle);
        let batches = stream::try_unfold(reader, |mut reader| async move {
            let batch = reader.next_batch().await.map_err(external)?;
            Ok(batch.map(|batch| (batch, reader)))
        });
        Ok(async move { Ok(batches.boxed()) }.boxed())
    }
}
