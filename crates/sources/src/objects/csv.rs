//! What a scan of CSV needs before it reads: the delimiter, the header, and the columns.
//!
//! A sample of the files shows what the options do not say. The sample is that of JSON (`sample`).

use std::sync::Arc;

use arrow::datatypes::Schema;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::bundle::DataObject;
use super::columns::ColumnSource;
use super::location::Location;
use super::options::Options;
use super::read_ahead::Storage;
use super::record_scan::RecordFormat;
use super::sample::{SampleSize, plain_start};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::{STRING, type_name};
use pinsql_json::{
    CsvDialect, CsvFields, CsvInferOptions, CsvInferred, CsvSplitter, HeaderGuess, column_names, guess_delimiter,
    guess_header,
};

/// The delimiter and the header are guessed from this many records of the first file with data.
const GUESS_RECORDS_MAX: usize = 100;
const GUESS_BYTES: u64 = 64 << 10;

/// How the files are read, and their columns if they were inferred.
pub(super) struct Found {
    pub format: RecordFormat,
    pub inferred: Option<Schema>,
    pub notices: Vec<String>,
}

/// `declared` has the names of the columns, without those of folders, if the SQL declares them.
pub(super) async fn find(
    objects: &[Arc<DataObject>],
    storage: &Storage,
    options: &Options,
    declared: Option<&[String]>,
) -> Result<Found> {
    let csv = &options.csv;
    let dialect = CsvDialect {
        delimiter: csv.delimiter.unwrap_or(b','),
        quote: csv.quote,
        escape: csv.escape,
        comment: csv.comment,
        one_line: options.multi_line == Some(false),
    };
    let with_data: Vec<&Arc<DataObject>> = objects.iter().filter(|object| object.meta.size > 0).collect();
    if let Some(columns) = declared {
        let mut format = format_of(dialect, csv.header.unwrap_or_default(), options);
        if (csv.header.is_none() || csv.delimiter.is_none())
            && let Some(first) = with_data.first()
        {
            let (start, is_whole) = plain_start(first, storage, GUESS_BYTES).await?.text();
            format = guess(start, is_whole, dialect, options, columns).0;
        }
        return Ok(Found { format, inferred: None, notices: vec![] });
    }
    infer(&with_data, storage, options, dialect).await
}

fn format_of(dialect: CsvDialect, has_header: bool, options: &Options) -> RecordFormat {
    let null_value = options.csv.null_value.as_deref().unwrap_or_default().into();
    RecordFormat::Csv { dialect, has_header, null_value }
}

/// The records at the start of a file. If the text was cut, the last one is incomplete, and left out.
fn records(text: &Bytes, is_whole: bool, dialect: CsvDialect) -> impl Iterator<Item = Bytes> + use<> {
    let mut splitter = CsvSplitter::new(dialect);
    splitter.push(text.clone());
    let next = move || splitter.next().or_else(|| if is_whole { splitter.finish() } else { None });
    std::iter::from_fn(next).filter_map(|record| record.ok().map(|record| record.bytes))
}

fn guess(
    start: Bytes,
    is_whole: bool,
    dialect: CsvDialect,
    options: &Options,
    columns: &[String],
) -> (RecordFormat, HeaderGuess) {
    let split = |delimiter: u8| {
        let dialect = CsvDialect { delimiter, ..dialect };
        let records: Vec<Bytes> = records(&start, is_whole, dialect).take(GUESS_RECORDS_MAX).collect();
        dialect.split_all(records.iter().map(AsRef::as_ref))
    };
    let delimiter = options.csv.delimiter.unwrap_or_else(|| guess_delimiter(split));
    let guessed = match options.csv.header {
        Some(true) => HeaderGuess::Yes,
        Some(false) => HeaderGuess::No,
        None => guess_header(&split(delimiter), columns),
    };
    // If all columns are texts, nothing shows it for certain. Then no line is lost, as with Spark's default.
    let has_header = guessed == HeaderGuess::Yes;
    (format_of(CsvDialect { delimiter, ..dialect }, has_header, options), guessed)
}

async fn infer(
    objects: &[&Arc<DataObject>],
    storage: &Storage,
    options: &Options,
    dialect: CsvDialect,
) -> Result<Found> {
    let size = SampleSize::of(objects, storage);
    let mut inferred = CsvInferred::new(CsvInferOptions {
        string_type: STRING,
        null_value: options.csv.null_value.clone().unwrap_or_default(),
        timestamp_format: options.timestamp_format.clone(),
        date_format: options.date_format.clone(),
    })?;
    let mut format: Option<(RecordFormat, HeaderGuess)> = None;
    let mut failure = None;
    let starts = size.choose(objects).into_iter().map(|object| async move {
        let start = plain_start(&object, storage, size.object_bytes).await?;
        Ok::<_, Error>((object, start))
    });
    let mut starts = stream::iter(starts).buffered(storage.limits.requests_max);
    while let Some((object, start)) = starts.try_next().await? {
        if let Some(problem) = &start.problem {
            let name = Location::display(&storage.url, &object.meta.location);
            failure.get_or_insert_with(|| format!("{name}: {problem}"));
            continue;
        }
        let (text, is_whole) = start.text();
        let (format, _) = format.get_or_insert_with(|| guess(text.clone(), is_whole, dialect, options, &[]));
        learn(&mut inferred, &text, is_whole, size.records, format);
    }
    let schema = inferred.schema();
    if schema.fields().is_empty() {
        let (reason, hint) = match failure {
            Some(failure) => (failure, "correct the file, or leave it out with pathGlobFilter"),
            None => ("no file has a line".to_owned(), "give one: schema => 'name TYPE, …'"),
        };
        return Err(
            Error::new(ErrorCode::UnableToInferSchema, format!("no schema can be inferred: {reason}")).with_hint(hint)
        );
    }
    let (format, guessed) = format.unwrap_or_else(|| (format_of(dialect, false, options), HeaderGuess::No));
    let notices = match guessed {
        HeaderGuess::Likely => {
            vec![
                "the first line of the CSV files is read as a record; header => true reads it as the header".to_owned(),
            ]
        }
        HeaderGuess::Yes | HeaderGuess::No => vec![],
    };
    Ok(Found { format, inferred: Some(schema), notices })
}

fn learn(inferred: &mut CsvInferred, text: &Bytes, is_whole: bool, records_max: usize, format: &RecordFormat) {
    let RecordFormat::Csv { dialect, has_header, .. } = format else { return };
    let mut records = records(text, is_whole, *dialect).peekable();
    let names = match (*has_header, records.peek()) {
        (_, None) => return,
        (true, Some(header)) => {
            let names = column_names(&CsvFields::default().texts(header, dialect));
            records.next();
            names
        }
        (false, Some(first)) => (0..inferred.count_fields(first, dialect)).map(|index| format!("_c{index}")).collect(),
    };
    let positions = inferred.positions(&names);
    for record in records.take(records_max) {
        inferred.learn(&record, dialect, &positions);
    }
}

/// Returns an error for a column with a type that CSV cannot contain.
pub(super) fn check_types(schema: &Schema, columns: &[ColumnSource]) -> Result<()> {
    let of_records = schema.fields().iter().zip(columns).filter(|(_, source)| **source == ColumnSource::Record);
    let nested = of_records.map(|(field, _)| field).find(|field| field.data_type().is_nested());
    match nested {
        Some(field) => Err(Error::new(
            ErrorCode::UnsupportedDatatype,
            format!("the column `{}` is {}, which CSV cannot contain", field.name(), type_name(field.data_type())),
        )
        .with_hint("read it as STRING")),
        None => Ok(()),
    }
}
