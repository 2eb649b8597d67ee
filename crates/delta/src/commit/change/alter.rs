//! The operation name and parameters of an ALTER TABLE in the history.

use serde_json::{Value, json};

use crate::spec::alteration::Alteration;
use crate::spec::definition::Constraint;

impl Alteration {
    /// The operation name of Spark.
    pub(crate) fn operation_name(&self) -> &'static str {
        match self {
            Self::AddColumns(_) => "ADD COLUMNS",
            Self::SetProperties(_) | Self::Comment(_) => "SET TBLPROPERTIES",
            Self::UnsetProperties { .. } => "UNSET TBLPROPERTIES",
            Self::AddConstraint(_) => "ADD CONSTRAINT",
            Self::DropConstraint { .. } => "DROP CONSTRAINT",
            Self::CommentColumn { .. } | Self::SetNullable { .. } | Self::MoveColumn { .. } => "CHANGE COLUMN",
        }
    }

    /// The operation parameters, as in Spark: every value is text, and lists are JSON.
    pub(crate) fn operation_parameters(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::AddColumns(columns) => {
                let named = columns.iter().map(|column| json!({"column": {"name": column.path().join(".")}}));
                vec![("columns", Value::from_iter(named).to_string())]
            }
            Self::SetProperties(properties) => vec![("properties", json!(properties).to_string())],
            Self::Comment(comment) => vec![("properties", json!({"comment": comment}).to_string())],
            Self::UnsetProperties { keys, if_exists } => {
                vec![("properties", json!(keys).to_string()), ("ifExists", if_exists.to_string())]
            }
            Self::AddConstraint(Constraint { name, sql }) => vec![("name", name.clone()), ("expr", sql.clone())],
            Self::DropConstraint { name } => vec![("name", name.clone()), ("existed", "true".to_owned())],
            Self::CommentColumn { path, .. } | Self::MoveColumn { path, .. } => {
                vec![("column", json!({"name": path.join(".")}).to_string())]
            }
            Self::SetNullable { column, nullable } => {
                vec![("column", json!({"name": column, "nullable": nullable}).to_string())]
            }
        }
    }
}
