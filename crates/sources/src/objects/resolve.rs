//! From the options of a call and its objects to a table: the format, the columns, and how each object is read.
//!
//! Nothing of the data is read here, except what the inference of a schema needs (`sample`, `csv`, `parquet`).

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::physical_plan::metrics::Count;
use object_store::ObjectMeta;

use super::bundle::DataObject;
use super::columns::{ColumnSource, METADATA, metadata_type, partition_folders};
use super::listing::{Listing, unreadable_notice};
use super::location::Location;
use super::options::{Format, Mode, Options};
use super::read_ahead::Storage;
use super::record_scan::{RecordFormat, RecordScan};
use super::table::{FilesTable, Reader};
use super::{ReadFiles, SourceEnvironment, csv, listing, parquet, sample};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::STRING;

/// The store of a location. It must be known to the session already.
pub(super) fn open_storage(location: &Location, environment: &SourceEnvironment) -> Result<Storage> {
    let store = environment.state.runtime_env().object_store(&location.store_url).map_err(|error| {
        Error::new(ErrorCode::InvalidLocation, format!("no storage is set up for {}", location.store_url.as_str()))
            .with_hint("a path is s3://bucket/…, file:///… or a path of this machine")
            .caused_by(error)
    })?;
    Ok(Storage { store, url: location.store_url.clone(), limits: environment.limits, bytes_scanned: Count::new() })
}

/// The table of `listing`: finds the format and the columns. Fails if the options do not fit the format.
pub(super) async fn table_of(
    call: ReadFiles,
    options: Options,
    location: Location,
    storage: Storage,
    listing: Listing,
    environment: &SourceEnvironment,
) -> Result<Arc<dyn TableProvider>> {
    let format = match options.format {
        Some(format) => format,
        None => format_of(&listing.objects)?,
    };
    check_options(&options, format)?;
    let objects = with_compression(listing.objects, format)?;
    let mut notices: Vec<String> =
        (!listing.unreadable.is_empty()).then(|| unreadable_notice(&listing.unreadable)).into_iter().collect();

    let parquet = Arc::new(parquet::format(environment.state.as_ref()));
    let state = environment.state.as_ref();
    let folders = partition_keys(&objects, &location, &options);
    let inferred = match (format, &options.schema) {
        // Reading the footers now gives an error with the name of a file that is not Parquet. They are kept for the scan.
        (Format::Parquet, given) => {
            let footers = parquet::footers(state, &parquet, &objects, &storage).await?;
            if given.is_some() { None } else { Some(parquet::merge(footers)?) }
        }
        (_, Some(_)) => None,
        (Format::Json, None) => Some(sample::infer_schema(&objects, &storage, &options).await?),
        (Format::Csv, None) => None,
    };
    let (inferred, csv) = match format {
        Format::Csv => {
            let declared = options.schema.as_ref().map(|schema| csv_names(schema, &folders, &options));
            let found = csv::find(&objects, &storage, &options, declared.as_deref()).await?;
            notices.extend(found.notices);
            (found.inferred, Some(found.format))
        }
        Format::Json | Format::Parquet => (inferred, None),
    };
    let (schema, columns) = table_columns(inferred, folders, &options, call.with_metadata)?;
    let json = RecordFormat::Json { multi_line: options.multi_line == Some(true), grammar: options.grammar };
    let reader = match format {
        Format::Parquet => Reader::Parquet { format: parquet, notices },
        Format::Json | Format::Csv => {
            if csv.is_some() {
                csv::check_types(&schema, &columns)?;
            }
            let records = csv.unwrap_or(json);
            let scan = record_scan(&call, records, notices, &options, &columns, &location, &objects, environment);
            Reader::Records(Arc::new(scan))
        }
    };
    Ok(Arc::new(FilesTable {
        schema: Arc::new(schema),
        columns,
        store_url: location.store_url,
        base: location.base,
        objects,
        packing: environment.packing.clone(),
        reader,
        storage,
    }))
}

/// The declared columns that the fields of CSV records fill.
fn csv_names(schema: &Schema, folders: &[(String, DataType)], options: &Options) -> Vec<String> {
    let is_folder = |name: &str| folders.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    let is_hidden =
        |name: &str| options.rescued_column.as_deref() == Some(name) || name == options.corrupt_record_column;
    let names = schema.fields().iter().map(|field| field.name().as_str());
    names.filter(|name| !is_folder(name) && !is_hidden(name)).map(str::to_owned).collect()
}

