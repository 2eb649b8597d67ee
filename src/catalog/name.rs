//! The names of schemas and tables.
//!
//! Names are case-insensitive, as in Databricks. They are stored in lower case, also as folder names. Few characters are allowed,
//! since a name must be a valid folder name on every disk and in every store.

use std::fmt;

use super::{CATALOG_NAME, DEFAULT_SCHEMA};
use pinsql_base::error::{Error, ErrorCode, Result};

/// A folder name has at most 255 bytes, and the name of a rejects table is `_rejects` longer than the name of its table.
const NAME_CHARS_MAX: usize = 240;

/// The full name of a table, view, sink or function: valid, and in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    schema: String,
    table: String,
}

impl TableName {
    /// Fails with [`ErrorCode::InvalidIdentifier`] if a part is not valid.
    pub fn new(schema: &str, table: &str) -> Result<Self> {
        Ok(Self { schema: folded("schema", schema)?, table: folded("table", table)? })
    }

    /// Resolves the parts of a name in SQL: `t`, `schema.t` or `catalog.schema.t`. `catalog` is the name of the only catalog, and
    /// [`CATALOG_NAME`] is its second name.
    pub fn from_parts(parts: &[&str], catalog: &str, current_schema: &str) -> Result<Self> {
        match parts {
            [table] => Self::new(current_schema, table),
            [format, place] if place.contains('/') => Err(no_name(format, place)),
            [schema, table] => Self::new(schema, table),
            [named, schema, table] if is_catalog(named, catalog) => Self::new(schema, table),
            [named, _, _] => Err(no_catalog(named, catalog)),
            parts => {
                Err(Error::new(ErrorCode::InvalidIdentifier, format!("{} is not the name of a table", parts.join("."))))
            }
        }
    }

    /// The schema, in lower case.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The name without the schema, in lower case.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The name in the same schema without `suffix`, or None if it does not end with it.
    pub fn without_suffix(&self, suffix: &str) -> Option<Self> {
        let table = self.table.strip_suffix(suffix).filter(|table| !table.is_empty())?;
        Some(Self { schema: self.schema.clone(), table: table.to_owned() })
    }

    /// The name in the same schema with `suffix` added.
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self { schema: self.schema.clone(), table: format!("{}{suffix}", self.table) }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// True if `named` is one of the two names of the catalog: `catalog` or [`CATALOG_NAME`].
pub fn is_catalog(named: &str, catalog: &str) -> bool {
    [CATALOG_NAME, catalog].iter().any(|known| named.eq_ignore_ascii_case(known))
}

/// The error for the name of another catalog.
pub fn no_catalog(named: &str, catalog: &str) -> Error {
    Error::new(ErrorCode::SchemaNotFound, format!("there is no catalog {named}"))
        .with_hint(format!("the only catalog is {catalog}"))
}

/// The error for ``format.`path` `` in a place that needs a name.
fn no_name(format: &str, place: &str) -> Error {
    let hint = match format.to_ascii_lowercase().as_str() {
        "delta" => "only a query takes a table at a place: FROM delta.`path`".to_owned(),
        "parquet" => format!(
            "a query reads files with read_files('{place}', format => 'parquet'), and a Delta table with delta.`{place}`"
        ),
        "json" | "csv" => {
            format!("a query reads these files with read_files('{place}', format => '{format}')")
        }
        _ => format!("names have letters, digits and _, such as {DEFAULT_SCHEMA}.pin_data"),
    };
    Error::new(ErrorCode::InvalidIdentifier, format!("`{place}` is a place, and not the name of a table"))
        .with_hint(hint)
}

/// The name of a schema in lower case. Fails with [`ErrorCode::InvalidIdentifier`] if it is not valid.
pub fn schema_name(name: &str) -> Result<String> {
    folded("schema", name)
}

/// True if the name of a folder can be the name of a schema or a table.
pub(super) fn is_name(folder: &str) -> bool {
    folded("", folder).is_ok_and(|name| name == folder)
}

fn folded(what: &str, name: &str) -> Result<String> {
    if name.is_empty() || name.len() > NAME_CHARS_MAX {
        return Err(Error::new(
            ErrorCode::InvalidIdentifier,
            format!("`{name}` is not the name of a {what}: it needs 1 to {NAME_CHARS_MAX} characters"),
        ));
    }
    let allowed = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if let Some(character) = name.chars().find(|character| !allowed(*character)) {
        return Err(Error::new(
            ErrorCode::InvalidIdentifier,
            format!("`{name}` is not the name of a {what}: it contains {character:?}"),
        )
        .with_hint(format!("names have letters, digits and _, such as {DEFAULT_SCHEMA}.pin_data")));
    }
    if name.starts_with('_') {
        return Err(Error::new(
            ErrorCode::InvalidIdentifier,
            format!("`{name}` is not the name of a {what}: it begins with _"),
        )
        .with_hint("readers skip folders that begin with _"));
    }
    Ok(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_checked() {
        let name = |parts: &[&str]| TableName::from_parts(parts, "main", "Bronze").map(|name| name.to_string());
        assert_eq!(name(&["Pin_Data"]).unwrap(), "bronze.pin_data");
        assert_eq!(name(&["Silver", "t1"]).unwrap(), "silver.t1");
        for catalog in ["PINSQL", "Main"] {
            assert_eq!(name(&[catalog, "silver", "t"]).unwrap(), "silver.t");
        }
        for (parts, said) in [
            (&["hive_metastore", "a", "b"][..], "there is no catalog hive_metastore"),
            (&["a", "b", "c", "d"][..], "a.b.c.d is not the name of a table"),
            (&["../x"][..], "it contains '.'"),
            (&["Pins Data"][..], "it contains ' '"),
            (&[""][..], "it needs 1 to"),
            (&["_delta_log"][..], "it begins with _"),
            (&["delta", "/tmp/t"][..], "`/tmp/t` is a place, and not the name of a table"),
        ] {
            let error = name(parts).unwrap_err();
            assert!(error.message.contains(said), "{}", error.message);
        }
    }
}
