//! Catalog services: where other engines look for tables, and where pinsql looks too when `[catalog]` names one.
//!
//! What the service knows of a name goes before the warehouse: its entry says where the table is, in the warehouse or
//! elsewhere. A name without an entry is a folder of the warehouse, as without a service, and is registered by the next
//! commit to it. So what was made before the service was named, or while it could not be reached, appears there by itself.
//!
//! The log stays the truth about a table: the service is told of it after a commit and never instead of one. What it
//! keeps of columns is for those who browse it; engines read the log.
//!
//! Deliberately absent: credentials that a service gives out (the stores' own are used), tables that only the service may
//! write (managed ones are read), and views and functions, which stay in the warehouse.

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

/// The format of the tables that are read here.
const DELTA: &str = "DELTA";

/// A table as a service knows it.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    /// As the service writes it. A view has none.
    location: Option<String>,
    /// [`DELTA`], or another; in capitals.
    format: String,
    /// Whether only the service's own engines may write it.
    is_managed: bool,
}

/// An entry as a list has it.
struct Listed {
    name: String,
    /// As that of an [`Entry`].
    format: String,
}

/// What is registered of a table.
struct Registration<'a> {
    name: &'a TableName,
    location: &'a Url,
    definition: &'a TableDefinition,
}

impl Registration<'_> {
    /// As services compare locations: without the slash at the end, and S3 by its own name.
    fn location(&self) -> String {
        plain(self.location)
    }
}

/// One service. Whatever is asked of it twice is the same as asked once.
#[async_trait]
trait CatalogService: fmt::Debug + Send + Sync {
    /// The catalog as SQL names it.
    fn name(&self) -> &str;
    async fn schemas(&self) -> Result<Vec<String>>;
    async fn create_schema(&self, schema: &str) -> Result<()>;
    async fn drop_schema(&self, schema: &str) -> Result<()>;
    /// The entries of a schema, of whatever format; none when the service does not know it.
    async fn entries(&self, schema: &str) -> Result<Vec<Listed>>;
    async fn table(&self, name: &TableName) -> Result<Option<Entry>>;
    /// Makes the entry of a table, or brings it up to date as far as the service can.
    async fn register(&self, registration: &Registration<'_>) -> Result<()>;
    async fn unregister(&self, name: &TableName) -> Result<()>;
}

/// The service of a warehouse, and what it takes to open the places it names.
#[derive(Clone)]
pub(super) struct Service {
    catalog: Arc<dyn CatalogService>,
    runtime: Arc<RuntimeEnv>,
    s3: S3Config,
}

/// Where the service says that a table is.
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

    /// Refuses a schema in which there is anything: Glue would take every entry along, also those of other engines.
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

    /// Where a table is. `own` is where it is when the service does not know it, or knows it there.
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

    /// A place outside the warehouse.
    pub(super) async fn open_place(&self, name: &TableName, url: &Url) -> Result<TableLocation> {
        store::connect(&self.runtime, url, &self.s3).await?;
        TableLocation::new(name.to_string(), url, &self.runtime)
    }
}

pub(super) fn is_same_place(one: &Url, other: &Url) -> bool {
    plain(one) == plain(other)
}

/// `s3a` is how Hadoop calls `s3`.
fn plain(url: &Url) -> String {
    let text = url.as_str().trim_end_matches('/');
    text.strip_prefix("s3a://").map_or_else(|| text.to_owned(), |rest| format!("s3://{rest}"))
}

/// A name of the service, which keeps the entry behind it up to date.
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
