//! A JSON schema from a sample, when the SQL gives none.
//!
//! The sample is bounded three ways (objects, bytes, records), spread evenly over the listing, so that a change of format in the
//! middle of it is seen, and read concurrently. Spark reads everything to infer; here what the sample did not show is found
//! when it is read: a field it never saw is not a column, and a value of another type is a rejected record.

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
/// Unpacked, a sample may be this many times as large as it was fetched.
const UNPACKED_RATIO_MAX: usize = 20;

struct Sample {
    inferred: Inferred,
    records: usize,
    /// The first record that was no JSON: its place, and what is wrong with it.
    failure: Option<String>,
}

/// What one object may give to the sample.
#[derive(Clone)]
struct Share {
    bytes: u64,
    records: usize,
    multi_line: bool,
    options: InferOptions,
}

/// The schema of the records, its fields by name.
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
        true => unpack(object, bytes, &mut sample, &mut splitter, share, &place) && !is_cut,
    };
    // The last record of a cut object is cut too, and teaches nothing.
    while whole
        && sample.records < share.records
        && let Some(record) = splitter.finish()
    {
        learn(&mut sample, &splitter, record, &place);
    }
    Ok(sample)
}

/// Whether the object was unpacked to its end.
fn unpack(
    object: &DataObject,
    bytes: Bytes,
    sample: &mut Sample,
    splitter: &mut RecordSplitter,
    share: &Share,
    place: &dyn Fn(u64) -> String,
) -> bool {
    let compressed_bytes = bytes.len();
    let unpacked_bytes_max = compressed_bytes.saturating_mul(UNPACKED_RATIO_MAX).max(OBJECT_BYTES_MAX as usize);
    let Ok(mut chunks) = ChunkReader::new(object.compression, Cursor::new(bytes), compressed_bytes) else {
        return false;
    };
    let mut unpacked_bytes = 0;
    while unpacked_bytes < unpacked_bytes_max {
        match chunks.next() {
            Ok(Some(chunk)) => {
                unpacked_bytes += chunk.len();
                splitter.push(chunk);
                if !take(sample, splitter, share, place) {
                    return false;
                }
            }
            Ok(None) => return true,
            // Cut by the sample, or damaged: the scan will tell which.
            Err(_) => return false,
        }
    }
    false
}

/// Learns from the records at hand. False when the object has given its share.
fn take(sample: &mut Sample, splitter: &mut RecordSplitter, share: &Share, place: &dyn Fn(u64) -> String) -> bool {
    while sample.records < share.records {
        let Some(record) = splitter.next() else { return true };
        learn(sample, splitter, record, place);
    }
    false
}

fn learn(
    sample: &mut Sample,
    splitter: &RecordSplitter,
    record: Result<Record, RecordError>,
    place: &dyn Fn(u64) -> String,
) {
    sample.records += 1;
    let line = splitter.position().0;
    let learnt = record.and_then(|record| infer_record(&mut sample.inferred, &record.bytes));
    if let Err(error) = learnt {
        sample.failure.get_or_insert_with(|| format!("{}: {error}", place(line)));
    }
}
