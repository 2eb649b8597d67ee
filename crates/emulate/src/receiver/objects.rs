//! `s3://bucket/prefix` or a folder: objects in the layout of the Kafka Connect S3 sink,
//! `topics/<topic>/partition=<n>/<topic>+<n>+<first offset>.json`, with one record per line.
//!
//! Each topic has one partition. Its offsets continue after the existing objects. Objects are never overwritten. If an object
//! exists already, it comes either from an earlier attempt whose answer was lost, or from another writer. In the second case
//! the records are refused.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::execution::runtime_env::RuntimeEnv;
use flate2::read::MultiGzDecoder;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use url::Url;

use super::contract::{Answer, Attempt, Filling, Receiver};
use crate::post::{Item, PostedTopic};
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result};
use pinsql_base::settings::S3Config;
use pinsql_base::storage_error::{io_error, storage_error};
use pinsql_base::store;

const PARTITION: u32 = 0;
/// The number of digits of an offset in the name, as in the connector.
const OFFSET_DIGITS: usize = 10;

pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    topics: Vec<ObjectTopic>,
    batch: usize,
}

struct ObjectTopic {
    name: String,
    /// The folder in the form that the user wrote.
    shown: String,
    folder: Path,
    /// The offset of the next record.
    offset: Mutex<u64>,
}

impl Objects {
    /// Finds the next offset of each topic.
    pub(crate) async fn open(
        url: &Url,
        written: &str,
        s3: &S3Config,
        topics: &[PostedTopic],
        batch: Option<usize>,
    ) -> Result<Self> {
        let runtime = RuntimeEnv::default();
        store::connect(&runtime, url, s3).await?;
        let store = runtime
            .object_store_registry
            .get_store(url)
            .map_err(|error| Error::internal("the store that was just opened is not registered").caused_by(error))?;
        let root = Path::from_url_path(url.path()).map_err(|error| {
            Error::new(ErrorCode::InvalidLocation, format!("`{url}` is not a valid location for objects"))
                .caused_by(error)
        })?;
        let mut found = Vec::with_capacity(topics.len());
        for topic in topics {
            let name = topic.name.clone();
            let shown = format!("{written}/topics/{name}/partition={PARTITION}");
            let folder = root.clone().join("topics").join(name.as_str()).join(format!("partition={PARTITION}"));
            let offset = next_offset(store.as_ref(), &folder, &shown, &name).await?;
            found.push(ObjectTopic { name, shown, folder, offset: Mutex::new(offset) });
        }
        Ok(Self { store, topics: found, batch: batch.unwrap_or(1) })
    }

    /// True if the existing object is from an earlier attempt of this batch, whose answer was lost.
    async fn is_ours(&self, path: &Path, body: &[u8]) -> object_store::Result<bool> {
        Ok(self.store.get(path).await?.bytes().await? == body)
    }
}

#[async_trait]
impl Receiver for Objects {
    fn group(&self, topic: usize) -> usize {
        topic
    }

    fn filling(&self) -> Filling {
        Filling::Full { records: self.batch }
    }

    fn place(&self, group: usize, records: usize) -> u64 {
        let mut offset = self.topics[group].offset.lock().unwrap_or_else(PoisonError::into_inner);
        let place = *offset;
        *offset += records as u64;
        place
    }

    async fn attempt(&self, group: usize, place: u64, records: &[Item]) -> Attempt {
        let topic = &self.topics[group];
        let name = object_name(&topic.name, place);
        let path = topic.folder.clone().join(name.as_str());
        let shown = format!("{}/{name}", topic.shown);
        let body = body(records);
        let put = self.store.put_opts(&path, PutPayload::from(body.clone()), PutMode::Create.into()).await;
        let outcome = match put {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => self.is_ours(&path, &body).await,
            Err(error) => Err(error),
        };
        Attempt::All(match outcome {
            Ok(true) => Answer::Acknowledged,
            Ok(false) => Answer::Refused(format!("{shown} exists already: another writer posts to this topic")),
            Err(error) => answer(storage_error(&format!("write {shown}"), error)),
        })
    }
}

fn answer(error: Error) -> Answer {
    let causes = error.causes().into_iter().map(|cause| format!(": {cause}")).collect::<String>();
    let reason = format!("{}{causes}", error.message);
    match error.kind() {
        ErrorKind::Service => Answer::later(reason),
        _ => Answer::Refused(reason),
    }
}

fn body(records: &[Item]) -> Vec<u8> {
    let mut body = Vec::with_capacity(records.iter().map(|item| item.payload.len() + 1).sum());
    for item in records {
        body.extend_from_slice(&item.payload);
        body.push(b'\n');
    }
    body
}

fn object_name(topic: &str, offset: u64) -> String {
    format!("{topic}+{PARTITION}+{offset:0width$}.json", width = OFFSET_DIGITS)
}

/// The offset in the name of an object, or None if the object does not belong to the topic.
fn offset_of(name: &str, topic: &str) -> Option<u64> {
    let rest = name.strip_prefix(topic)?.strip_prefix(&format!("+{PARTITION}+"))?;
    let digits = rest.strip_suffix(".gz").unwrap_or(rest).strip_suffix(".json")?;
    digits.parse().ok()
}

