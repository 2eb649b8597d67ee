//! The location of a Delta table, and the access to its log.
//!
//! The log store uses the object store of the session, so credentials, endpoints and retries are configured once. Commits are
//! put-if-absent through this store (`PutMode::Create`: a hard link on a local disk, `If-None-Match` in S3). Deliberately absent:
//! commits by rename, and lock tables.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::logstore::LogStoreRef;
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::storage::conditional_put::ConditionalPut;
use crate::storage::lenient_log::LenientLog;
use crate::storage::log_store::log_store;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The folder of a table. Cheap to clone. It holds no state of the table.
#[derive(Clone)]
pub struct TableLocation {
    name: String,
    url: Url,
    store: Arc<dyn ObjectStore>,
    path: Path,
    conditional_put: Arc<ConditionalPut>,
    registrar: Option<Arc<dyn Registrar>>,
}

impl fmt::Debug for TableLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableLocation({} at {})", self.name, self.url)
    }
}

impl TableLocation {
    /// The table at `url` (`file:///…` or `s3://bucket/…`). `name` is its name in errors. Fails if no store is configured for the
    /// URL.
    pub fn new(name: impl Into<String>, url: &Url, runtime: &RuntimeEnv) -> Result<Self> {
        let store = runtime
            .object_store_registry
            .get_store(url)
            .map_err(|_| Error::new(ErrorCode::InvalidLocation, format!("no storage is configured for {url}")))?;
        Self::with_store(name, url, store)
    }

    /// The same with a given store. The root of the store is the root of the bucket or the file system.
    pub fn with_store(name: impl Into<String>, url: &Url, store: Arc<dyn ObjectStore>) -> Result<Self> {
        let mut url = url.clone();
        let folder = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&folder);
        let path = Path::from_url_path(url.path()).map_err(|error| {
            Error::new(ErrorCode::InvalidLocation, format!("{url} is not a location for a table")).caused_by(error)
        })?;
        let conditional_put = Arc::new(ConditionalPut::new(store.clone(), path.clone(), url.clone()));
        Ok(Self { name: name.into(), url, store, path, conditional_put, registrar: None })
    }

    /// The same with a test of the store that other tables share.
    pub fn with_conditional_put(self, conditional_put: Arc<ConditionalPut>) -> Self {
        Self { conditional_put, ..self }
    }

    /// The same with a hook that receives every commit.
    pub fn with_registrar(self, registrar: Arc<dyn Registrar>) -> Self {
        Self { registrar: Some(registrar), ..self }
    }

    pub(crate) fn registrar(&self) -> Option<&Arc<dyn Registrar>> {
        self.registrar.as_ref()
    }

    /// True if the catalog service has an entry of the table, or if there is no catalog service.
    pub fn is_registered(&self) -> bool {
        self.registrar.as_ref().is_none_or(|registrar| registrar.is_known())
    }

    /// Registers the table with the catalog service.
    pub async fn register(&self) -> Result<()> {
        match &self.registrar {
            Some(registrar) => registrar.committed(self, true).await,
            None => Ok(()),
        }
    }

    /// Registers the table if the catalog service has no entry of it.
    pub async fn register_if_unknown(&self) -> Result<()> {
        if self.is_registered() { Ok(()) } else { self.register().await }
    }

    /// The name that messages use: `default.pins`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder, with a slash at the end.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The store of the whole bucket or file system.
    pub fn root_store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The table's folder in [`Self::root_store`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store with the table's folder as its root.
    pub fn table_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(self.store.clone(), self.path.clone()))
    }

    pub(crate) fn log_store(&self) -> LogStoreRef {
        log_store(self.table_store(), self.store.clone(), &self.url)
    }

    /// A log store without the files of the log that no reader needs, and without the checkpoint files in `hidden`.
    pub(crate) fn lenient_log_store(&self, hidden: Vec<Path>) -> LogStoreRef {
        let log = self.path.clone().join("_delta_log");
        let root: Arc<dyn ObjectStore> = Arc::new(LenientLog::new(self.store.clone(), log, hidden));
        let table = Arc::new(PrefixStore::new(root.clone(), self.path.clone()));
        log_store(table, root, &self.url)
    }

    /// Fails if the table is read-only here, or if two writers could both make the same version in its store.
    pub async fn require_writable(&self) -> Result<()> {
        if let Some(registrar) = &self.registrar {
            registrar.require_writable()?;
        }
        self.conditional_put.require().await
    }
}

/// The hook that tells a catalog service about commits.
///
/// A catalog service lists tables for other engines. The log is the truth: the service receives a commit after it landed, and its
/// failure does not undo the commit.
#[async_trait]
pub trait Registrar: fmt::Debug + Send + Sync {
    /// Fails if the table may only be read.
    fn require_writable(&self) -> Result<()>;

    /// True if the service has an entry of the table.
    fn is_known(&self) -> bool;

    /// Called after each commit. `defines` is true if the commit created the table or changed its columns or properties.
    async fn committed(&self, location: &TableLocation, defines: bool) -> Result<()>;
}
