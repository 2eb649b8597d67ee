//! Infers the schema of JSON from a sample, if the SQL gives no schema. Also has the sample of CSV.
//!
//! Spark reads all records to infer a schema. Here, objects of 64 MiB together are read completely. Of more, the sample has three
//! limits (objects, bytes, records). It is spread evenly over the listing, so that a change of the format in the middle is noticed,
//! and it is read concurrently. Differences from the sample appear during the scan: a field that the sample did not have does not
//! become a column, but is counted and reported, and a value of another type makes a rejected record.

use std::io::Cursor;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use futures::{StreamExt, TryStreamExt, stream};

use super::bundle::DataObject;
use super::content::{not_compressed, not_text};
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
/// A compressed object counts as this many times its size.
const COMPRESSED_RATIO: u64 = 8;

/// How much of the objects the sample has.
#[derive(Debug, Clone, Copy)]
pub(super) struct SampleSize {
    objects: usize,
    /// The maximum of bytes of one object.
    pub object_bytes: u64,
    /// The maximum of records of one object.
    pub records: usize,
}

impl SampleSize {
    /// Objects that are small together are read completely, so that no field and no type appears later.
    pub(super) fn of(with_data: &[&Arc<DataObject>], storage: &Storage) -> Self {
        let objects = with_data.len().min(OBJECTS_MAX);
        let cost_bytes = |object: &&Arc<DataObject>| match object.compression.is_compressed() {
            true => object.meta.size.saturating_mul(COMPRESSED_RATIO),
            false => object.meta.size,
        };
        let total_bytes = with_data.iter().map(cost_bytes).fold(0, u64::saturating_add);
        let bytes_max = storage.limits.sample_bytes_max;
        if objects == with_data.len() && total_bytes <= bytes_max {
            return Self { objects, object_bytes: bytes_max, records: usize::MAX };
        }
        Self {
            objects,
            object_bytes: (bytes_max / objects.max(1) as u64).min(OBJECT_BYTES_MAX),
            records: RECORDS_MAX.div_ceil(objects.max(1)).max(RECORDS_PER_OBJECT_MIN),
        }
    }

    /// The objects of the sample, spread evenly over the listing.
    pub(super) fn choose(&self, with_data: &[&Arc<DataObject>]) -> Vec<Arc<DataObject>> {
        (0..self.objects).map(|index| with_data[index * with_data.len() / self.objects].clone()).collect()
    }
}

struct Sample {
    inferred: Inferred,
    records: usize,
    /// The first record that is not JSON: its position, and the reason.
    failure: Option<String>,
    /// An object that is not text, with the reason.
    problem: Option<String>,
    /// An object without a record in the sample, because its first one is longer.
    too_long: Option<String>,
}

/// The part of one object in the sample.
#[derive(Clone)]
struct Share {
    size: SampleSize,
    multi_line: bool,
    options: InferOptions,
}

/// The schema of the records, with the fields in the order of their names.
pub(super) async fn infer_schema(objects: &[Arc<DataObject>], storage: &Storage, options: &Options) -> Result<Schema> {
    let with_data: Vec<_> = objects.iter().filter(|object| object.meta.size > 0).collect();
    let size = SampleSize::of(&with_data, storage);
    let infer_options = InferOptions {
        string_type: STRING,
        infer_timestamp: options.infer_timestamp,
        timestamp_format: options.timestamp_format.clone(),
        grammar: options.grammar,
        ignore_case: true,
    };
    let share = Share { size, multi_line: options.multi_line == Some(true), options: infer_options.clone() };
    let tasks = size.choose(&with_data).into_iter().map(|object| {
        let (storage, share) = (storage.clone(), share.clone());
        async move {
            let task = SpawnedTask::spawn(async move { sample(&object, &storage, &share).await });
            task.join()
                .await
                .map_err(|error| Error::internal("a task that infers a schema ended early").caused_by(error))?
        }
    });
    let start =
        Sample { inferred: Inferred::new(infer_options)?, records: 0, failure: None, problem: None, too_long: None };
    let sampled = stream::iter(tasks)
        .buffered(storage.limits.requests_max)
        .try_fold(start, |mut all, sample| async move {
            all.inferred.merge(sample.inferred);
            all.records += sample.records;
            all.failure = all.failure.or(sample.failure);
            all.problem = all.problem.or(sample.problem);
            all.too_long = all.too_long.or(sample.too_long);
            Ok(all)
        })
        .await?;
    finish(sampled, size.objects, options)
}

