//! `STREAM read_files`: reads each object once, when it appears.
//!
//! This works as Databricks' Auto Loader: the path is listed at every trigger, and the new objects are the next slice. An object
//! is identified by its path: an object that is written again under the same name is not read again (`taken`). A range has its
//! objects with their size and entity tag, so a replay either reads exactly the same content or fails.
//!
//! A listing costs more with more objects, also with those that were read. So a listing without new objects delays the next one
//! by a multiple of its own duration: an idle stream uses the same part of the time, however many objects there are.
//!
//! Deliberately absent: notifications (a listing finds the same objects); listing only names after the last one (names of new
//! objects need not be greater); and the content of objects, which the plan reads itself.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::scalar::ScalarValue;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::given::Given;
use super::listing::{Selection, list_for_stream, list_new};
use super::location::Location;
use super::options::{Format, Options};
use super::read_ahead::Storage;
use super::resolve::open_storage;
use super::taken::{Taken, TakenObjects};
use super::{ReadFiles, ScanObjects, SourceEnvironment, delta, plan_scan};
use crate::stream::{
    Content, Gap, Lag, Next, Origins, Position, ReadOptions, Slice, SliceLimits, SliceRange, SourceIdentity,
    StreamReader, StreamSource,
};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;
use pinsql_base::units::{bytes, duration};

/// Databricks' default for `maxFilesPerTrigger`.
const FILES_PER_TRIGGER: u64 = 1_000;
/// The limits of the wait before a path without new objects is listed again.
const LISTING_INTERVAL_MIN: Duration = Duration::from_millis(500);
const LISTING_INTERVAL_MAX: Duration = Duration::from_mins(1);
/// The wait is this many times the duration of the listing.
const LISTING_WAIT_FACTOR: u32 = 50;

/// The options that only a stream has.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamOptions {
    files_max: u64,
    bytes_max: u64,
    include_existing: bool,
    /// Objects that are older than the latest one, minus this, are ignored.
    max_age: Option<Duration>,
}

impl StreamOptions {
    /// Removes these options from the options of a call. The remaining ones are those of every `read_files`.
    pub(super) fn take(given: &mut BTreeMap<String, ScalarValue>) -> Result<Self> {
        let mut options =
            Self { files_max: FILES_PER_TRIGGER, bytes_max: u64::MAX, include_existing: true, max_age: None };
        let mut taken = |name: &str| {
            let written = given.keys().find(|written| written.eq_ignore_ascii_case(name)).cloned();
            written.and_then(|written| given.remove(&written))
        };
        if let Some(value) = &taken("maxFilesPerTrigger") {
            options.files_max = Given { name: "maxFilesPerTrigger", value }.count()?;
        }
        if let Some(value) = &taken("maxBytesPerTrigger") {
            options.bytes_max = size_bytes(&Given { name: "maxBytesPerTrigger", value })?;
        }
        if let Some(value) = &taken("includeExistingFiles") {
            options.include_existing = Given { name: "includeExistingFiles", value }.boolean()?;
        }
        if let Some(value) = &taken("maxFileAge") {
            let given = Given { name: "maxFileAge", value };
            let age = duration(given.text()?).filter(|age| !age.is_zero());
            options.max_age = Some(age.ok_or_else(|| given.wrong("a time such as '336h' (14 days)"))?);
        }
        Ok(options)
    }
}

/// A number of bytes such as `1073741824`, or a size of Databricks such as `'10g'`.
fn size_bytes(given: &Given<'_>) -> Result<u64> {
    let Ok(text) = given.text() else { return given.count() };
    bytes(text).filter(|bytes| *bytes > 0).ok_or_else(|| {
        Error::new(
            ErrorCode::InvalidOption,
            format!("the option {} needs a size such as '10g', not {text}", given.name),
        )
    })
}

/// One call of `STREAM read_files`.
#[derive(Debug)]
pub(super) struct FilesStream {
    path: String,
    schema: SchemaRef,
    location: Location,
    storage: Storage,
    selection: Selection,
    options: StreamOptions,
}

