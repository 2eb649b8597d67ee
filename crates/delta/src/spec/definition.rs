//! The definition in a CREATE TABLE: checks it, and turns it into the Metadata and Protocol actions.

use std::collections::{BTreeMap, HashSet};

use arrow::datatypes::{DataType, Field, Schema};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{
    DataType as DeltaType, Metadata, MetadataExt, MetadataValue, Protocol, StructField, StructType, new_metadata,
};

use crate::spec::features::CONSTRAINT_PREFIX;
use crate::spec::properties;
use crate::spec::protocol;
use crate::spec::types::{COMMENT_KEY, nullable, storable};
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

/// Characters that a column name cannot have without column mapping (protocol 2/5), since Parquet readers do not support them.
const FORBIDDEN: &str = " ,;{}()\n\t=";

/// A column of a table definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The name.
    pub name: String,
    /// Any Arrow type. The type in the table is derived from it.
    pub data_type: DataType,
    /// False for NOT NULL.
    pub nullable: bool,
    /// The comment, if there is one.
    pub comment: Option<String>,
}

/// A CHECK constraint: a condition that every row of a table meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// The name. It is not case-sensitive.
    pub name: String,
    /// The condition as the statement has it. Engines compare and show it as text.
    pub sql: String,
}

impl Constraint {
    /// The constraint in a table property. `None` if the property holds none.
    pub fn of_property(key: &str, sql: &str) -> Option<Self> {
        let name = key.to_lowercase().strip_prefix(CONSTRAINT_PREFIX)?.to_owned();
        Some(Self { name, sql: sql.to_owned() })
    }

    /// The key of the property that holds the constraint.
    pub fn key(&self) -> String {
        Self::key_of(&self.name)
    }

    /// The names of constraints are not case-sensitive.
    pub(crate) fn key_of(name: &str) -> String {
        format!("{CONSTRAINT_PREFIX}{}", name.to_lowercase())
    }
}

/// The definition of a table in a statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableDefinition {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The names of the partition columns, in any case.
    pub partition_columns: Vec<String>,
    /// The comment of the table.
    pub comment: Option<String>,
    /// TBLPROPERTIES, without the constraints.
    pub properties: BTreeMap<String, String>,
    /// CHECK constraints.
    pub constraints: Vec<Constraint>,
}

impl TableDefinition {
    /// The columns of a query. All are nullable, as in Spark, since a later query may return NULL.
    pub fn of_query(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|field| Column {
            name: field.name().clone(),
            data_type: nullable(field.data_type()),
            nullable: true,
            comment: field.metadata().get(COMMENT_KEY).cloned(),
        });
        Self { columns: columns.collect(), ..Self::default() }
    }

    /// The columns as an Arrow schema, with the types of the definition.
    pub fn schema(&self) -> Schema {
        let field = |column: &Column| Field::new(&column.name, column.data_type.clone(), column.nullable);
        Schema::new(self.columns.iter().map(field).collect::<Vec<_>>())
    }

    /// The fields of the Delta schema as JSON objects.
    pub fn fields_json(&self) -> Result<Vec<serde_json::Value>> {
        let written = self.delta_schema()?.fields().map(serde_json::to_value).collect::<std::result::Result<_, _>>();
        written.map_err(|error| Error::internal("a column is no JSON").caused_by(error))
    }

    /// Fails if the definition does not make a valid table.
    pub fn check(&self) -> Result<()> {
        self.metadata().map(drop)
    }

    /// The protocol of a new table with this definition.
    pub(crate) fn protocol(&self) -> Result<Protocol> {
        protocol::first(&self.metadata()?, properties::checked(&self.properties)?.writer_version)
    }

    /// The protocol that an existing table must be raised to. `None` if `current` is enough.
    pub(crate) fn raised(&self, current: &Protocol) -> Result<Option<Protocol>> {
        protocol::raised(current, &self.metadata()?, properties::checked(&self.properties)?.writer_version)
    }

    /// The Metadata action, with a new id.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        let schema = self.delta_schema()?;
        let partition_columns = self.resolved_partition_columns(&schema)?;
        let mut configuration = properties::checked(&self.properties)?.kept;
        for constraint in &self.constraints {
            if configuration.insert(constraint.key(), constraint.sql.clone()).is_some() {
                return Err(Error::new(
                    ErrorCode::InvalidTableDefinition,
                    format!("there are two constraints named {}", constraint.name),
                ));
            }
        }
        let build = || -> std::result::Result<Metadata, Box<dyn std::error::Error + Send + Sync>> {
            let mut metadata = new_metadata(&schema, partition_columns, configuration)?;
            if let Some(comment) = &self.comment {
                metadata = metadata.with_description(comment.clone())?;
            }
            Ok(metadata)
        };
        build().map_err(|error| Error::internal("cannot build the table's metadata").caused_by(error))
    }

    fn delta_schema(&self) -> Result<StructType> {
        if self.columns.is_empty() {
            return Err(Error::new(ErrorCode::InvalidTableDefinition, "a table needs at least one column"));
        }
        check_names("", self.columns.iter().map(|column| column.name.as_str()))?;
        let mut fields = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let stored = storable(&column.name, &column.data_type)?;
            check_nested_names(&column.name, &stored)?;
            let delta: DeltaType = (&stored).try_into_kernel().map_err(|error| {
                Error::internal(format!("column {} has no Delta type", column.name)).caused_by(error)
            })?;
            let mut field = StructField::new(&column.name, delta, column.nullable);
            if let Some(comment) = &column.comment {
                field = field.with_metadata([(COMMENT_KEY, MetadataValue::String(comment.clone()))]);
            }
            fields.push(field);
        }
        StructType::try_new(fields).map_err(|error| {
            Error::new(ErrorCode::InvalidTableDefinition, "the columns do not make a table").caused_by(error)
        })
    }

    fn resolved_partition_columns(&self, schema: &StructType) -> Result<Vec<String>> {
        let mut resolved = Vec::new();
        for wanted in &self.partition_columns {
            let field = schema.fields().find(|field| field.name().eq_ignore_ascii_case(wanted)).ok_or_else(|| {
                let error = Error::new(
                    ErrorCode::UnresolvedColumn,
                    format!("PARTITIONED BY names {wanted}, which is not a column of the table"),
                );
                match nearest(wanted, schema.fields().map(|field| field.name().as_str())) {
                    Some(near) => error.with_hint(format!("did you mean {near}?")),
                    None => error,
                }
            })?;
            if !matches!(field.data_type(), DeltaType::Primitive(_)) || *field.data_type() == DeltaType::BINARY {
                return Err(Error::new(
                    ErrorCode::InvalidTableDefinition,
                    format!("a table cannot be partitioned by {wanted}: it has no simple type"),
                ));
            }
            if resolved.contains(field.name()) {
                return Err(Error::new(
                    ErrorCode::InvalidTableDefinition,
                    format!("PARTITIONED BY names {wanted} twice"),
                ));
            }
            resolved.push(field.name().clone());
        }
        if resolved.len() == schema.num_fields() {
            return Err(Error::new(
                ErrorCode::InvalidTableDefinition,
                "a table cannot be partitioned by all of its columns",
            ));
        }
        Ok(resolved)
    }
}