fn finish(sampled: Sample, objects: usize, options: &Options) -> Result<Schema> {
    let schema = sampled.inferred.schema();
    let permissive = options.mode == Mode::Permissive && sampled.failure.is_some();
    if schema.fields().is_empty() && !permissive {
        let none = match objects {
            1 => "the one object has no record with a field".to_owned(),
            _ => format!("{objects} objects were sampled, and none has a record with a field"),
        };
        let (reason, hint) = match (sampled.problem, sampled.failure, sampled.too_long) {
            (Some(problem), ..) => (problem, "correct the file, or leave it out with pathGlobFilter"),
            (None, Some(failure), _) => {
                (failure, "give one: schema => 'name TYPE, …'; when a record spans lines, also set multiLine => true")
            }
            (None, None, Some(too_long)) => {
                (too_long, "give a schema, and multiLine => true if the file is one array of records")
            }
            (None, None, None) => (none, "give one: schema => 'name TYPE, …'"),
        };
        return Err(
            Error::new(ErrorCode::UnableToInferSchema, format!("no schema can be inferred: {reason}")).with_hint(hint)
        );
    }
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    if permissive && schema.index_of(&options.corrupt_record_column).is_err() {
        fields.push(Arc::new(Field::new(&options.corrupt_record_column, STRING, true)));
        fields.sort_by(|left, right| left.name().cmp(right.name()));
    }
    Ok(Schema::new(fields))
}

/// The start of an object.
pub(super) struct Start {
    /// Decompressed.
    chunks: Vec<Bytes>,
    /// The chunks are the whole object.
    is_whole: bool,
    /// Why the object cannot be read.
    pub problem: Option<String>,
}

impl Start {
    /// The text, and whether it is the whole object.
    pub(super) fn text(self) -> (Bytes, bool) {
        let text = match self.chunks.as_slice() {
            [one] => one.clone(),
            all => all.concat().into(),
        };
        (text, self.is_whole)
    }
}

/// Fetches the first `bytes_max` bytes of an object, and decompresses them. Damage shows in the scan.
pub(super) async fn plain_start(object: &DataObject, storage: &Storage, bytes_max: u64) -> Result<Start> {
    let size = object.meta.size;
    let range = (size > bytes_max).then_some(0..bytes_max);
    let mut is_whole = range.is_none();
    let bytes = storage.fetch(&object.meta, range).await?;
    if !object.compression.is_compressed() {
        let problem = not_text(&bytes);
        return Ok(Start { chunks: vec![bytes], is_whole, problem });
    }
    if let Some(problem) = not_compressed(object.compression, &bytes) {
        return Ok(Start { chunks: vec![], is_whole, problem: Some(problem) });
    }
    let compressed_bytes = bytes.len();
    let decompressed_bytes_max = compressed_bytes.saturating_mul(DECOMPRESSED_RATIO_MAX).max(OBJECT_BYTES_MAX as usize);
    let mut chunks = Vec::new();
    let mut decompressed_bytes = 0;
    if let Ok(mut reader) = ChunkReader::new(object.compression, Cursor::new(bytes), compressed_bytes) {
        loop {
            match reader.next() {
                Ok(Some(chunk)) if decompressed_bytes < decompressed_bytes_max => {
                    decompressed_bytes += chunk.len();
                    chunks.push(chunk);
                }
                Ok(None) => break,
                // Cut off by the sample, or damaged.
                Ok(Some(_)) | Err(_) => {
                    is_whole = false;
                    break;
                }
            }
        }
    }
    let problem = chunks.first().and_then(|start| not_text(start));
    Ok(Start { chunks, is_whole, problem })
}

async fn sample(object: &DataObject, storage: &Storage, share: &Share) -> Result<Sample> {
    let inferred = Inferred::new(share.options.clone())?;
    let mut sample = Sample { inferred, records: 0, failure: None, problem: None, too_long: None };
    let name = Location::display(&storage.url, &object.meta.location);
    let start = plain_start(object, storage, share.size.object_bytes).await?;
    if let Some(problem) = start.problem {
        sample.problem = Some(format!("{name}: {problem}"));
        return Ok(sample);
    }
    let mut splitter = match share.multi_line {
        true => RecordSplitter::documents_in(share.options.grammar),
        false => RecordSplitter::lines(),
    };
    let place = |line: u64| format!("{name}, line {line}");
    let is_read = start.chunks.into_iter().all(|chunk| {
        splitter.push(chunk);
        take(&mut sample, &mut splitter, share, &place)
    });
    // If the object was cut, its last record is incomplete, and is not used.
    while is_read
        && start.is_whole
        && sample.records < share.size.records
        && let Some(record) = splitter.finish()
    {
        add_record(&mut sample, &splitter, record, &place);
    }
    if sample.records == 0 && !start.is_whole {
        let megabytes = share.size.object_bytes.div_ceil(1 << 20);
        sample.too_long = Some(format!("the first record of {name} is longer than the sample ({megabytes} MiB)"));
    }
    Ok(sample)
}

/// Adds the available records to the sample. Returns false when the object has reached its share.
fn take(sample: &mut Sample, splitter: &mut RecordSplitter, share: &Share, place: &dyn Fn(u64) -> String) -> bool {
    while sample.records < share.size.records {
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
