//! Views and functions of the warehouse: for each an object with the statement that made it.
//!
//! A view is `<schema>/<view>/_pinsql_view.json`, so that it takes the place of a table of that name. A function is
//! `<schema>/_pinsql_functions/<function>.json`: functions have a name space of their own. What is kept is the text as it was
//! written, and nothing that could go stale beside it. Both are made by a conditional PUT.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use super::{TableName, Warehouse, schema_name};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

const VIEW_FILE: &str = "_pinsql_view.json";
const FUNCTIONS_FOLDER: &str = "_pinsql_functions";

/// What this program writes. Another number is another program's, and not guessed at.
const FORMAT: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefinitionKind {
    View,
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

/// A statement that made a view or a function, as it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Definition {
    format: u32,
    pub sql: String,
    pub created_at_ms: i64,
}

impl Definition {
    pub fn new(sql: String) -> Self {
        Self { format: FORMAT, sql, created_at_ms: chrono::Utc::now().timestamp_millis() }
    }
}

impl Warehouse {
    /// The definition of that name, if there is one.
    pub async fn definition(&self, kind: DefinitionKind, name: &TableName) -> Result<Option<Definition>> {
        let what = kind.name();
        let doing = || format!("read the definition of the {what} {name}");
        let object = match self.store.get(&self.definition_path(kind, name)).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            // A local disk says so when the folder's name is that of a file.
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

    /// Keeps a definition. Says whether it was put: without `is_replace`, one that is there stays.
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

    /// Removes a definition. Says whether there was one.
    pub async fn drop_definition(&self, kind: DefinitionKind, name: &TableName) -> Result<bool> {
        if self.definition(kind, name).await?.is_none() {
            return Ok(false);
        }
        match self.store.delete(&self.definition_path(kind, name)).await {
            Ok(()) => {}
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(storage_error(&format!("drop the {} {name}", kind.name()), error)),
        }
        // A local disk keeps folders, and an empty one says nothing; one that is not empty stays.
        if let ("file", Ok(root)) = (self.root.scheme(), self.root.to_file_path()) {
            let folder = if kind == DefinitionKind::View { name.table() } else { FUNCTIONS_FOLDER };
            let _ = tokio::fs::remove_dir(root.join(name.schema()).join(folder)).await;
        }
        Ok(true)
    }

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
