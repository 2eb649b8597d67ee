//! Writes objects to a folder or a bucket, with the object stores of the session.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use url::Url;

use super::encode::Object;
use super::options::Definition;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::retry::{Backoff, Retry};
use pinsql_base::storage_error::{io_error, storage_error};
use pinsql_base::store::{self, sync_paths};

/// The maximum number of objects that are written at the same time.
const PUTS_IN_FLIGHT_MAX: usize = 16;

/// Attempts to write one object, before the loop of the stream repeats the batch; the waits between them grow. The client of a
/// store does not repeat a conditional PUT whose response was lost, because it cannot know what an existing object means. Here it
/// is known: the object is the same, or it is an error.
const ATTEMPTS_MAX: u32 = 6;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// A folder or a bucket with a prefix (see the documentation of the module).
#[derive(Debug, Clone)]
pub struct Destination {
    url: Url,
    root: Path,
    store: Arc<dyn ObjectStore>,
}

impl Destination {
    /// Opens the destination. Its store must be known to `runtime` already (`Session::connect`).
    pub fn open(definition: &Definition, runtime: &RuntimeEnv) -> Result<Self> {
        let url = store::to_url(&definition.destination)?;
        let store = runtime
            .object_store_registry
            .get_store(&url)
            .map_err(|_| Error::new(ErrorCode::InvalidLocation, format!("no storage is configured for {url}")))?;
        let root = Path::from_url_path(url.path()).map_err(|error| {
            Error::new(ErrorCode::InvalidLocation, format!("{url} is not a location for objects")).caused_by(error)
        })?;
        Ok(Self { url, root, store })
    }

    /// Writes all objects. Each exists as a whole or not at all. After an error some of them may exist; a repeated call finds
    /// that they are the same.
    pub async fn put_all(&self, objects: Vec<Object>) -> Result<()> {
        let names: Vec<String> = objects.iter().map(|object| object.name.clone()).collect();
        let puts = objects.into_iter().map(|object| self.put_with_retries(object));
        // A failure does not stop the other writes.
        let outcomes: Vec<Result<()>> =
            futures::stream::iter(puts).buffer_unordered(PUTS_IN_FLIGHT_MAX).collect().await;
        outcomes.into_iter().collect::<Result<()>>()?;
        self.sync(names).await
    }

    async fn put_with_retries(&self, object: Object) -> Result<()> {
        let put = || async {
            self.put(&object).await.inspect_err(|error| tracing::debug!(%error, "an object cannot be written"))
        };
        Retry::new(BACKOFF).attempts_max(ATTEMPTS_MAX).run(|error: &Error| error.kind().is_retryable(), put).await
    }

    async fn put(&self, object: &Object) -> Result<()> {
        let Object { name, content, records: _ } = object;
        let path = self.path(name);
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&path, PutPayload::from(content.clone()), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                self.require_same(name, &path, content).await
            }
            Err(error) => Err(storage_error(&format!("write {}/{name}", self.url), error)),
        }
    }

    /// An earlier attempt to write the batch, by this process or by one that was killed, has written the same object.
    async fn require_same(&self, name: &str, path: &Path, content: &Bytes) -> Result<()> {
        let read = async { self.store.get(path).await?.bytes().await };
        let there = read.await.map_err(|error| storage_error(&format!("read {}/{name}", self.url), error))?;
        if there == *content {
            return Ok(());
        }
        Err(Error::new(ErrorCode::WriterConflict, format!("{}/{name} already exists with other content", self.url)).with_hint(
            "another sink or connector writes to this destination, or the query changed while its last batch was not finished: \
             give this sink a separate destination, or let the earlier query finish its batch",
        ))
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.root.clone(), |path, part| path.join(part))
    }

    /// Objects that the checkpoint lists must exist after a power cut.
    async fn sync(&self, names: Vec<String>) -> Result<()> {
        let ("file", Ok(folder)) = (self.url.scheme(), self.url.to_file_path()) else { return Ok(()) };
        let mut paths = BTreeSet::new();
        for name in &names {
            let inside = std::path::Path::new(name).ancestors().filter(|path| !path.as_os_str().is_empty());
            paths.extend(inside.map(|path| folder.join(path)));
        }
        let synced = sync_paths(paths.into_iter().collect()).await;
        synced.map_err(|error| io_error(&format!("write objects to {}", self.url), error))
    }
}
