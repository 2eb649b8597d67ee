//! Catalog services, in which other engines find the tables. pinsql uses one if `[catalog]` names it.
//!
//! The entry of the service has priority over the warehouse: it has the location of the table, in the warehouse or outside. A
//! name without an entry is a folder of the warehouse, as without a service, and the next commit to it registers it. So tables
//! that were created without the service, or during an outage, are registered later.
//!
//! The Delta log is the only truth about a table. The service receives an update after a commit, and never instead of one. Its
//! columns are only for people who browse it, since engines read the log.
//!
//! Deliberately absent: credentials from the service (those of the stores are used), writes to managed tables (they are only
//! read), and views and functions, which stay in the warehouse.

mod api;
mod glue;
mod types;
mod unity;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use datafusion::execution::runtime_env::RuntimeEnv;
use url::Url;

use super::TableName;
use crate::config::{CatalogConfig, CatalogKind, Config, S3Config};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::store;
use pinsql_delta::{Registrar, TableDefinition, TableLocation, definition};

/// The format of the tables that pinsql reads.
const DELTA: &str = "DELTA";

/// The entry of a table in a service.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    /// As the service returns it. A view has none.
    location: Option<String>,
    /// [`DELTA`] or another format, in capitals.
    format: String,
    /// True if only the engines of the service may write it.
    is_managed: bool,
}

/// An entry in a list.
struct Listed {
    name: String,
    /// As in [`Entry`].
    format: String,
}

/// The facts that are registered about a table.
struct Registration<'a> {
    name: &'a TableName,
    location: &'a Url,
    definition: &'a TableDefinition,
}

impl Registration<'_> {
    /// The location without the slash at the end, and with the scheme `s3`, since services compare locations as text.
    fn location(&self) -> String {
        plain(self.location)
    }
}

/// One service. All methods are idempotent.
#[async_trait]
trait CatalogService: fmt::Debug + Send + Sync {
    /// The name of the catalog in SQL.
    fn name(&self) -> &str;
    async fn schemas(&self) -> Result<Vec<String>>;
    async fn create_schema(&self, schema: &str) -> Result<()>;
    async fn drop_schema(&self, schema: &str) -> Result<()>;
    /// The entries of a schema, of any format. Empty if the schema does not exist.
    async fn entries(&self, schema: &str) -> Result<Vec<Listed>>;
    async fn table(&self, name: &TableName) -> Result<Option<Entry>>;
    /// Creates the entry of a table, or updates it as far as the service can.
    async fn register(&self, registration: &Registration<'_>) -> Result<()>;
    async fn unregister(&self, name: &TableName) -> Result<()>;
}

/// The service of a warehouse, and the settings to open the locations that it returns.
#[derive(Clone)]
pub(super) struct Service {
    catalog: Arc<dyn CatalogService>,
    runtime: Arc<RuntimeEnv>,
    s3: S3Config,
}

/// A table and its entry in the service.
pub(super) struct Found {
    pub(super) location: TableLocation,
    pub(super) registrar: Arc<RegisteredName>,
}

impl Service {
    pub(super) async fn connect(settings: &CatalogConfig, config: &Config, runtime: &Arc<RuntimeEnv>) -> Result<Self> {
        let catalog: Arc<dyn CatalogService> = match settings.kind {
            CatalogKind::Unity => Arc::new(unity::UnityCatalog::new(settings)?),
            CatalogKind::Glue => Arc::new(glue::GlueCatalog::connect(settings, config.s3.region.as_deref()).await?),
        };
        Ok(Self { catalog, runtime: Arc::clone(runtime), s3: config.s3.clone() })
    }

    pub(super) fn name(&self) -> &str {
        self.catalog.name()
    }

    pub(super) async fn schemas(&self) -> Result<Vec<String>> {
        let mut schemas = self.catalog.schemas().await?;
        schemas.sort();
        Ok(schemas)
    }

    pub(super) async fn create_schema(&self, schema: &str) -> Result<()> {
        self.catalog.create_schema(schema).await
    }

    /// Fails if the schema has any entry: Glue would delete every entry, also those of other engines.
    pub(super) async fn drop_schema(&self, schema: &str) -> Result<()> {
        if let Some(Listed { name, format }) = self.catalog.entries(schema).await?.first() {
            let said =
                format!("the schema {schema} is not empty: the catalog {} has {name} there, {format}", self.name());
            return Err(Error::new(ErrorCode::SchemaNotEmpty, said).with_hint("remove it with the engine that made it"));
        }
        self.catalog.drop_schema(schema).await
    }