/// Refuses invalid names of a column and of its fields. `path` is the path of the column.
pub(crate) fn check_column_names(path: &str, column: &Column) -> Result<()> {
    check_names("", std::iter::once(column.name.as_str()))?;
    check_nested_names(path, &column.data_type)
}

fn check_nested_names(path: &str, data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::Struct(fields) => {
            check_names(&format!("{path}."), fields.iter().map(|field| field.name().as_str()))?;
            fields
                .iter()
                .try_for_each(|field| check_nested_names(&format!("{path}.{}", field.name()), field.data_type()))
        }
        DataType::List(item) => check_nested_names(path, item.data_type()),
        DataType::Map(entries, _) => check_nested_names(path, entries.data_type()),
        _ => Ok(()),
    }
}

fn check_names<'a>(prefix: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() {
            return Err(
                Error::new(ErrorCode::InvalidIdentifier, "a column has no name").with_hint("name it: … AS total")
            );
        }
        if let Some(character) = name.chars().find(|character| FORBIDDEN.contains(*character)) {
            return Err(Error::new(
                ErrorCode::InvalidIdentifier,
                format!("the column name `{prefix}{name}` contains {character:?}"),
            )
            .with_hint("a Delta column name has no space and none of , ; { } ( ) =; rename it with AS"));
        }
        if !seen.insert(name.to_lowercase()) {
            return Err(Error::new(ErrorCode::DuplicateColumn, format!("there are two columns named {prefix}{name}"))
                .with_hint("rename one of them with AS; upper and lower case do not differ"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(columns: &[(&str, DataType)], partition_columns: &[&str]) -> TableDefinition {
        TableDefinition {
            columns: columns
                .iter()
                .map(|(name, data_type)| Column {
                    name: (*name).to_owned(),
                    data_type: data_type.clone(),
                    nullable: false,
                    comment: Some(format!("the {name}")),
                })
                .collect(),
            partition_columns: partition_columns.iter().map(|name| (*name).to_owned()).collect(),
            ..TableDefinition::default()
        }
    }

    #[test]
    fn names_and_partitions_are_checked() {
        let int = DataType::Int32;
        for (columns, partitions, said) in [
            (vec![("count(*)", int.clone())], vec![], "contains '('"),
            (vec![("a", int.clone()), ("A", int.clone())], vec![], "two columns named A"),
            (vec![("a", int.clone())], vec!["b"], "PARTITIONED BY names b"),
            (vec![("a", int.clone())], vec!["a"], "all of its columns"),
            (vec![("a", int.clone()), ("b", int.clone())], vec!["a", "A"], "names A twice"),
            (vec![], vec![], "at least one column"),
        ] {
            let error = definition(&columns, &partitions).metadata().unwrap_err();
            assert!(error.message.contains(said), "{}", error.message);
        }
    }

    #[test]
    fn metadata_keeps_comments_and_nullability() {
        let first = definition(&[("a", DataType::Int32), ("p", DataType::Utf8View)], &["P"]).metadata().unwrap();
        let schema = first.parse_schema().unwrap();
        let field = schema.field("a").unwrap();
        assert!(!field.is_nullable());
        assert_eq!(field.metadata().get(COMMENT_KEY), Some(&MetadataValue::String("the a".into())));
        assert_eq!(first.partition_columns(), &vec!["p".to_owned()]);

        let mut second = definition(&[("b", DataType::Int64)], &[]);
        second.comment = Some("replaced".into());
        let second = second.metadata().unwrap();
        assert_ne!(second.id(), first.id());
        assert_eq!(second.description(), Some("replaced"));
    }
}
