//! Changes of a table's definition: its Metadata, and its Protocol if that must be raised.
//!
//! The existing Metadata is edited as JSON, so that keys of other engines stay. The actions are built again for each attempt to
//! commit.
//!
//! Deliberately absent: renaming and dropping columns (they need column mapping) and changing types (type widening). The parser
//! refuses them.

mod schema;

use std::collections::BTreeMap;

use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{Action, DataType as DeltaType, Metadata, StructField};
use deltalake::table::state::DeltaTableState;
use serde_json::{Map, Value, json};

use crate::spec::definition::{Column, Constraint, check_column_names};
use crate::spec::features::CONSTRAINT_PREFIX;
use crate::spec::properties;
use crate::spec::protocol;
use crate::spec::types::{COMMENT_KEY, storable};
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

/// A change of a table's definition.
#[derive(Debug, Clone, PartialEq)]
pub enum Alteration {
    AddColumns(Vec<NewColumn>),
    SetProperties(BTreeMap<String, String>),
    UnsetProperties {
        keys: Vec<String>,
        if_exists: bool,
    },
    AddConstraint(Constraint),
    DropConstraint {
        name: String,
    },
    /// The comment on a column, or on a field of one.
    CommentColumn {
        path: Vec<String>,
        comment: Option<String>,
    },
    SetNullable {
        column: String,
        nullable: bool,
    },
    MoveColumn {
        path: Vec<String>,
        position: ColumnPosition,
    },
    /// The comment on the table.
    Comment(Option<String>),
}

/// A column of a table, or a field of one of its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct NewColumn {
    /// The path of the STRUCT that gets the field. Empty for a column of the table.
    pub parents: Vec<String>,
    /// The definition of the column.
    pub column: Column,
    /// The position. `None` means the end.
    pub position: Option<ColumnPosition>,
}

/// The position of a column among its siblings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnPosition {
    First,
    After(String),
}

impl Alteration {
    /// The actions for the log.
    pub(crate) fn actions(&self, on: &DeltaTableState) -> Result<Vec<Action>> {
        let (metadata, writer_version) = self.altered(on.metadata())?;
        let protocol = protocol::raised(on.protocol(), &metadata, writer_version)?;
        Ok(protocol.map(Action::Protocol).into_iter().chain([Action::Metadata(metadata)]).collect())
    }

    /// The changed metadata, and the writer version if the change sets `delta.minWriterVersion`.
    pub(crate) fn altered(&self, metadata: &Metadata) -> Result<(Metadata, Option<i32>)> {
        let mut value = serde_json::to_value(metadata).map_err(broken)?;
        let mut writer_version = None;
        match self {
            Self::SetProperties(wanted) => {
                let checked = properties::checked(wanted)?;
                writer_version = checked.writer_version;
                let kept = checked.kept.into_iter().map(|(key, text)| (key, Value::String(text)));
                configuration(&mut value)?.extend(kept);
            }
            Self::UnsetProperties { keys, if_exists } => unset(configuration(&mut value)?, keys, *if_exists)?,
            Self::AddConstraint(Constraint { name, sql }) => {
                let taken = configuration(&mut value)?.insert(Constraint::key_of(name), json!(sql));
                if taken.is_some() {
                    return Err(Error::new(
                        ErrorCode::InvalidTableDefinition,
                        format!("there is a constraint named {name} already"),
                    )
                    .with_hint("choose another name, or drop the one that is there first"));
                }
            }
            Self::DropConstraint { name } => {
                let constraints = configuration(&mut value)?;
                if constraints.remove(&Constraint::key_of(name)).is_none() {
                    return Err(no_constraint(name, constraints));
                }
            }
            Self::Comment(comment) => value["description"] = json!(comment),
            Self::AddColumns(_) | Self::CommentColumn { .. } | Self::SetNullable { .. } | Self::MoveColumn { .. } => {
                let mut schema: Value = value["schemaString"]
                    .as_str()
                    .and_then(|text| serde_json::from_str(text).ok())
                    .ok_or_else(|| Error::new(ErrorCode::InvalidDeltaLog, "the table's schema cannot be read"))?;
                self.alter_schema(&mut schema, metadata)?;
                value["schemaString"] = json!(schema.to_string());
            }
        }
        let altered: Metadata = serde_json::from_value(value).map_err(broken)?;
        // The new schema must be readable.
        altered.parse_schema().map_err(|error| {
            Error::new(ErrorCode::InvalidTableDefinition, "the columns do not make a table").caused_by(error)
        })?;
        Ok((altered, writer_version))
    }

