//! Whether a store creates an object only if it is absent, as Delta's commits need.
//!
//! Some stores take the condition (`If-None-Match: *`) and overwrite all the same. Two writers could then both believe that
//! they made a version, and the rows of one of them would be gone without a word. So a store is put to the test before the
//! first write of a process: an empty object with a fixed name is created, and must not be created again. It stays
//! there, so that the next process needs one request and not two.

use std::fmt;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::sync::OnceCell;
use url::Url;

use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// The object, in the folder that is written to.
const PROBE: &str = ".pinsql_conditional_put";

const HINT: &str = "Delta tables need a store that can create an object only if it is absent, such as S3 itself";

/// One folder's store, and whether it has passed. Shared by all that write there.
pub struct ConditionalPut {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    url: Url,
    passed: OnceCell<()>,
}

impl fmt::Debug for ConditionalPut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConditionalPut({})", self.url)
    }
}

impl ConditionalPut {
    /// The test of one folder. It is done at the first call of [`Self::require`].
    pub fn new(store: Arc<dyn ObjectStore>, folder: Path, url: Url) -> Self {
        Self { store, folder, url, passed: OnceCell::new() }
    }

    /// Refuses a store that does not pass. A local disk is not asked: its hard links cannot overwrite.
    pub async fn require(&self) -> Result<()> {
        if self.url.scheme() == "file" {
            return Ok(());
        }
        self.passed.get_or_try_init(|| self.probe()).await.map(|_| ())
    }

    async fn probe(&self) -> Result<()> {
        if self.is_refused().await? || self.is_refused().await? {
            return Ok(());
        }
        // What is left of the test is of no use to anybody, and its failure would hide the answer.
        let _ = self.store.delete(&self.probe_path()).await;
        Err(Error::new(
            ErrorCode::UnsupportedStore,
            format!("the store of {} overwrites an object that it was told to create", self.url),
        )
        .with_hint(HINT))
    }

    /// Creates the object; whether the store refused because it is there.
    async fn is_refused(&self) -> Result<bool> {
        let create = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&self.probe_path(), PutPayload::new(), create).await {
            Ok(_) => Ok(false),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(true),
            Err(error @ (object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. })) => {
                Err(storage_error(&format!("write to {}", self.url), error).with_hint(HINT))
            }
            Err(error) => Err(storage_error(&format!("write to {}", self.url), error)),
        }
    }

    fn probe_path(&self) -> Path {
        self.folder.clone().join(PROBE)
    }
}
