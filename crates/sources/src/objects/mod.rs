//! `read_files`: objects in S3 and files in folders, as a table.
//!
//! The path of the data: `location` takes the path apart, `listing` finds the objects, `sample` infers a schema where none is
//! given, `bundle` shares the objects out over partitions, `table` plans the scan. When it runs, `json_source` opens
//! bundles; `read_ahead` fetches bytes, `piece_reader` cuts and unpacks them, `bundle_reader` turns records into batches
//! through `json`, and sends what cannot be read to the rejects. CSV and Parquet go through DataFusion's own readers.
//!
//! Deliberately absent: DataFusion's `ListingTable` (its cache of listings never expires, and its JSON reader gives up at
//! the first bad record), and any writing.

mod bundle;
mod bundle_reader;
mod columns;
mod csv;
mod decompress;
mod given;
mod json_source;
mod limits;
mod listed;
mod listing;
mod location;
mod options;
mod parquet;
mod piece_reader;
mod places;
mod read_ahead;
mod sample;
mod stream;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::execution::SessionState;
use datafusion::physical_plan::metrics::Count;
use datafusion::scalar::ScalarValue;
use object_store::ObjectMeta;

use bundle::{DataObject, Packing};
pub use columns::METADATA as METADATA_COLUMN;
use columns::{ColumnSource, metadata_type, partition_folders};
use json_source::{JsonScan, JsonSource};
use limits::Limits;
pub use listed::{FileChoice, ListedFile, list_files, read_listed};
use location::Location;
pub use options::option_names;
use options::{Format, Mode, Options};
pub use places::{KeepingPlaces, keeping_places, path_of, with_rejects};
use read_ahead::Storage;
pub use stream::FilesStream;
use table::{FilesTable, Reader};

use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::rejects::Rejects;
use pinsql_base::schema::STRING;

/// One call of `read_files`, its arguments evaluated.
#[derive(Debug, Clone)]
pub struct ReadFiles {
    /// A URL or a path: an object, a folder, or a pattern.
    pub path: String,
    /// By name as written.
    pub options: BTreeMap<String, ScalarValue>,
    /// Whether the SQL names `_metadata`; the column is last in the table's schema, and absent otherwise.
    pub with_metadata: bool,
}

impl ReadFiles {
    /// Whether the columns are known without looking at any file.
    pub fn declares_schema(&self) -> bool {
        self.options.keys().any(|name| name.eq_ignore_ascii_case("schema"))
    }

    /// A table with the declared columns and no rows: what a check takes for the files.
    pub fn declared_table(&self) -> Result<Arc<dyn TableProvider>> {
        let options = Options::parse(&self.options)?;
        let (schema, _) = table_columns(None, Vec::new(), &options, self.with_metadata)?;
        Ok(Arc::new(EmptyTable::new(Arc::new(schema))))
    }
}

/// The path that the SQL gave for a scan of ours.
pub fn source_path(config: &FileScanConfig) -> Option<String> {
    config.file_source.downcast_ref::<JsonSource>().map(|source| source.path().to_owned())
}

/// What a source needs of the session and the statement that it runs in.
#[derive(Clone)]
pub struct SourceEnvironment {
    /// Gives the object store of a URL, and the settings that DataFusion's readers follow.
    pub state: SessionState,
    /// Where records go that cannot be read.
    pub rejects: Rejects,
    packing: Packing,
    limits: Limits,
}

impl std::fmt::Debug for SourceEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceEnvironment").field("rejects", &self.rejects).finish_non_exhaustive()
    }
}

impl SourceEnvironment {
    pub fn new(state: SessionState, rejects: Rejects) -> Self {
        let packing = Packing::new(state.config().target_partitions());
        let limits = Limits::within(state.runtime_env().memory_pool.as_ref(), packing.target_partitions);
        Self { state, rejects, packing, limits }
    }
}

/// Lists the objects and finds their schema; nothing else is read before the table is scanned.
pub async fn read_files(call: ReadFiles, environment: &SourceEnvironment) -> Result<Arc<dyn TableProvider>> {
    let options = Options::parse(&call.options)?;
    let location = Location::parse(&call.path)?;
    let storage = open_storage(&location, environment)?;
    let listed = listing::list(storage.store.as_ref(), &location, &options.selection).await?;
    table_of(call, options, location, storage, listed, environment).await
}

/// The table of objects that are known already, with the columns of `schema`.
pub async fn read_objects(
    mut call: ReadFiles,
    schema: &Schema,
    objects: Vec<ObjectMeta>,
    environment: &SourceEnvironment,
) -> Result<Arc<dyn TableProvider>> {
    stream::StreamOptions::take(&mut call.options)?;
    let mut options = Options::parse(&call.options)?;
    let of_records = schema.fields().iter().filter(|field| !(call.with_metadata && field.name() == METADATA_COLUMN));
    options.schema = Some(Schema::new(of_records.cloned().collect::<Vec<_>>()));
    let location = Location::parse(&call.path)?;
    let storage = open_storage(&location, environment)?;
    table_of(call, options, location, storage, objects, environment).await
}