impl FilesStream {
    /// Checks the call, and finds the columns: the declared ones, or those of the objects that exist now.
    pub(super) async fn open(mut call: ReadFiles, environment: &SourceEnvironment) -> Result<Self> {
        let options = StreamOptions::take(&mut call.options)?;
        let Options { selection, format, .. } = Options::parse(&call.options)?;
        let location = Location::parse(&call.path)?;
        let storage = open_storage(&location, environment)?;
        let path = call.path.clone();
        // Only a Parquet file shows that a folder belongs to a table. `plan_scan` looks, too.
        if call.declares_schema() && format.is_none_or(|format| format == Format::Parquet) {
            let listing = list_for_stream(storage.store.as_ref(), &location, &selection).await?;
            delta::refuse(&storage, &location, format, &listing).await?;
        }
        let table = match call.declares_schema() {
            true => call.declared_table()?,
            false => plan_scan(call, ScanObjects::Matching, environment).await.map_err(|error| match error.hint {
                Some(_) => error,
                None => error.with_hint("schema => '…' declares the columns before the first object exists"),
            })?,
        };
        Ok(Self { path, schema: table.schema(), location, storage, selection, options })
    }

    async fn list(&self) -> Result<Vec<ObjectMeta>> {
        let listing = list_for_stream(self.storage.store.as_ref(), &self.location, &self.selection).await?;
        Ok(listing.objects)
    }
}

/// An object in a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FixedObject {
    path: String,
    size: u64,
    modified: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e_tag: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct FixedObjects {
    objects: Vec<FixedObject>,
}

impl FixedObjects {
    fn of(objects: &[ObjectMeta]) -> Self {
        let fixed = |object: &ObjectMeta| FixedObject {
            path: object.location.to_string(),
            size: object.size,
            modified: object.last_modified,
            e_tag: object.e_tag.clone(),
        };
        Self { objects: objects.iter().map(fixed).collect() }
    }

    fn into_meta(self) -> Vec<ObjectMeta> {
        let meta = |object: FixedObject| ObjectMeta {
            location: Path::from(object.path),
            last_modified: object.modified,
            size: object.size,
            e_tag: object.e_tag,
            version: None,
        };
        self.objects.into_iter().map(meta).collect()
    }
}

fn read_json<T: serde::de::DeserializeOwned>(value: &serde_json::Value, what: &str) -> Result<T> {
    T::deserialize(value).map_err(|error| {
        Error::new(ErrorCode::CheckpointDamaged, format!("the {what} in the checkpoint is not a {what} of read_files"))
            .caused_by(error)
    })
}

fn to_json(value: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| Error::internal("objects cannot be written as JSON").caused_by(error))
}

#[async_trait]
impl StreamSource for FilesStream {
    fn identity(&self) -> SourceIdentity {
        SourceIdentity { kind: "files".to_owned(), name: self.path.clone() }
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn origins(&self) -> Option<Arc<dyn Origins>> {
        None
    }

    async fn start(&self) -> Result<Position> {
        let mut start = Taken::of(TakenObjects::default(), self.options.max_age);
        if !self.options.include_existing {
            for object in self.list().await? {
                start.insert(object.location.to_string(), object.last_modified.timestamp_micros());
            }
            start.forget();
        }
        Ok(Position(to_json(&start.into_position())?))
    }

    fn advance(&self, position: &Position, range: &SliceRange) -> Result<Position> {
        let mut taken = Taken::of(read_json(&position.0, "position")?, self.options.max_age);
        let fixed: FixedObjects = read_json(&range.0, "range")?;
        for object in fixed.objects {
            taken.insert(object.path, object.modified.timestamp_micros());
        }
        taken.forget();
        Ok(Position(to_json(&taken.into_position())?))
    }

    async fn open(&self, position: &Position, options: &ReadOptions) -> Result<Box<dyn StreamReader>> {
        let mut reader = FilesReader {
            storage: self.storage.clone(),
            location: self.location.clone(),
            selection: self.selection.clone(),
            options: self.options,
            taken: Taken::of(read_json(&position.0, "position")?, self.options.max_age),
            waiting: VecDeque::new(),
            next_listing: Instant::now(),
            available_now: options.available_now,
            allow_gap: options.allow_gap,
        };
        if options.available_now {
            reader.find_new().await?;
        }
        Ok(Box::new(reader))
    }
}

struct FilesReader {
    storage: Storage,
    location: Location,
    selection: Selection,
    options: StreamOptions,
    /// All objects that were returned or are in `waiting`.
    taken: Taken,
    waiting: VecDeque<ObjectMeta>,
    next_listing: Instant,
    available_now: bool,
    allow_gap: bool,
}

impl FilesReader {
    /// Separates the objects that still exist from those that were deleted or written again. Neither can be read as fixed.
    async fn split_lost(&self, fixed: FixedObjects) -> Result<(FixedObjects, Vec<Gap>)> {
        let (mut left, mut gaps) = (Vec::new(), Vec::new());
        for object in fixed.objects {
            let path = Path::from(object.path.clone());
            let note = match self.storage.store.head(&path).await {
                Ok(found) if found.size == object.size && (object.e_tag.is_none() || found.e_tag == object.e_tag) => {
                    None
                }
                Ok(_) => Some("the object was written again before it was read, and its former content is lost"),
                Err(object_store::Error::NotFound { .. }) => Some("the object was deleted before it was read"),
                Err(error) => return Err(storage_error(&format!("read {}", object.path), error)),
            };
            match note {
                None => left.push(object),
                Some(note) => gaps.push(Gap {
                    partition: object.path,
                    after: String::new(),
                    before: String::new(),
                    records: None,
                    seconds: None,
                    note: Some(note.to_owned()),
                }),
            }
        }
        Ok((FixedObjects { objects: left }, gaps))
    }

