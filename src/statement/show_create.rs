//! SHOW CREATE TABLE and SHOW TBLPROPERTIES.
//!
//! The statement that SHOW CREATE TABLE returns registers the table in Databricks: LOCATION names its folder. Databricks
//! requires the same columns, partitions, comment and properties as in the log, so all properties are in the statement, with
//! those of constraints. SHOW CREATE TABLE also works for views of the warehouse.

use arrow::datatypes::{DataType, FieldRef};

use super::ast::Name;
use super::rows::Rows;
use super::sql_text::{identifier, literal};
use super::{object_names, view_definition};
use crate::session::Session;
use pinsql_base::error::Result;
use pinsql_base::schema::type_name;
use pinsql_delta::{self as delta, Column, TableDefinition};

pub(super) async fn table(session: &Session, name: &Name) -> Result<Rows> {
    object_names::refuse_temporary_view(session, name, "SHOW CREATE TABLE")?;
    let table_name = name.table(session)?;
    let shown = |statement: String| Rows::of_text(&["createtab_stmt"], vec![vec![Some(statement)]]);
    if let Some(statement) = view_definition::show_create(session, &table_name).await? {
        return shown(statement);
    }
    let (location, table) = session.warehouse().open_table(&table_name).await.map_err(|error| error.at(name.span))?;
    let definition = delta::definition(&location, &table)?;
    let place = location.url().as_str().trim_end_matches('/');
    let quoted_name = format!("{}.{}", identifier(table_name.schema()), identifier(table_name.table()));
    shown(statement(&quoted_name, &definition, place))
}

fn statement(name: &str, definition: &TableDefinition, location: &str) -> String {
    let columns: Vec<String> = definition.columns.iter().map(|column| format!("  {}", column_ddl(column))).collect();
    let mut text = format!("CREATE TABLE {name} (\n{})\nUSING DELTA\n", columns.join(",\n"));
    if !definition.partition_columns.is_empty() {
        let names: Vec<String> = definition.partition_columns.iter().map(|name| identifier(name)).collect();
        text.push_str(&format!("PARTITIONED BY ({})\n", names.join(", ")));
    }
    if let Some(comment) = &definition.comment {
        text.push_str(&format!("COMMENT {}\n", literal(comment)));
    }
    text.push_str(&format!("LOCATION {}", literal(location)));
    let properties: Vec<String> =
        all_properties(definition).map(|(key, value)| format!("  {} = {}", literal(&key), literal(&value))).collect();
    if !properties.is_empty() {
        text.push_str(&format!("\nTBLPROPERTIES (\n{})", properties.join(",\n")));
    }
    text
}

fn all_properties(definition: &TableDefinition) -> impl Iterator<Item = (String, String)> {
    let constraints = definition.constraints.iter().map(|constraint| (constraint.key(), constraint.sql.clone()));
    let properties = definition.properties.iter().map(|(key, value)| (key.clone(), value.clone()));
    let mut all: Vec<_> = properties.chain(constraints).collect();
    all.sort();
    all.into_iter()
}

fn column_ddl(column: &Column) -> String {
    let mut text = format!("{} {}", identifier(&column.name), type_ddl(&column.data_type));
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    if let Some(comment) = &column.comment {
        text.push_str(&format!(" COMMENT {}", literal(comment)));
    }
    text
}

/// The type with NOT NULL and the comments of its fields, since they are part of the schema.
fn type_ddl(data_type: &DataType) -> String {
    let field = |field: &FieldRef| {
        let mut text = format!("{}: {}", identifier(field.name()), type_ddl(field.data_type()));
        if !field.is_nullable() {
            text.push_str(" NOT NULL");
        }
        if let Some(comment) = field.metadata().get("comment") {
            text.push_str(&format!(" COMMENT {}", literal(comment)));
        }
        text
    };
    match data_type {
        DataType::Struct(fields) => {
            format!("STRUCT<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        DataType::List(item) => format!("ARRAY<{}>", type_ddl(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("MAP<{}, {}>", type_ddl(pair[0].data_type()), type_ddl(pair[1].data_type()))
            }
            _ => type_name(data_type),
        },
        other => type_name(other),
    }
}

/// SHOW TBLPROPERTIES: the properties in the log, and the protocol versions, which Databricks shows among them
/// (<https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-aux-show-tblproperties.html>).
pub(super) async fn properties(session: &Session, name: &Name, key: Option<&str>) -> Result<Rows> {
    object_names::refuse_temporary_view(session, name, "SHOW TBLPROPERTIES")?;
    let table_name = name.table(session)?;
    let (location, table) = session.warehouse().open_table(&table_name).await.map_err(|error| error.at(name.span))?;
    let detail = delta::detail(&location, &table)?;
    let mut all = detail.properties;
    all.insert("delta.minReaderVersion".to_owned(), detail.min_reader_version.to_string());
    all.insert("delta.minWriterVersion".to_owned(), detail.min_writer_version.to_string());
    let rows = match key {
        None => all.into_iter().map(|(key, value)| vec![Some(key), Some(value)]).collect(),
        Some(key) => {
            let found = all.get(key).cloned();
            let value = found.unwrap_or_else(|| format!("Table {table_name} does not have property: {key}"));
            vec![vec![Some(key.to_owned()), Some(value)]]
        }
    };
    Rows::of_text(&["key", "value"], rows)
}
