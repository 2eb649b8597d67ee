//! Reads CSV with DataFusion's reader, and adds what it lacks: a compression for each file, and errors that name the file.
//!
//! As in DataFusion: quoting follows RFC 4180 (a quote within quotes is doubled; `escape` gives another character), and columns
//! are matched by position. A value that does not fit its type is an error of the statement.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::CsvOptions as DataFusionCsvOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    CsvSource, FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::functions::core::expr_fn::nullif;
use datafusion::logical_expr::{LogicalPlanBuilder, cast, ident, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::scalar::ScalarValue;
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;
use object_store::path::Path;

use super::bundle::DataObject;
use super::columns::ColumnSource;
use super::location::Location;
use super::options::CsvOptions;
use super::read_ahead::Storage;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::{STRING, normalize_type, timestamp, type_name};

/// Inference reads this many files, the first ones with data.
const SAMPLE_FILES_MAX: usize = 16;
const SAMPLE_RECORDS_MAX: usize = 1_000;

fn datafusion_options(options: &CsvOptions, multi_line: bool) -> DataFusionCsvOptions {
    DataFusionCsvOptions {
        has_header: Some(options.header),
        delimiter: options.delimiter,
        quote: options.quote,
        escape: options.escape,
        comment: options.comment,
        newlines_in_values: Some(multi_line),
        null_regex: options.null_value.as_deref().map(|value| format!("^({})?$", escape_regex(value))),
        schema_infer_max_rec: Some(SAMPLE_RECORDS_MAX),
        ..Default::default()
    }
}

pub(super) fn csv_source(
    options: &CsvOptions,
    multi_line: bool,
    compressed: bool,
    schema: TableSchema,
) -> Arc<dyn FileSource> {
    let inner = CsvSource::new(schema).with_csv_options(datafusion_options(options, multi_line));
    Arc::new(NamingSource { inner: Arc::new(inner), splittable: !compressed && !multi_line })
}

/// DataFusion expects a regular expression; the value of the option is literal text.
fn escape_regex(text: &str) -> String {
    let escape = |character: char| match character.is_ascii_punctuation() {
        true => format!("\\{character}"),
        false => character.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Implements `nullValue`, which DataFusion's reader does not have. `texts` has the columns of the records as STRING. The result
/// is a view over it in which `null_value` is NULL and the columns have the types of `schema`.
pub(super) fn with_null_value(
    texts: Arc<dyn TableProvider>,
    schema: &Schema,
    columns: &[ColumnSource],
    null_value: &str,
) -> pinsql_base::error::Result<Arc<dyn TableProvider>> {
    let typed = schema.fields().iter().zip(columns).map(|(field, source)| match source {
        ColumnSource::Record => {
            let known = nullif(ident(text_name(field)), lit(ScalarValue::Utf8View(Some(null_value.to_owned()))));
            cast(known, field.data_type().clone()).alias(field.name())
        }
        _ => ident(field.name()),
    });
    let plan = LogicalPlanBuilder::scan("files", provider_as_source(texts), None)
        .and_then(|scan| scan.project(typed))
        .and_then(LogicalPlanBuilder::build);
    let plan = plan.map_err(|error| Error::internal("the option nullValue cannot be planned").caused_by(error))?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// A name that differs from the name of the final column. With equal names, DataFusion's optimizer confuses the two when it takes
/// the fields of `_metadata` apart.
fn text_name(field: &Field) -> String {
    format!("{} (text)", field.name())
}

/// The same columns, with the columns of the records as STRING.
pub(super) fn as_texts(schema: &Schema, columns: &[ColumnSource]) -> Schema {
    let fields = schema.fields().iter().zip(columns).map(|(field, source)| match source {
        ColumnSource::Record => Arc::new(field.as_ref().clone().with_data_type(STRING).with_name(text_name(field))),
        _ => field.clone(),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// Returns an error for a column with a type that CSV cannot contain.
pub(super) fn check_types(schema: &Schema, columns: &[ColumnSource]) -> pinsql_base::error::Result<()> {
    let of_records = schema.fields().iter().zip(columns).filter(|(_, source)| **source == ColumnSource::Record);
    let mut fields = of_records.map(|(field, _)| field);
    let nested = fields.find(|field| field.data_type().is_nested() || *field.data_type() == DataType::Binary);
    match nested {
        Some(field) => Err(Error::new(
            ErrorCode::UnsupportedDatatype,
            format!("the column `{}` is {}, which CSV cannot contain", field.name(), type_name(field.data_type())),
        )
        .with_hint("read it as STRING")),
        None => Ok(()),
    }
}

/// Infers the schema from the first files, by position. The names are those of the first file, or `_c0`, `_c1`, … without a
/// header.
pub(super) async fn infer_schema(
    state: &dyn Session,
    objects: &[Arc<DataObject>],
    storage: &Storage,
    options: &CsvOptions,
    multi_line: bool,
) -> pinsql_base::error::Result<Schema> {
    let mut inferred: Option<Vec<Field>> = None;
    for object in objects.iter().filter(|object| object.meta.size > 0).take(SAMPLE_FILES_MAX) {
        let format = CsvFormat::default()
            .with_options(datafusion_options(options, multi_line))
            .with_file_compression_type(object.compression);
        let schema = format.infer_schema(state, &storage.store, std::slice::from_ref(&object.meta)).await;
        let name = Location::display(&storage.url, &object.meta.location);
        let schema = schema.map_err(|error| {
            Error::new(ErrorCode::InvalidFile, format!("{name} cannot be read as CSV")).caused_by(error)
        })?;
        let fields = schema.fields().iter().enumerate().map(|(index, field)| {
            let name = if options.header { field.name().clone() } else { format!("_c{index}") };
            Field::new(name, field.data_type().clone(), true)
        });
        inferred = match inferred {
            None => Some(fields.collect()),
            Some(known) => Some(known.into_iter().zip(fields).map(|(known, next)| merge(known, &next)).collect()),
        };
    }
    let fields = inferred.filter(|fields| !fields.is_empty());
    let fields = fields.ok_or_else(|| {
        Error::new(ErrorCode::UnableToInferSchema, "no schema can be inferred: no file has a line")
            .with_hint("give one: schema => 'name TYPE, …'")
    })?;
    Ok(Schema::new(fields.into_iter().map(final_type).collect::<Vec<_>>()))
}

fn merge(known: Field, next: &Field) -> Field {
    let merged = match (known.data_type(), next.data_type()) {
        (known, next) if known == next => known.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        (DataType::Timestamp(_, _), DataType::Timestamp(_, _)) => timestamp(),
        _ => STRING,
    };
    known.with_data_type(merged)
}

fn final_type(field: Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Null => STRING,
        // CSV has no types. A value that looks like a timestamp becomes a TIMESTAMP, as in Spark.
        DataType::Timestamp(_, _) => timestamp(),
        other => normalize_type(other),
    };
    field.with_data_type(data_type)
}

/// DataFusion's source, with the compression of each file, and with errors that name the file.
struct NamingSource {
    inner: Arc<dyn FileSource>,
    splittable: bool,
}

impl FileSource for NamingSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let mut openers = Vec::new();
        for file in config.file_groups.iter().flat_map(|group| group.iter()) {
            let compression = compression_of(file);
            if !openers.iter().any(|(known, _)| *known == compression) {
                let config =
                    FileScanConfigBuilder::from(config.clone()).with_file_compression_type(compression).build();
                openers.push((compression, self.inner.create_file_opener(store.clone(), &config, partition)?));
            }
        }
        Ok(Arc::new(NamingOpener { openers, url: config.object_store_url.clone() }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.inner.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { inner: self.inner.with_batch_size(batch_size), splittable: self.splittable })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.inner.projection()
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let inner = self.inner.try_pushdown_projection(projection)?;
        Ok(inner.map(|inner| Arc::new(Self { inner, splittable: self.splittable }) as Arc<dyn FileSource>))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn file_type(&self) -> &str {
        self.inner.file_type()
    }

    fn fmt_extra(&self, kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.inner.fmt_extra(kind, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.splittable
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }
}

fn compression_of(file: &PartitionedFile) -> FileCompressionType {
    file.extension::<FileCompressionType>().copied().unwrap_or(FileCompressionType::UNCOMPRESSED)
}

struct NamingOpener {
    openers: Vec<(FileCompressionType, Arc<dyn FileOpener>)>,
    url: datafusion::execution::object_store::ObjectStoreUrl,
}

impl FileOpener for NamingOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let compression = compression_of(&file);
        let opener = self.openers.iter().find(|(known, _)| *known == compression);
        let (_, opener) = opener.ok_or_else(|| DataFusionError::Internal("a CSV file without an opener".to_owned()))?;
        let named = Location::display(&self.url, file.path());
        let location: Path = file.path().clone();
        let opening = opener.open(file)?;
        Ok(async move {
            let batches = opening.await.map_err(|error| explain(&named, &location, error))?;
            Ok(batches.map(move |batch| batch.map_err(|error| explain(&named, &location, error))).boxed())
        }
        .boxed())
    }
}

fn explain(named: &str, location: &Path, error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::ObjectStore(error) => {
            external(pinsql_base::storage_error::storage_error(&format!("read {named}"), *error))
        }
        error if error.to_string().contains(location.as_ref()) => error,
        error => {
            external(Error::new(ErrorCode::InvalidFile, format!("{named} cannot be read as CSV")).caused_by(error))
        }
    }
}
