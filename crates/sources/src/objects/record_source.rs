//! The scan of JSON or CSV for DataFusion: a `FileSource` whose files are bundles.
//!
//! It takes over projections of plain columns, so that the decoder skips all other fields. Expressions stay in the plan above: in
//! the scan, their failures could not be distinguished from failures of the reader.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
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
use super::decoders::{CsvColumns, RecordDecoder};
use super::options::Mode;
use super::read_ahead::Storage;
use super::record_scan::{RecordFormat, RecordScan};
use pinsql_base::engine_error::external;
use pinsql_base::rejects::{NOTICE, RECORDS_DROPPED, RECORDS_READ, RECORDS_REJECTED};
use pinsql_json::{CsvDecoder, CsvDecoderOptions, Decoder, DecoderOptions, Permissive};

#[derive(Clone)]
pub(super) struct RecordSource {
    scan: Arc<RecordScan>,
    table_schema: TableSchema,
    /// Has only plain columns.
    projection: ProjectionExprs,
    batch_rows_max: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl RecordSource {
    pub(super) fn new(scan: Arc<RecordScan>, schema: SchemaRef) -> Self {
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

    fn decoder(&self, decoded: &SchemaRef, columns: &CsvColumns) -> Result<RecordDecoder> {
        let scan = &self.scan;
        let is_permissive = scan.mode == Mode::Permissive;
        let corrupt_record_column = decoded.index_of(&scan.corrupt_record_column).ok().filter(|_| is_permissive);
        let rescued_column = scan.rescued_column.as_ref().and_then(|name| decoded.index_of(name).ok());
        let decoder = match &scan.format {
            RecordFormat::Json { grammar, .. } => {
                let not_read = columns.columns.iter().filter(|(_, index)| index.is_none());
                let options = DecoderOptions {
                    permissive: is_permissive.then_some(Permissive { corrupt_record_column }),
                    timestamp_format: scan.timestamp_format.clone(),
                    date_format: scan.date_format.clone(),
                    grammar: *grammar,
                    ignore_case: true,
                    not_read: not_read.map(|(name, _)| name).chain(&columns.of_folders).cloned().collect(),
                    rescued_column,
                };
                Decoder::new(decoded.clone(), options).map(|decoder| RecordDecoder::Json(Box::new(decoder)))
            }
            RecordFormat::Csv { dialect, null_value, .. } => {
                let options = CsvDecoderOptions {
                    dialect: *dialect,
                    is_permissive,
                    corrupt_record_column,
                    rescued_column,
                    null_value: null_value.to_string(),
                    timestamp_format: scan.timestamp_format.clone(),
                    date_format: scan.date_format.clone(),
                };
                CsvDecoder::new(decoded.clone(), options).map(|decoder| RecordDecoder::Csv(Box::new(decoder)))
            }
        };
        decoder.map_err(external)
    }

    /// The columns of the table that records fill. `decoded` has the indexes of those that are read.
    fn filled_columns(&self, decoded: &[usize]) -> CsvColumns {
        let table = self.table_schema.table_schema();
        let columns = table.fields().iter().zip(&self.scan.columns).enumerate();
        let filled = columns
            .filter(|(_, (field, source))| **source == ColumnSource::Record && !self.scan.is_hidden(field.name()));
        let index = |column: usize| decoded.iter().position(|index| *index == column);
        let columns = filled.map(|(column, (field, _))| (field.name().clone(), index(column))).collect();
        let of_folders = table.fields().iter().zip(&self.scan.columns);
        let of_folders = of_folders.filter(|(_, source)| matches!(source, ColumnSource::Partition { .. }));
        let of_folders = of_folders.map(|(field, _)| field.name().clone()).collect();
        CsvColumns { columns, of_folders, is_declared: !self.scan.is_inferred }
    }

    /// The columns of the table to decode, the schema of the output, and the source of each output column.
    fn output(&self) -> Result<(Vec<usize>, SchemaRef, Vec<OutputColumn>)> {
        let table = self.table_schema.table_schema();
        let mut decoded: Vec<usize> = Vec::new();
        // Whether a value is rescued must not depend on the columns that are read.
        decoded.extend(self.scan.rescued_column.as_ref().and_then(|name| table.index_of(name).ok()));
        let mut output = Vec::new();
        for expression in self.projection.iter() {
            let index = column_index(&expression.expr).ok_or_else(|| {
                DataFusionError::Internal("a scan of records was given an expression to evaluate".to_owned())
            })?;
            output.push(match &self.scan.columns[index] {
                ColumnSource::Record => OutputColumn::Record(position_or_push(&mut decoded, index)),
                ColumnSource::Place(column) if column.is_of_record() => OutputColumn::Kept(*column),
                other => OutputColumn::Object(other.clone()),
            });
        }
        let output_schema = Arc::new(self.projection.project_schema(table)?);
        Ok((decoded, output_schema, output))
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

impl fmt::Debug for RecordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordSource").field("scan", &self.scan).finish_non_exhaustive()
    }
}

impl FileSource for RecordSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let (decoded, output_schema, columns) = self.output()?;
        let decoded_schema = Arc::new(self.table_schema.table_schema().project(&decoded)?);
        let csv_columns = self.filled_columns(&decoded);
        // A query that does not read all columns does not miss a field.
        let reports_unread = self.scan.is_inferred
            && self.scan.rescued_column.is_none()
            && csv_columns.columns.iter().all(|(_, index)| index.is_some());
        if partition == 0 {
            let notices = self.scan.notices.iter().map(|notice| format!("{NOTICE}{notice}"));
            notices.for_each(|notice| MetricBuilder::new(&self.metrics).counter(notice, partition).add(1));
        }
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
            format: self.scan.format.clone(),
            csv_columns: csv_columns.clone(),
            reports_unread,
            batch_rows_max: self.batch_rows_max.max(1),
            rejects: self.scan.rejects.clone(),
            counts: Counts {
                read: count(RECORDS_READ),
                rejected: count(RECORDS_REJECTED),
                dropped: count(RECORDS_DROPPED),
                metrics: self.metrics.clone(),
                partition,
            },
        };
        // A wrong option is an error before the first file.
        self.decoder(&decoded_schema, &csv_columns)?;
        let opener = BundleOpener { source: self.clone(), reading: Arc::new(reading), decoded_schema, csv_columns };
        Ok(Arc::new(opener))
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
        self.scan.format.name()
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
    source: RecordSource,
    reading: Arc<Reading>,
    decoded_schema: SchemaRef,
    csv_columns: CsvColumns,
}

impl FileOpener for BundleOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let Some(bundle) = file.extension::<Bundle>() else {
            return Err(DataFusionError::Internal(
                "a scan of records was given a file that is not a bundle".to_owned(),
            ));
        };
        let decoder = self.source.decoder(&self.decoded_schema, &self.csv_columns)?;
        let reader = BundleReader::new(self.reading.clone(), decoder, bundle);
        let batches = stream::try_unfold(reader, |mut reader| async move {
            let batch = reader.next_batch().await.map_err(external)?;
            Ok(batch.map(|batch| (batch, reader)))
        });
        Ok(async move { Ok(batches.boxed()) }.boxed())
    }
}
