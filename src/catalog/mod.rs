//! The warehouse: its schemas, tables, sinks, views and functions, and their locations.
//!
//! The warehouse consists of folders, `<warehouse>/<schema>/<table>`, on a local disk or in S3. Another engine finds a table by
//! its path. No state can go stale: each lookup lists the folders, and each statement opens its tables at their newest version.
//!
//! A sink has such a folder too, with its checkpoint. Its output is elsewhere.
//!
//! If `[catalog]` names a catalog service, other engines find the tables there, and so does the warehouse: see `service`.
//!
//! Deliberately absent: names for tables outside the warehouse without a service (`LOCATION`; queries read them by their path),
//! and a cache of any kind.

mod definitions;
mod dropping;
mod name;
mod service;

use std::fmt;
use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::DeltaTable;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use url::Url;

pub use self::definitions::{Definition, DefinitionKind};
pub use self::dropping::Dropped;
pub use self::name::{TableName, is_catalog, no_catalog, schema_name};
use self::service::{Found, Service, is_same_place};

use crate::config::Config;
use pinsql_base::engine_error::counted;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::storage_error::{io_error, storage_error};
use pinsql_delta::{AsOf, ConditionalPut, Registrar, TableLocation};

/// The name of the catalog of the warehouse. With a catalog service it is the second name of that catalog.
pub const CATALOG_NAME: &str = "pinsql";

/// The schema that always exists.
pub const DEFAULT_SCHEMA: &str = "default";

/// The object in each schema. It makes a schema without tables visible in a store without folders.
const SCHEMA_MARKER: &str = ".pinsql_schema";

/// The checkpoint folder of a streaming table or a sink, in the folder of the table or sink.
pub const CHECKPOINT_FOLDER: &str = "_pinsql_checkpoint";
/// The file in [`CHECKPOINT_FOLDER`] with the identity of the stream. A folder with this file and without a Delta log is a sink.
pub const CHECKPOINT_IDENTITY: &str = "checkpoint.json";

/// The table property of a streaming table. Its value is the id of the checkpoint.
pub const CHECKPOINT_PROPERTY: &str = "pinsql.checkpoint";

/// Parallel lookups when a schema is listed.
const LOOKUPS_IN_FLIGHT_MAX: usize = 16;

/// The folder of all schemas, and the catalog service if there is one. Cheap to clone.
#[derive(Clone)]
pub struct Warehouse {
    root: Url,
    store: Arc<dyn ObjectStore>,
    path: Path,
    conditional_put: Arc<ConditionalPut>,
    service: Option<Service>,
}

impl fmt::Debug for Warehouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Warehouse({})", self.root)
    }
}

impl Warehouse {
    /// Opens the warehouse at `root` (`file:///…` or `s3://bucket/…`) with a store of the runtime. The folder need not exist:
    /// writes create it. Fails with [`ErrorCode::InvalidLocation`].
    pub fn open(root: &Url, runtime: &RuntimeEnv) -> Result<Self> {
        let store = runtime
            .object_store_registry
            .get_store(root)
            .map_err(|_| Error::new(ErrorCode::InvalidLocation, format!("no storage is configured for {root}")))?;
        let mut root = root.clone();
        let folder = format!("{}/", root.path().trim_end_matches('/'));
        root.set_path(&folder);
        let path = Path::from_url_path(root.path()).map_err(|error| {
            Error::new(ErrorCode::InvalidLocation, format!("{root} is not a location for a warehouse")).caused_by(error)
        })?;
        let conditional_put = Arc::new(ConditionalPut::new(store.clone(), path.clone(), root.clone()));
        Ok(Self { root, store, path, conditional_put, service: None })
    }

    /// Adds the catalog service of the settings, if they have one. It receives no request yet.
    pub async fn with_service(self, config: &Config, runtime: &Arc<RuntimeEnv>) -> Result<Self> {
        let Some(settings) = &config.catalog else { return Ok(self) };
        let service = Service::connect(settings, config, runtime).await?;
        Ok(Self { service: Some(service), ..self })
    }

    /// The name of the catalog in SQL.
    pub fn catalog_name(&self) -> &str {
        self.service.as_ref().map_or(CATALOG_NAME, Service::name)
    }

    /// The URL of the folder, with a slash at the end.
    pub fn root(&self) -> &Url {
        &self.root
    }

    /// The location of a table. If there is no table, the location that a new table gets.
    pub async fn location(&self, name: &TableName) -> Result<TableLocation> {
        let own = self.folder(name)?;
        match &self.service {
            None => Ok(own),
            Some(service) => {
                let Found { location, registrar } = Box::pin(service.locate(name, own)).await?;
                Ok(location.with_registrar(registrar))
            }
        }
    }

    /// The location of a table that is created with LOCATION `place`. Fails if the catalog service has the table at another
    /// place.
    pub async fn location_at(&self, name: &TableName, place: &Url) -> Result<TableLocation> {
        let own = self.folder(name)?;
        let Some(service) = &self.service else { return Ok(own) };
        let Found { location, registrar } = service.locate(name, own).await?;
        if registrar.is_known() && !is_same_place(location.url(), place) {
            return Err(Error::new(
                ErrorCode::TableOrViewAlreadyExists,
                format!("{name} is at {} already", location.url()),
            )
            .with_hint("choose another name, or DROP TABLE, which leaves files that are not in the warehouse"));
        }
        Ok(service.open_place(name, place).await?.with_registrar(registrar))
    }