async fn table_of(
    call: ReadFiles,
    options: Options,
    location: Location,
    storage: Storage,
    listed: Vec<ObjectMeta>,
    environment: &SourceEnvironment,
) -> Result<Arc<dyn TableProvider>> {
    let format = match options.format {
        Some(format) => format,
        None => format_of(&listed)?,
    };
    check_options(&options, format)?;
    let objects = with_compression(listed, format)?;

    let parquet = Arc::new(parquet::format(&environment.state));
    let state = &environment.state;
    let folders = partition_keys(&objects, &location, &options);
    let inferred = match (format, &options.schema) {
        // A file that is no Parquet is named now, while its name is known; the footers are kept for the scan.
        (Format::Parquet, given) => {
            let footers = parquet::footers(state, &parquet, &objects, &storage).await?;
            if given.is_some() { None } else { Some(parquet::merge(footers)?) }
        }
        (_, Some(_)) => None,
        (Format::Json, None) => Some(sample::infer_schema(&objects, &storage, &options).await?),
        (Format::Csv, None) => {
            Some(csv::infer_schema(state, &objects, &storage, &options.csv, options.multi_line).await?)
        }
    };
    let (schema, columns) = table_columns(inferred, folders, &options, call.with_metadata)?;
    let reader = match format {
        Format::Json => {
            Reader::Json(Arc::new(json_scan(call.path, &options, &columns, &location, &objects, environment)))
        }
        Format::Csv => {
            csv::check_types(&schema, &columns)?;
            Reader::Csv { options: options.csv.clone(), multi_line: options.multi_line }
        }
        Format::Parquet => Reader::Parquet(parquet),
    };
    let null_value = options.csv.null_value.as_deref();
    let files = Arc::new(FilesTable {
        schema: Arc::new(if null_value.is_some() { csv::as_texts(&schema, &columns) } else { schema.clone() }),
        columns,
        store_url: location.store_url,
        base: location.base,
        objects,
        packing: environment.packing.clone(),
        reader,
        storage,
    });
    match null_value {
        Some(null_value) => csv::with_null_value(files.clone(), &schema, &files.columns, null_value),
        None => Ok(files),
    }
}

fn open_storage(location: &Location, environment: &SourceEnvironment) -> Result<Storage> {
    let store = environment.state.runtime_env().object_store(&location.store_url).map_err(|error| {
        Error::new(ErrorCode::InvalidLocation, format!("no storage is set up for {}", location.store_url.as_str()))
            .with_hint("a path is s3://bucket/…, file:///… or a path of this machine")
            .caused_by(error)
    })?;
    Ok(Storage { store, url: location.store_url.clone(), limits: environment.limits, bytes_scanned: Count::new() })
}

/// The format that the names tell.
fn format_of(objects: &[ObjectMeta]) -> Result<Format> {
    let mut found: Option<(Format, &str)> = None;
    for object in objects {
        let name = object.location.filename().unwrap_or_default();
        let (plain, _) = listing::split_compression(name)?;
        let format = plain.rsplit_once('.').and_then(|(_, extension)| Format::from_name(extension));
        let Some(format) = format else {
            return Err(Error::new(ErrorCode::UnknownFileFormat, format!("the name {name} does not tell its format"))
                .with_hint("add format => 'json'"));
        };
        match found {
            None => found = Some((format, name)),
            Some((known, _)) if known == format => {}
            Some((known, first)) => {
                return Err(Error::new(
                    ErrorCode::UnknownFileFormat,
                    format!(
                        "the files are of several formats: {first} is {}, {name} is {}",
                        known.name(),
                        format.name()
                    ),
                )
                .with_hint("choose with format => '…' and pathGlobFilter => '*.…'"));
            }
        }
    }
    found.map(|(format, _)| format).ok_or_else(|| Error::internal("a listing without objects has no format"))
}

/// Options that mean nothing to the format would be ignored; they are refused instead.
fn check_options(options: &Options, format: Format) -> Result<()> {
    let refuse = |name: &str| {
        let error = Error::new(
            ErrorCode::UnsupportedFeature,
            format!("the option {name} is not implemented for {}", format.name()),
        );
        Err(error.with_hint("leave it out, and convert in SQL where you need to"))
    };
    match format {
        Format::Json | Format::Parquet if options.csv.null_value.is_some() => refuse("nullValue"),
        Format::Json => Ok(()),
        _ if !matches!(options.mode, Mode::Reject | Mode::FailFast) => {
            refuse("mode => 'PERMISSIVE' or 'DROPMALFORMED'")
        }
        _ if options.timestamp_format.is_some() => refuse("timestampFormat"),
        _ if options.date_format.is_some() => refuse("dateFormat"),
        Format::Parquet if options.multi_line => refuse("multiLine"),
        _ => Ok(()),
    }
}

fn with_compression(listed: Vec<ObjectMeta>, format: Format) -> Result<Vec<Arc<DataObject>>> {
    let with = |meta: ObjectMeta| {
        let compression = match format {
            Format::Parquet => FileCompressionType::UNCOMPRESSED,
            _ => listing::split_compression(meta.location.filename().unwrap_or_default())?.1,
        };
        Ok(Arc::new(DataObject { meta, compression }))
    };
    listed.into_iter().map(with).collect()
}

