//! Tests that a store creates an object only if it is absent, as Delta commits need.
//!
//! Some stores accept the condition (`If-None-Match: *`) and overwrite the object. Then two writers could both make the same
//! version, and the rows of one would be lost without an error. So the store is tested before the first write of a process: an
//! empty object with a fixed name is created, and a second creation must fail. The object stays, so the next process needs one
//! request and not two.

use std::fmt;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::sync::OnceCell;
use url::Url;

use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// The name of the object, in the folder of the table.
const PROBE: &str = ".pinsql_conditional_put";

const HINT: &str = "Delta tables need a store that can create an object only if it is absent, such as S3 itself";

/// The store of one folder, and whether it passed the test. All writers of the folder share it.
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

    /// Fails if the store does not pass the test. A local disk is not tested, since hard links cannot overwrite.
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
        // A failure to delete the object must not hide the result of the test.
        let _ = self.store.delete(&self.probe_path()).await;
        Err(Error::new(
            ErrorCode::UnsupportedStore,
            format!("the store of {} overwrites an object that it was told to create", self.url),
        )
        .with_hint(HINT))
    }

    /// Creates the object. Returns true if the store refused, because the object exists.
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