    /// The Delta tables of a schema.
    pub(super) async fn tables(&self, schema: &str) -> Result<Vec<String>> {
        let entries = self.catalog.entries(schema).await?.into_iter();
        Ok(entries.filter(|entry| entry.format == DELTA).map(|entry| entry.name).collect())
    }

    pub(super) async fn unregister(&self, name: &TableName) -> Result<()> {
        self.catalog.unregister(name).await
    }

    /// The location of a table. `own` is its folder in the warehouse, and the result if the service has no entry or the same
    /// location.
    pub(super) async fn locate(&self, name: &TableName, own: TableLocation) -> Result<Found> {
        let entry = self.catalog.table(name).await?;
        let registrar = Arc::new(RegisteredName {
            service: self.clone(),
            name: name.clone(),
            is_known: AtomicBool::new(entry.is_some()),
            is_managed: entry.as_ref().is_some_and(|entry| entry.is_managed),
        });
        let location = match entry {
            None => own,
            Some(entry) => self.place(name, &entry, own).await?,
        };
        Ok(Found { location, registrar })
    }

    async fn place(&self, name: &TableName, entry: &Entry, own: TableLocation) -> Result<TableLocation> {
        let catalog = self.name();
        if entry.format != DELTA {
            return Err(Error::new(
                ErrorCode::WrongObjectType,
                format!("{name} is no Delta table in the catalog {catalog}, but {}", entry.format),
            )
            .with_hint("pinsql reads and writes Delta tables; name another table, or another schema"));
        }
        let location = entry.location.as_deref().ok_or_else(|| {
            Error::new(
                ErrorCode::ServiceUnavailable,
                format!("the catalog {catalog} has {name}, and does not say where its files are"),
            )
        })?;
        let url = store::to_url(location).map_err(|error| {
            Error::new(
                ErrorCode::InvalidLocation,
                format!("the catalog {catalog} has {name} at `{location}`, which is no place to read"),
            )
            .caused_by(error)
        })?;
        if is_same_place(&url, own.url()) {
            return Ok(own);
        }
        self.open_place(name, &url).await
    }

    /// Opens a location outside the warehouse.
    pub(super) async fn open_place(&self, name: &TableName, url: &Url) -> Result<TableLocation> {
        store::connect(&self.runtime, url, &self.s3).await?;
        TableLocation::new(name.to_string(), url, &self.runtime)
    }
}

pub(super) fn is_same_place(one: &Url, other: &Url) -> bool {
    plain(one) == plain(other)
}

/// The text of a URL for comparisons. Hadoop writes `s3a` for `s3`.
fn plain(url: &Url) -> String {
    let text = url.as_str().trim_end_matches('/');
    text.strip_prefix("s3a://").map_or_else(|| text.to_owned(), |rest| format!("s3://{rest}"))
}

/// A name in the service. It updates the entry after each commit.
pub(super) struct RegisteredName {
    service: Service,
    name: TableName,
    is_known: AtomicBool,
    is_managed: bool,
}

impl fmt::Debug for RegisteredName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegisteredName({} in {})", self.name, self.service.name())
    }
}

#[async_trait]
impl Registrar for RegisteredName {
    fn require_writable(&self) -> Result<()> {
        match self.is_managed {
            false => Ok(()),
            true => Err(Error::new(
                ErrorCode::WrongObjectType,
                format!(
                    "{} is a managed table of the catalog {}, which only its own engines write",
                    self.name,
                    self.service.name()
                ),
            )
            .with_hint("write to an external table: CREATE TABLE makes one in the warehouse")),
        }
    }

    fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    async fn committed(&self, location: &TableLocation, defines: bool) -> Result<()> {
        if self.is_known() && !defines {
            return Ok(());
        }
        let registered = async {
            let table = location.open_existing().await?;
            let definition = definition(location, &table)?;
            let registration = Registration { name: &self.name, location: location.url(), definition: &definition };
            self.service.catalog.register(&registration).await
        };
        registered.await?;
        self.is_known.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_the_same_whatever_they_end_in() {
        let same = |one: &str, other: &str| is_same_place(&Url::parse(one).unwrap(), &Url::parse(other).unwrap());
        assert!(same("s3://lake/t", "s3a://lake/t/"));
        assert!(same("file:///lake/t/", "file:///lake/t"));
        assert!(!same("s3://lake/t", "s3://lake/t2"));
    }
}