    /// True if the settings name a catalog service.
    pub fn has_service(&self) -> bool {
        self.service.is_some()
    }

    /// The URL of the folder of a name in the warehouse.
    pub fn folder_url(&self, name: &TableName) -> Result<Url> {
        self.folder(name).map(|location| location.url().clone())
    }

    /// The table with the folder `place`. `None` with a catalog service, since the name may then be at another place.
    pub fn name_at(&self, place: &Url) -> Option<TableName> {
        let inside = place.as_str().strip_prefix(self.root.as_str()).filter(|_| self.service.is_none())?;
        match inside.split('/').collect::<Vec<_>>().as_slice() {
            [schema, table] if name::is_name(schema) && name::is_name(table) => TableName::new(schema, table).ok(),
            _ => None,
        }
    }

    /// The folder of a name in the warehouse.
    fn folder(&self, name: &TableName) -> Result<TableLocation> {
        let mut url = self.root.clone();
        url.set_path(&format!("{}{}/{}/", self.root.path(), name.schema(), name.table()));
        let location = TableLocation::with_store(name.to_string(), &url, self.store.clone())?;
        Ok(location.with_conditional_put(self.conditional_put.clone()))
    }

    /// All schemas, in alphabetical order: those of the catalog service, or without one the folders of the warehouse.
    pub async fn schemas(&self) -> Result<Vec<String>> {
        if let Some(service) = &self.service {
            return service.schemas().await;
        }
        let mut schemas = self.folders(&self.path).await?;
        if !schemas.iter().any(|schema| schema == DEFAULT_SCHEMA) {
            schemas.push(DEFAULT_SCHEMA.to_owned());
        }
        schemas.sort();
        Ok(schemas)
    }

    /// True if the schema exists.
    pub async fn schema_exists(&self, schema: &str) -> Result<bool> {
        let schema = schema_name(schema)?;
        Ok(self.schemas().await?.contains(&schema))
    }

    /// Returns the name of the schema in lower case. Fails with [`ErrorCode::SchemaNotFound`], with the closest name in the hint.
    pub async fn require_schema(&self, schema: &str) -> Result<String> {
        let schema = schema_name(schema)?;
        let schemas = self.schemas().await?;
        if schemas.contains(&schema) {
            return Ok(schema);
        }
        let error = Error::new(ErrorCode::SchemaNotFound, format!("there is no schema {schema}"));
        Err(match nearest(&schema, schemas.iter().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error.with_hint(format!("CREATE SCHEMA {schema} makes it")),
        })
    }

    /// Creates a schema. Returns false if it exists already.
    pub async fn create_schema(&self, schema: &str) -> Result<bool> {
        let schema = schema_name(schema)?;
        if self.schemas().await?.contains(&schema) {
            return Ok(false);
        }
        self.conditional_put.require().await?;
        if let Some(service) = &self.service {
            service.create_schema(&schema).await?;
        }
        let marker = self.path.clone().join(schema.as_str()).join(SCHEMA_MARKER);
        let options = PutOptions::from(PutMode::Overwrite);
        self.store
            .put_opts(&marker, PutPayload::new(), options)
            .await
            .map_err(|error| storage_error(&format!("make the schema {schema} in {}", self.root), error))?;
        Ok(true)
    }

