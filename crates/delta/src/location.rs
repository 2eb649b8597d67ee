//! Where one Delta table lives, and how its log is reached.
//!
//! The log store is built over the session's own object store, so that credentials, endpoints and retries are
//! configured once. Commits are put-if-absent through that store (`PutMode::Create`: a hard link on a local disk,
//! `If-None-Match` in S3). There is no other way to commit: no rename, no lock table.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{LogicalPlanBuilder, cast, ident};
use deltalake::DeltaTable;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake::kernel::transaction::PROTOCOL;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use super::conditional_put::ConditionalPut;
use super::error::delta_error;
use super::registrar::Registrar;
use super::shape::refuse_variants;
use super::versions::{AsOf, Versions};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::normalize_type;

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

    pub(super) fn registrar(&self) -> Option<&Arc<dyn Registrar>> {
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

    pub(super) fn log_store(&self) -> LogStoreRef {
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

    /// Whether a Delta log is there.
    pub async fn exists(&self) -> Result<bool> {
        self.log_store().is_delta_table_location().await.map_err(|error| self.cannot_read(error))
    }

    /// The newest snapshot, or `None` when there is no table.
    pub async fn open(&self) -> Result<Option<DeltaTable>> {
        if !self.exists().await? {
            return Ok(None);
        }
        let mut table = DeltaTable::new(self.log_store());
        table.load().await.map_err(|error| self.cannot_read(error))?;
        Ok(Some(table))
    }

    /// The newest snapshot of a table that must be there.
    pub async fn open_existing(&self) -> Result<DeltaTable> {
        let missing = || Error::new(ErrorCode::TableOrViewNotFound, format!("there is no table {}", self.name));
        self.open().await?.ok_or_else(missing)
    }

    /// The snapshot of one version.
    pub async fn open_version(&self, version: u64) -> Result<DeltaTable> {
        let mut table = DeltaTable::new(self.log_store());
        table.load_version(version).await.map_err(|error| self.cannot_read(error))?;
        Ok(table)
    }

    /// The snapshot of the version that `as_of` means, of a table that was opened at its newest. An error says what versions
    /// there are when it means none.
    pub async fn open_as_of(&self, newest: DeltaTable, as_of: AsOf) -> Result<DeltaTable> {
        let version = Versions::of(self, &newest).await?.resolve(as_of)?;
        match newest.version() {
            Some(latest) if latest == version => Ok(newest),
            _ => self.open_version(version).await,
        }
    }

    /// A provider that reads the snapshot in `table`, and only that one. The session that runs it must know the store.
    pub fn provider(&self, table: &DeltaTable) -> Result<Arc<dyn TableProvider>> {
        let state = table.snapshot().map_err(|error| self.cannot_read(error))?;
        PROTOCOL.can_read_from(state).map_err(|error| self.cannot_read(error.into()))?;
        refuse_variants(&self.name, state)?;
        // A partition column has the type that the table says, not a dictionary of it.
        let config = DeltaScanConfig::new().with_wrap_partition_values(false);
        let scan = DeltaScanNext::new(state.snapshot().clone(), config)?;
        with_plain_binary(&self.name, Arc::new(scan))
    }

    fn cannot_read(&self, error: deltalake::DeltaTableError) -> Error {
        delta_error(&format!("read the table {}", self.name), error)
    }
}

/// BINARY columns as the bytes that functions take and literals are: the scan gives views of them, as it gives views of texts.
fn with_plain_binary(name: &str, scan: Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>> {
    let schema = scan.schema();
    if !schema.fields().iter().any(|field| has_binary_view(field.data_type())) {
        return Ok(scan);
    }
    let column = |field: &FieldRef| match has_binary_view(field.data_type()) {
        true => cast(ident(field.name()), normalize_type(field.data_type())).alias(field.name()),
        false => ident(field.name()),
    };
    let columns: Vec<_> = schema.fields().iter().map(column).collect();
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(scan), None)?.project(columns)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

fn has_binary_view(data_type: &DataType) -> bool {
    match data_type {
        DataType::BinaryView => true,
        DataType::List(item) | DataType::Map(item, _) => has_binary_view(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_binary_view(field.data_type())),
        _ => false,
    }
}