    async fn find_new(&mut self) -> Result<()> {
        let started = Instant::now();
        let is_new = |object: &ObjectMeta| !self.taken.excludes(object);
        let found = list_new(self.storage.store.as_ref(), &self.location, &self.selection, &is_new).await?;
        let wait = (started.elapsed() * LISTING_WAIT_FACTOR).clamp(LISTING_INTERVAL_MIN, LISTING_INTERVAL_MAX);
        self.next_listing = if found.is_empty() { Instant::now() + wait } else { started };
        for object in found {
            self.taken.insert(object.location.to_string(), object.last_modified.timestamp_micros());
            self.waiting.push_back(object);
        }
        self.taken.forget();
        Ok(())
    }

    fn take(&mut self) -> Vec<ObjectMeta> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(object) = self.waiting.front() {
            let is_full = taken.len() as u64 >= self.options.files_max || bytes >= self.options.bytes_max;
            if is_full {
                break;
            }
            bytes += object.size;
            taken.extend(self.waiting.pop_front());
        }
        taken
    }
}

#[async_trait]
impl StreamReader for FilesReader {
    async fn replay(&mut self, range: &SliceRange) -> Result<Slice> {
        let fixed: FixedObjects = read_json(&range.0, "range")?;
        let paths: HashSet<&str> = fixed.objects.iter().map(|object| object.path.as_str()).collect();
        self.waiting.retain(|object| !paths.contains(object.location.as_ref()));
        for object in &fixed.objects {
            self.taken.insert(object.path.clone(), object.modified.timestamp_micros());
        }
        let (fixed, gaps) = match self.allow_gap {
            true => self.split_lost(fixed).await?,
            false => (fixed, Vec::new()),
        };
        let content = Content::Objects(fixed.into_meta());
        Ok(Slice { range: range.clone(), content, gaps, more: !self.waiting.is_empty() })
    }

    async fn next(&mut self, _limits: &SliceLimits, wait: Duration) -> Result<Next> {
        if self.waiting.is_empty() && self.available_now {
            return Ok(Next::End);
        }
        let until = Instant::now() + wait;
        while self.waiting.is_empty() {
            if self.next_listing > until {
                tokio::time::sleep_until(until).await;
                return Ok(Next::Idle);
            }
            tokio::time::sleep_until(self.next_listing).await;
            self.find_new().await?;
        }
        let objects = self.take();
        let range = SliceRange(to_json(&FixedObjects::of(&objects))?);
        Ok(Next::Slice(Slice {
            range,
            content: Content::Objects(objects),
            gaps: Vec::new(),
            more: !self.waiting.is_empty(),
        }))
    }

    async fn acknowledge(&mut self, _range: &SliceRange) -> Result<()> {
        Ok(())
    }

    fn lag(&self) -> Vec<Lag> {
        let oldest = self.waiting.front().map(|object| Utc::now() - object.last_modified);
        vec![Lag {
            partition: self.location.written.clone(),
            records: None,
            behind: Some(oldest.and_then(|age| age.to_std().ok()).unwrap_or_default()),
        }]
    }
}
