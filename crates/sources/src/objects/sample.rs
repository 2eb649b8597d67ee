//! Infers the schema of JSON from a sample, if the SQL gives no schema.
//!
//! The sample has three limits (objects, bytes, records). It is spread evenly over the listing, so that a change of the format in
//! the middle is noticed, and it is read concurrently. Spark reads all records to infer a schema. Here, differences from the
//! sample appear during the scan: a field that the sample did not have does not become a column, and a value of another type
//! makes a rejected record.

use std::io::Cursor;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use futures::{StreamExt, TryStreamExt, stream};

use super::bundle::DataObject;
use super::decompress::ChunkReader;
use super::location::Location;
use super::options::{Mode, Options};
use super::read_ahead::Storage;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::STRING;
use pinsql_json::{InferOptions, Inferred, Record, RecordError, RecordSplitter, infer_record};

const OBJECTS_MAX: usize = 1_000;
const RECORDS_MAX: usize = 10_000;
const RECORDS_PER_OBJECT_MIN: usize = 10;
const OBJECT_BYTES_MAX: u64 = 16 << 20;
/// The decompressed sample may be this many times as large as the fetched bytes.
const DECOMPRESSED_RATIO_MAX: usize = 20;

struct Sample {
    inferred: Inferred,
    records: usize,
    /// The first record that is not JSON: its position, and the reason.
    failure: Option<String>,
}

/// The part of one object in the sample.
#[derive(Clone)]
struct Share {
    bytes: u64,
    records: usize,
    multi_line: bool,
    options: InferOptions,
}

/// The schema of the records, with the fields in the order of their names.
pub(super) async fn infer_schema(objects: &[Arc<DataObject>], storage: &Storage, options: &Options) -> Result<Schema> {
    let with_data: Vec<_> = objects.iter().filter(|object| object.meta.size > 0).collect();
    let count = with_data.len().min(OBJECTS_MAX);
    let infer_options = InferOptions {
        string_type: STRING,
        infer_timestamp: options.infer_timestamp,
        timestamp_format: options.timestamp_format.clone(),
    };
    let share = Share {
        bytes: (storage.limits.sample_bytes_max / count.max(1) as u64).min(OBJECT_BYTES_MAX),
        records: RECORDS_MAX.div_ceil(count.max(1)).max(RECORDS_PER_OBJECT_MIN),
        multi_line: options.multi_line,
        options: infer_options.clone(),
    };
    let chosen = (0..count).map(|index| with_data[index * with_data.len() / count].clone());
    let tasks = chosen.map(|object| {
        let (storage, share) = (storage.clone(), share.clone());
        async move {
            let task = SpawnedTask::spawn(async move { sample(&object, &storage, &share).await });
            task.join()
                .await
                .map_err(|error| Error::internal("a task that infers a schema ended early").caused_by(error))?
        }
    });
    let start = Sample { inferred: Inferred::new(infer_options)?, records: 0, failure: None };
    let sampled = stream::iter(tasks)
        .buffered(storage.limits.requests_max)
        .try_fold(start, |mut all, sample| async move {
            all.inferred.merge(sample.inferred);
            all.records += sample.records;
            all.failure = all.failure.or(sample.failure);
            Ok(all)
        })
        .await?;
    finish(sampled, count, options)
}

fn finish(sampled: Sample, objects: usize, options: &Options) -> Result<Schema> {
    let schema = sampled.inferred.schema();
    let permissive = options.mode == Mode::Permissive && sampled.failure.is_some();
    if schema.fields().is_empty() && !permissive {
        let error = Error::new(
            ErrorCode::UnableToInferSchema,
            format!("no schema can be inferred: {objects} objects were sampled, and none has a record with a field"),
        )
        .with_hint("give one: schema => 'name TYPE, …'");
        return Err(match sampled.failure {
            Some(failure) => {
                Error::new(ErrorCode::UnableToInferSchema, format!("no schema can be inferred: {failure}")).with_hint(
                    "give one: schema => 'name TYPE, …'; when a record spans lines, also set multiLine => true",
                )
            }
            None => error,
        });
    }
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    if permissive && schema.index_of(&options.corrupt_record_column).is_err() {
        fields.push(Arc::new(Field::new(&options.corrupt_record_column, STRING, true)));
        fields.sort_by(|left, right| left.name().cmp(right.name()));
    }
    Ok(Schema::new(fields))
}

async fn sample(object: &DataObject, storage: &Storage, share: &Share) -> Result<Sample> {
    let size = object.meta.size;
    let range = (size > share.bytes).then_some(0..share.bytes);
    let is_cut = range.is_some();
    let bytes = storage.fetch(&object.meta, range).await?;
    let mut sample = Sample { inferred: Inferred::new(share.options.clone())?, records: 0, failure: None };
    let mut splitter = if share.multi_line { RecordSplitter::documents() } else { RecordSplitter::lines() };
    let place = |line: u64| format!("{}, line {line}", Location::display(&storage.url, &object.meta.location));

    let whole = match object.compression.is_compressed() {
        false => {
            splitter.push(bytes);
            take(&mut sample, &mut splitter, share, &place) && !is_cut
        }
        true => decompress(object, bytes, &mut sample, &mut splitter, share, &place) && !is_cut,
    };
    // If the object was cut, its last record is incomplete, and is not used.
    while whole
        && sample.records < share.records
        && let Some(record) = splitter.finish()
    {
        add_record(&mut sample, &splitter, record, &place);
    }
    Ok(sample)
}

/// Returns true if the object was decompressed to its end.
fn decompress(
    object: &DataObject,
    bytes: Bytes,
    sample: &mut Sample,
    splitter: &mut RecordSplitter,
    share: &Share,
    place: &dyn Fn(u64) -> String,
) -> bool {
    let compressed_bytes = bytes.len();
    let decompressed_bytes_max = compressed_bytes.saturating_mul(DECOMPRESSED_RATIO_MAX).max(OBJECT_BYTES_MAX as usize);
    let Ok(mut chunks) = ChunkReader::new(object.compression, Cursor::new(bytes), compressed_bytes) else {
        return false;
    };
    let mut decompressed_bytes = 0;
    while decompressed_bytes < decompressed_bytes_max {
        match chunks.next() {
            Ok(Some(chunk)) => {
                decompressed_bytes += chunk.len();
                splitter.push(chunk);
                if !take(sample, splitter, share, place) {
                    return false;
                }
            }
            Ok(None) => return true,
            // Cut off by the sample, or damaged. The scan shows which.
            Err(_) => return false,
        }
    }
    false
}

/// Adds the available records to the sample. Returns false when the object has reached its share.
fn take(sample: &mut Sample, splitter: &mut RecordSplitter, share: &Share, place: &dyn Fn(u64) -> String) -> bool {
    while sample.records < share.records {
        let Some(record) = splitter.next() else { return true };
        add_record(sample, splitter, record, place);
    }
    false
}

fn add_record(
    sample: &mut Sample,
    splitter: &RecordSplitter,
    record: Result<Record, RecordError>,
    place: &dyn Fn(u64) -> String,
) {
    sample.records += 1;
    let line = splitter.position().0;
    let inferred = record.and_then(|record| infer_record(&mut sample.inferred, &record.bytes));
    if let Err(error) = inferred {
        sample.failure.get_or_insert_with(|| format!("{}: {error}", place(line)));
    }
}