    /// Removes an empty schema. Fails with [`ErrorCode::SchemaNotEmpty`] if it has tables, views or functions.
    pub async fn drop_schema(&self, schema: &str) -> Result<()> {
        let schema = self.require_schema(schema).await?;
        if schema == DEFAULT_SCHEMA {
            return Err(Error::new(
                ErrorCode::WrongObjectType,
                format!("the schema {DEFAULT_SCHEMA} cannot be dropped"),
            ));
        }
        let tables = self.tables(&schema).await?;
        if let Some(table) = tables.first() {
            let count = counted(tables.len(), "table");
            let said = format!("the schema {schema} is not empty: it has {count}, such as {table}");
            return Err(Error::new(ErrorCode::SchemaNotEmpty, said).with_hint("drop them first"));
        }
        for (what, names) in [("view", self.views(&schema).await?), ("function", self.functions(&schema).await?)] {
            if let Some(name) = names.first() {
                let count = counted(names.len(), what);
                let said = format!("the schema {schema} is not empty: it has {count}, such as {name}");
                return Err(Error::new(ErrorCode::SchemaNotEmpty, said).with_hint("drop them first"));
            }
        }
        if let Some(service) = &self.service {
            service.drop_schema(&schema).await?;
        }
        let doing = format!("drop the schema {schema}");
        let folder = self.path.clone().join(schema.as_str());
        for table in self.folders(&folder).await? {
            self.purge_dropped(&TableName::new(&schema, &table)?).await?;
        }
        match self.store.delete(&folder.clone().join(SCHEMA_MARKER)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(storage_error(&doing, error)),
        }
        // A local disk keeps the folder. Other files in it stay.
        if let ("file", Ok(root)) = (self.root.scheme(), self.root.to_file_path()) {
            match tokio::fs::remove_dir(root.join(&schema)).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error(&doing, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The tables of a schema, in alphabetical order.
    pub async fn tables(&self, schema: &str) -> Result<Vec<String>> {
        let mut tables = self.named(schema, async |name| self.folder(&name)?.exists().await).await?;
        if let Some(service) = &self.service {
            tables.extend(service.tables(&schema_name(schema)?).await?);
            tables.sort();
            tables.dedup();
        }
        Ok(tables)
    }

    /// The sinks of a schema, in alphabetical order.
    pub async fn sinks(&self, schema: &str) -> Result<Vec<String>> {
        self.named(schema, async |name| self.sink_exists(&name).await).await
    }

    /// The names in a schema for which `is_it` returns true.
    async fn named(&self, schema: &str, is_it: impl AsyncFn(TableName) -> Result<bool>) -> Result<Vec<String>> {
        let schema = schema_name(schema)?;
        let folders = self.folders(&self.path.clone().join(schema.as_str())).await?;
        let look = async |folder: String| {
            let is_it = is_it(TableName::new(&schema, &folder)?).await?;
            Ok::<_, Error>(is_it.then_some(folder))
        };
        let found: Vec<Option<String>> =
            futures::stream::iter(folders).map(look).buffered(LOOKUPS_IN_FLIGHT_MAX).try_collect().await?;
        let mut names: Vec<String> = found.into_iter().flatten().collect();
        names.sort();
        Ok(names)
    }

    /// True if a sink has this name: its folder has a checkpoint and no Delta log.
    pub async fn sink_exists(&self, name: &TableName) -> Result<bool> {
        let location = self.folder(name)?;
        let identity = location.path().clone().join(CHECKPOINT_FOLDER).join(CHECKPOINT_IDENTITY);
        match self.store.head(&identity).await {
            Ok(_) => Ok(!location.exists().await?),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(storage_error(&format!("look for the sink {name}"), error)),
        }
    }

    /// True if a table has this name.
    pub async fn table_exists(&self, name: &TableName) -> Result<bool> {
        self.location(name).await?.exists().await
    }

    /// The location of a table and its newest snapshot. Fails as [`no_table`](Self::no_table) describes.
    pub async fn open_table(&self, name: &TableName) -> Result<(TableLocation, DeltaTable)> {
        let location = self.location(name).await?;
        match location.open().await? {
            Some(table) => Ok((location, table)),
            None => Err(self.no_table(name).await),
        }
    }

    /// The location of a table and the snapshot of an older version.
    pub async fn open_table_as_of(&self, name: &TableName, as_of: AsOf) -> Result<(TableLocation, DeltaTable)> {
        let (location, newest) = self.open_table(name).await?;
        let table = location.open_as_of(newest, as_of).await?;
        Ok((location, table))
    }

    /// The error for a name that is not a table: it is a sink, a view, or does not exist. The hint has the closest name.
    pub async fn no_table(&self, name: &TableName) -> Error {
        if self.sink_exists(name).await.unwrap_or(false) {
            return Error::new(ErrorCode::WrongObjectType, format!("{name} is a sink, and not a table"))
                .with_hint("a sink writes to the destination of its INTO; DROP SINK removes the sink");
        }
        if self.view_exists(name).await.unwrap_or(false) {
            return Error::new(ErrorCode::WrongObjectType, format!("{name} is a view, and not a table"));
        }
        let error = Error::new(ErrorCode::TableOrViewNotFound, format!("there is no table {name}"));
        // If the list fails, the error only has no hint.
        let tables = self.tables(name.schema()).await.unwrap_or_default();
        match nearest(name.table(), tables.iter().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean {}.{near}?", name.schema())),
            None if matches!(name.schema(), "parquet" | "json" | "csv") => error.with_hint(format!(
                "read_files('…', format => '{}') reads files, and FROM delta.`…` a Delta table",
                name.schema()
            )),
            None if tables.is_empty() => error.with_hint(format!("the schema {} has no tables", name.schema())),
            None => error.with_hint(format!("the schema {} has {}", name.schema(), some_of(&tables))),
        }
    }

    /// The names of the folders in a folder.
    async fn folders(&self, folder: &Path) -> Result<Vec<String>> {
        let listed = match self.store.list_with_delimiter(Some(folder)).await {
            Ok(listed) => listed,
            Err(object_store::Error::NotFound { .. }) if self.root.scheme() == "file" => return Ok(Vec::new()),
            Err(error) => return Err(storage_error(&format!("list the warehouse {}", self.root), error)),
        };
        let names = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename());
        Ok(names.filter(|name| name::is_name(name)).map(str::to_owned).collect())
    }
}

fn some_of(tables: &[String]) -> String {
    const SHOWN_MAX: usize = 5;
    let shown = tables.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    if tables.len() > SHOWN_MAX { format!("{shown} and {} more", tables.len() - SHOWN_MAX) } else { shown }
}

#[cfg(test)]
mod tests;