    fn alter_schema(&self, schema: &mut Value, metadata: &Metadata) -> Result<()> {
        match self {
            Self::AddColumns(columns) => columns.iter().try_for_each(|column| add_column(schema, column)),
            Self::CommentColumn { path, comment } => {
                let metadata = &mut schema::field(schema, path)?["metadata"];
                match (comment, metadata) {
                    (Some(comment), metadata) => metadata[COMMENT_KEY] = json!(comment),
                    (None, Value::Object(metadata)) => drop(metadata.remove(COMMENT_KEY)),
                    (None, _) => {}
                }
                Ok(())
            }
            Self::SetNullable { column, nullable } => {
                schema::field(schema, std::slice::from_ref(column))?["nullable"] = json!(nullable);
                Ok(())
            }
            Self::MoveColumn { path, position } => schema::move_field(schema, path, position),
            _ => Err(Error::internal(format!("{} has no columns", metadata.id()))),
        }
    }
}

impl NewColumn {
    pub(crate) fn path(&self) -> Vec<&str> {
        self.parents.iter().map(String::as_str).chain([self.column.name.as_str()]).collect()
    }
}

fn broken(error: serde_json::Error) -> Error {
    Error::internal("cannot build the table's metadata").caused_by(error)
}

/// The properties in the metadata. Metadata without properties can lack the object.
fn configuration(metadata: &mut Value) -> Result<&mut Map<String, Value>> {
    if metadata["configuration"].is_null() {
        metadata["configuration"] = json!({});
    }
    metadata["configuration"]
        .as_object_mut()
        .ok_or_else(|| Error::new(ErrorCode::InvalidDeltaLog, "the table's properties cannot be read"))
}

fn unset(configuration: &mut Map<String, Value>, keys: &[String], if_exists: bool) -> Result<()> {
    for key in keys {
        let stored = properties::stored_key(key)?;
        if configuration.remove(&stored).is_none() && !if_exists {
            let error = Error::new(ErrorCode::UnknownProperty, format!("the table has no property {key}"));
            let names = configuration.keys().map(String::as_str).filter(|name| !name.starts_with(CONSTRAINT_PREFIX));
            return Err(match nearest(key, names) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error.with_hint("UNSET TBLPROPERTIES IF EXISTS passes over it"),
            });
        }
    }
    Ok(())
}

fn no_constraint(name: &str, configuration: &Map<String, Value>) -> Error {
    let error = Error::new(ErrorCode::UnknownProperty, format!("the table has no constraint named {name}"));
    let names: Vec<&str> = configuration.keys().filter_map(|key| key.strip_prefix(CONSTRAINT_PREFIX)).collect();
    match nearest(name, names.iter().copied()) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None if names.is_empty() => error.with_hint("it has none at all"),
        None => error.with_hint(format!("it has {}", names.join(", "))),
    }
}

fn add_column(schema: &mut Value, new: &NewColumn) -> Result<()> {
    let path = new.path().join(".");
    check_column_names(&path, &new.column)?;
    let stored = storable(&path, &new.column.data_type)?;
    let delta: DeltaType = (&stored)
        .try_into_kernel()
        .map_err(|error| Error::internal(format!("column {path} has no Delta type")).caused_by(error))?;
    let mut field =
        serde_json::to_value(StructField::new(&new.column.name, delta, new.column.nullable)).map_err(broken)?;
    if let Some(comment) = &new.column.comment {
        field["metadata"][COMMENT_KEY] = json!(comment);
    }
    schema::insert_field(schema, &new.parents, field, new.position.as_ref())
}

#[cfg(test)]
mod tests;