/// The `key=value` folders of the objects, as columns: by name, with the type that all their values have.
fn partition_keys(objects: &[Arc<DataObject>], location: &Location, options: &Options) -> Vec<(String, DataType)> {
    let mut keys: Vec<(String, BTreeSet<Option<String>>)> = Vec::new();
    for object in objects {
        for (key, value) in partition_folders(&location.base, &object.meta.location) {
            let wanted = |names: &Vec<String>| names.iter().any(|name| name.eq_ignore_ascii_case(&key));
            if !options.partition_columns.as_ref().is_none_or(wanted) {
                continue;
            }
            match keys.iter_mut().find(|(known, _)| *known == key) {
                Some((_, values)) => drop(values.insert(value)),
                None => keys.push((key, [value].into())),
            }
        }
    }
    keys.into_iter().map(|(key, values)| (key, partition_type(&values))).collect()
}

/// Spark's order: the first type that every value reads as.
fn partition_type(values: &BTreeSet<Option<String>>) -> DataType {
    let mut known = values.iter().flatten().peekable();
    if known.peek().is_none() {
        return STRING;
    }
    let values: Vec<&String> = known.collect();
    let all = |reads: fn(&str) -> bool| values.iter().all(|value| reads(value));
    if all(|value| value.parse::<i32>().is_ok()) {
        DataType::Int32
    } else if all(|value| value.parse::<i64>().is_ok()) {
        DataType::Int64
    } else if all(|value| {
        value.starts_with(|first: char| first.is_ascii_digit() || first == '-') && value.parse::<f64>().is_ok()
    }) {
        DataType::Float64
    } else if all(|value| value.len() == 10 && Date32Type::parse(value).is_some()) {
        DataType::Date32
    } else {
        STRING
    }
}

/// The table's columns: those of the records; those of the folders, which win over a record's field of the same name; and
/// `_metadata`. A given schema decides which there are; an inferred one takes all.
fn table_columns(
    inferred: Option<Schema>,
    folders: Vec<(String, DataType)>,
    options: &Options,
    with_metadata: bool,
) -> Result<(Schema, Vec<ColumnSource>)> {
    // Files promise nothing about NULL, whatever the schema says; Spark reads every column as nullable too.
    let records = inferred.as_ref().or(options.schema.as_ref()).map(Schema::fields);
    let mut fields: Vec<FieldRef> =
        records.into_iter().flatten().map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect();
    let mut columns = vec![ColumnSource::Record; fields.len()];
    for (key, data_type) in folders {
        let source = ColumnSource::Partition { key: key.clone() };
        match fields.iter().position(|field| field.name().eq_ignore_ascii_case(&key)) {
            Some(index) => columns[index] = source,
            None if inferred.is_some() => {
                fields.push(Arc::new(Field::new(key, data_type, true)));
                columns.push(source);
            }
            None => {}
        }
    }
    for hint in &options.schema_hints {
        let hint = Arc::new(hint.as_ref().clone().with_nullable(true));
        match fields.iter().position(|field| field.name().eq_ignore_ascii_case(hint.name())) {
            Some(index) => fields[index] = Arc::new(hint.as_ref().clone().with_name(fields[index].name())),
            None => {
                fields.push(hint);
                columns.push(ColumnSource::Record);
            }
        }
    }
    check_corrupt_column(&fields, options)?;
    if with_metadata && !fields.iter().any(|field| field.name().eq_ignore_ascii_case(METADATA_COLUMN)) {
        fields.push(Arc::new(Field::new(METADATA_COLUMN, metadata_type(), true)));
        columns.push(ColumnSource::Metadata);
    }
    Ok((Schema::new(fields), columns))
}

fn check_corrupt_column(fields: &[FieldRef], options: &Options) -> Result<()> {
    let column = fields.iter().find(|field| *field.name() == options.corrupt_record_column);
    match column {
        Some(field) if options.mode == Mode::Permissive && *field.data_type() != STRING => Err(Error::new(
            ErrorCode::DatatypeMismatch,
            format!("the column `{}` takes the text of corrupt records, so it must be STRING", field.name()),
        )),
        _ => Ok(()),
    }
}

fn json_scan(
    path: String,
    options: &Options,
    columns: &[ColumnSource],
    location: &Location,
    objects: &[Arc<DataObject>],
    environment: &SourceEnvironment,
) -> JsonScan {
    JsonScan {
        path,
        columns: columns.to_vec(),
        mode: options.mode,
        multi_line: options.multi_line,
        corrupt_record_column: options.corrupt_record_column.clone(),
        timestamp_format: options.timestamp_format.clone(),
        date_format: options.date_format.clone(),
        base: location.base.clone(),
        limits: environment.limits,
        memory: environment.state.runtime_env().memory_pool.clone(),
        rejects: environment.rejects.clone(),
        objects: objects.len(),
        total_bytes: objects.iter().map(|object| object.meta.size).sum(),
    }
}