/// The format that the extensions of the names give. All objects must have the same one.
fn format_of(objects: &[ObjectMeta]) -> Result<Format> {
    let mut found: Option<(Format, &str)> = None;
    for object in objects {
        let name = object.location.filename().unwrap_or_default();
        let (plain, _) = listing::split_compression(name)?;
        let format = plain.rsplit_once('.').and_then(|(_, extension)| Format::from_name(extension));
        let Some(format) = format else {
            return Err(Error::new(ErrorCode::UnknownFileFormat, format!("the name {name} does not show its format"))
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

/// Refuses options that have no meaning for the format: to ignore them could change the result without notice.
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
        Format::Csv | Format::Parquet if options.grammar_option.is_some() => {
            refuse(options.grammar_option.unwrap_or_default())
        }
        Format::Csv => Ok(()),
        _ if !matches!(options.mode, Mode::Reject | Mode::FailFast) => {
            refuse("mode => 'PERMISSIVE' or 'DROPMALFORMED'")
        }
        _ if options.timestamp_format.is_some() => refuse("timestampFormat"),
        _ if options.date_format.is_some() => refuse("dateFormat"),
        Format::Parquet if options.multi_line.is_some() => refuse("multiLine"),
        Format::Parquet if options.rescued_column.is_some() => refuse("rescuedDataColumn"),
        Format::Parquet => Ok(()),
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

/// The columns of the `key=value` folders in the paths: names, with the type that fits all values.
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

/// The first type that all values can be read as, in Spark's order: INT, BIGINT, DOUBLE, DATE, STRING.
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

/// The columns of the table: first those of the records, then those of the folders, then `_metadata`. A folder replaces a field
/// of the records that has the same name. With a given schema, only the folders that it names become columns. With an inferred
/// schema, all do.
pub(super) fn table_columns(
    inferred: Option<Schema>,
    folders: Vec<(String, DataType)>,
    options: &Options,
    with_metadata: bool,
) -> Result<(Schema, Vec<ColumnSource>)> {
    // Always nullable, also where the schema says NOT NULL: files do not guarantee it. Spark does the same.
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
    if let Some(rescued) = &options.rescued_column
        && !fields.iter().any(|field| field.name() == rescued)
    {
        fields.push(Arc::new(Field::new(rescued, STRING, true)));
        columns.push(ColumnSource::Record);
    }
    check_corrupt_column(&fields, options)?;
    if with_metadata && !fields.iter().any(|field| field.name().eq_ignore_ascii_case(METADATA)) {
        fields.push(Arc::new(Field::new(METADATA, metadata_type(), true)));
        columns.push(ColumnSource::Metadata);
    }
    Ok((Schema::new(fields), columns))
}

fn check_corrupt_column(fields: &[FieldRef], options: &Options) -> Result<()> {
    let column = fields.iter().find(|field| *field.name() == options.corrupt_record_column);
    match column {
        Some(field) if options.mode == Mode::Permissive && *field.data_type() != STRING => Err(Error::new(
            ErrorCode::DatatypeMismatch,
            format!("the column `{}` receives the text of corrupt records, so it must be STRING", field.name()),
        )),
        _ => Ok(()),
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one description")]
fn record_scan(
    call: &ReadFiles,
    format: RecordFormat,
    notices: Vec<String>,
    options: &Options,
    columns: &[ColumnSource],
    location: &Location,
    objects: &[Arc<DataObject>],
    environment: &SourceEnvironment,
) -> RecordScan {
    RecordScan {
        path: call.path.clone(),
        format,
        columns: columns.to_vec(),
        mode: options.mode,
        corrupt_record_column: options.corrupt_record_column.clone(),
        rescued_column: options.rescued_column.clone(),
        timestamp_format: options.timestamp_format.clone(),
        date_format: options.date_format.clone(),
        is_inferred: !call.declares_schema(),
        notices,
        base: location.base.clone(),
        limits: environment.limits,
        memory: environment.state.runtime_env().memory_pool.clone(),
        rejects: environment.rejects.clone(),
        objects: objects.len(),
        total_bytes: objects.iter().map(|object| object.meta.size).sum(),
    }
}
