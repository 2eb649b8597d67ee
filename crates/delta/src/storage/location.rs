//! Where one Delta table lives, and how its log is reached.
//!
//! The log store is built over the session's own object store, so that credentials, endpoints and retries are
//! configured once. Commits are put-if-absent through that store (`PutMode::Create`: a hard link on a local disk,
//! `If-None-Match` in S3). There is no other way to commit: no rename, no lock table.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::storage::conditional_put::ConditionalPut;
use pinsql_base::error::{Error, ErrorCode, Result};

/// One table's folder. Cheap to clone; holds nothing of the table's state.
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
    /// The table that errors call `name`, at `url` (`file:///…` or `s3://bucket/…`).
    pub fn new(name: impl Into<String>, url: &Url, runtime: &RuntimeEnv) -> Result<Self> {
        let store = runtime
            .object_store_registry
            .get_store(url)
            .map_err(|_| Error::new(ErrorCode::InvalidLocation, format!("no storage is configured for {url}")))?;
        Self::with_store(name, url, store)
    }

    /// The same over a given store, whose root is the root of the bucket or the file system.
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

    /// The same, with a test of the store that other tables share.
    pub fn with_conditional_put(self, conditional_put: Arc<ConditionalPut>) -> Self {
        Self { conditional_put, ..self }
    }

    /// The same, of which somebody wants to know what it becomes.
    pub fn with_registrar(self, registrar: Arc<dyn Registrar>) -> Self {
        Self { registrar: Some(registrar), ..self }
    }

    pub(crate) fn registrar(&self) -> Option<&Arc<dyn Registrar>> {
        self.registrar.as_ref()
    }

    /// Whether a catalog service knows the table; true where there is none to ask.
    pub fn is_registered(&self) -> bool {
        self.registrar.as_ref().is_none_or(|registrar| registrar.is_known())
    }

    /// Tells the catalog service of the table that is here.
    pub async fn register(&self) -> Result<()> {
        match &self.registrar {
            Some(registrar) => registrar.committed(self, true).await,
            None => Ok(()),
        }
    }

    /// The same, unless it knows it.
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
        default_logstore(self.table_store(), self.store.clone(), &self.url, &StorageConfig::default())
    }

    /// Refuses a table that others alone may write, and a store in which two writers could both believe that they made a
    /// version.
    pub async fn require_writable(&self) -> Result<()> {
        if let Some(registrar) = &self.registrar {
            registrar.require_writable()?;
        }
        self.conditional_put.require().await
    }
}

/// The hook that tells a catalog service about commits.
///
/// A catalog service lists tables for other engines. The log stays the truth: the service is told after a commit, and when that
/// fails the commit stands.
#[async_trait]
pub trait Registrar: fmt::Debug + Send + Sync {
    /// Refuses a table that may be read only.
    fn require_writable(&self) -> Result<()>;

    /// Whether there is an entry of the table.
    fn is_known(&self) -> bool;

    /// A version landed. `defines` says that it made the table or changed its columns or properties.
    async fn committed(&self, location: &TableLocation, defines: bool) -> Result<()>;
}