/// The offset after the last existing record.
async fn next_offset(store: &dyn ObjectStore, folder: &Path, shown: &str, topic: &str) -> Result<u64> {
    let failed = |error| storage_error(&format!("list {shown}"), error);
    let mut last: Option<(u64, Path)> = None;
    let mut objects = store.list(Some(folder));
    while let Some(object) = objects.try_next().await.map_err(failed)? {
        let offset = object.location.filename().and_then(|name| offset_of(name, topic));
        if let Some(offset) = offset
            && last.as_ref().is_none_or(|(latest, _)| *latest < offset)
        {
            last = Some((offset, object.location));
        }
    }
    let Some((offset, path)) = last else { return Ok(0) };
    let name = path.filename().unwrap_or_default();
    let failed = |error| storage_error(&format!("read {shown}/{name}"), error);
    let body = store.get(&path).await.map_err(failed)?.bytes().await.map_err(failed)?;
    let is_compressed = name.ends_with(".gz");
    let lines = if is_compressed { count_lines(MultiGzDecoder::new(&body[..])) } else { count_lines(&body[..]) };
    let lines = lines.map_err(|error| io_error(&format!("read {shown}/{name}"), error))?;
    Ok(offset + lines)
}

/// The number of non-empty lines. The last one may have no line break.
fn count_lines(text: impl Read) -> std::io::Result<u64> {
    let (mut lines, mut is_begun) = (0, false);
    let mut reader = std::io::BufReader::new(text);
    let mut buffer = [0; 8192];
    loop {
        let length = reader.read(&mut buffer)?;
        if length == 0 {
            return Ok(lines + u64::from(is_begun));
        }
        for byte in &buffer[..length] {
            match byte {
                b'\n' => {
                    lines += u64::from(is_begun);
                    is_begun = false;
                }
                _ => is_begun = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Topic;

    fn topics() -> Vec<PostedTopic> {
        vec![PostedTopic { topic: Topic::Pin, name: "0a1b.pin".to_owned() }]
    }

    async fn open(folder: &std::path::Path) -> Objects {
        let url = store::to_url(folder.to_str().unwrap()).unwrap();
        Objects::open(&url, "raw", &S3Config::default(), &topics(), None).await.unwrap()
    }

    fn item(text: &'static str) -> Item {
        Item { topic: 0, payload: text.into() }
    }

    #[test]
    fn names_are_the_connectors() {
        assert_eq!(object_name("0a1b.pin", 42), "0a1b.pin+0+0000000042.json");
        assert_eq!(offset_of("0a1b.pin+0+0000000042.json", "0a1b.pin"), Some(42));
        assert_eq!(offset_of("0a1b.pin+0+0000000042.json.gz", "0a1b.pin"), Some(42));
        for other in ["0a1b.pin+1+0000000042.json", "pin+0+0000000042.json", "0a1b.pin+0+0000000042.json.tmp"] {
            assert_eq!(offset_of(other, "0a1b.pin"), None, "{other}");
        }
    }

    #[test]
    fn lines_are_counted_with_and_without_an_end() {
        for (text, lines) in [("", 0), ("{}\n", 1), ("{}\n{}", 2), ("{}\n\n{}\n", 2)] {
            assert_eq!(count_lines(text.as_bytes()).unwrap(), lines, "{text:?}");
        }
    }

    #[tokio::test]
    async fn offsets_go_on_behind_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let objects = open(folder.path()).await;
        for records in [vec![item("{\"a\":1}"), item("{\"a\":2}")], vec![item("{\"a\":3}")]] {
            let place = objects.place(0, records.len());
            assert_eq!(objects.attempt(0, place, &records).await, Attempt::All(Answer::Acknowledged));
        }
        let partition = folder.path().join("topics/0a1b.pin/partition=0");
        let first = std::fs::read_to_string(partition.join("0a1b.pin+0+0000000000.json")).unwrap();
        assert_eq!(first, "{\"a\":1}\n{\"a\":2}\n");
        assert!(partition.join("0a1b.pin+0+0000000002.json").exists());
        assert_eq!(open(folder.path()).await.place(0, 1), 3);
    }

    #[tokio::test]
    async fn a_taken_name_is_our_own_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let objects = open(folder.path()).await;
        let records = [item("{\"a\":1}")];
        assert_eq!(objects.attempt(0, 0, &records).await, Attempt::All(Answer::Acknowledged));
        assert_eq!(objects.attempt(0, 0, &records).await, Attempt::All(Answer::Acknowledged), "the same once more");
        let other = objects.attempt(0, 0, &[item("{\"a\":2}")]).await;
        assert!(
            matches!(&other, Attempt::All(Answer::Refused(reason)) if reason.contains("another writer")),
            "{other:?}"
        );
        let kept = folder.path().join("topics/0a1b.pin/partition=0/0a1b.pin+0+0000000000.json");
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "{\"a\":1}\n");
    }
}
