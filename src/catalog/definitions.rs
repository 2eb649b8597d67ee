//! Definitions stored in the warehouse: views and functions. Each is an object with the statement that created it.
//!
//! A view is `<schema>/<view>/_pinsql_view.json`, so no table can have the same name. A function is
//! `<schema>/_pinsql_functions/<function>.json`, since functions have a separate name space. The object has the text of the
//! statement, and nothing that could go stale. A conditional PUT creates it.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use super::{TableName, Warehouse, schema_name};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

const VIEW_FILE: &str = "_pinsql_view.json";
const FUNCTIONS_FOLDER: &str = "_pinsql_functions";

/// The format of the objects. An object with another format is an error.
const FORMAT: u32 = 1;

/// The kind of a stored definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefinitionKind {
    /// CREATE VIEW.
    View,
    /// CREATE FUNCTION.
    Function,
}

impl DefinitionKind {
    fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Function => "function",
        }
    }
}

/// The stored definition of a view or a function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Definition {
    format: u32,
    /// The text of the statement, unchanged.
    pub sql: String,
    /// Milliseconds since 1970.
    pub created_at_ms: i64,
}

impl Definition {
    /// The definition of a statement that is created now.
    pub fn new(sql: String) -> Self {
        Self { format: FORMAT, sql, created_at_ms: chrono::Utc::now().timestamp_millis() }
    }
}

impl Warehouse {
    /// The definition with this name. `None` if there is none. Fails with [`ErrorCode::InvalidDefinition`].
    pub async fn definition(&self, kind: DefinitionKind, name: &TableName) -> Result<Option<Definition>> {
        let what = kind.name();
        let doing = || format!("read the definition of the {what} {name}");
        let object = match self.store.get(&self.definition_path(kind, name)).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            // The error of a local disk if the path of the folder is a file.
            Err(object_store::Error::Generic { source, .. }) if is_no_folder(source.as_ref()) => return Ok(None),
            Err(error) => return Err(storage_error(&doing(), error)),
        };
        let bytes = object.bytes().await.map_err(|error| storage_error(&doing(), error))?;
        let definition: Definition = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorCode::InvalidDefinition, format!("the definition of the {what} {name} is damaged"))
                .caused_by(error)
        })?;
        match definition.format {
            FORMAT => Ok(Some(definition)),
            other => Err(Error::new(
                ErrorCode::InvalidDefinition,
                format!("the {what} {name} is kept in format {other}, which this version does not know"),
            )
            .with_hint("a newer pinsql made it")),
        }
    }

    /// Stores a definition. Without `is_replace` an existing definition stays, and the result is false.
    pub async fn put_definition(
        &self,
        kind: DefinitionKind,
        name: &TableName,
        definition: &Definition,
        is_replace: bool,
    ) -> Result<bool> {
        self.conditional_put.require().await?;
        let doing = || format!("keep the {} {name}", kind.name());
        let bytes = serde_json::to_vec(definition)
            .map_err(|error| Error::internal("a definition is no JSON").caused_by(error))?;
        let mode = if is_replace { PutMode::Overwrite } else { PutMode::Create };
        let path = self.definition_path(kind, name);
        match self.store.put_opts(&path, PutPayload::from(bytes), PutOptions::from(mode)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(storage_error(&doing(), error)),
        }
    }

    /// Removes a definition. Returns false if there was none.
    pub async fn drop_definition(&self, kind: DefinitionKind, name: &TableName) -> Result<bool> {
        if self.definition(kind, name).await?.is_none() {
            return Ok(false);
        }
        match self.store.delete(&self.definition_path(kind, name)).await {
            Ok(()) => {}
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(storage_error(&format!("drop the {} {name}", kind.name()), error)),
        }
        // A local disk keeps folders. Only an empty one is removed.
        if let ("file", Ok(root)) = (self.root.scheme(), self.root.to_file_path()) {
            let folder = if kind == DefinitionKind::View { name.table() } else { FUNCTIONS_FOLDER };
            let _ = tokio::fs::remove_dir(root.join(name.schema()).join(folder)).await;
        }
        Ok(true)
    }

    /// True if a view has this name.
    pub async fn view_exists(&self, name: &TableName) -> Result<bool> {
        match self.store.head(&self.definition_path(DefinitionKind::View, name)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(storage_error(&format!("look for the view {name}"), error)),
        }
    }

    /// The views of a schema, in alphabetical order.
    pub async fn views(&self, schema: &str) -> Result<Vec<String>> {
        self.named(schema, async |name| self.view_exists(&name).await).await
    }

    /// The functions of a schema, in alphabetical order.
    pub async fn functions(&self, schema: &str) -> Result<Vec<String>> {
        let folder = self.path.clone().join(schema_name(schema)?.as_str()).join(FUNCTIONS_FOLDER);
        let listed: Vec<_> = match self.store.list(Some(&folder)).try_collect().await {
            Ok(listed) => listed,
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(storage_error(&format!("list the functions of {schema}"), error)),
        };
        let mut names: Vec<String> = listed
            .iter()
            .filter_map(|object| object.location.filename()?.strip_suffix(".json").map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }

    fn definition_path(&self, kind: DefinitionKind, name: &TableName) -> Path {
        let schema = self.path.clone().join(name.schema());
        match kind {
            DefinitionKind::View => schema.join(name.table()).join(VIEW_FILE),
            DefinitionKind::Function => schema.join(FUNCTIONS_FOLDER).join(format!("{}.json", name.table()).as_str()),
        }
    }
}

fn is_no_folder(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::NotADirectory;
        }
        next = cause.source();
    }
    false
}
