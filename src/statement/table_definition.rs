//! The definition of a table, from the columns and clauses of CREATE TABLE, ALTER TABLE and CREATE STREAMING TABLE.

use datafusion::common::DFSchema;
use sqlparser::ast::Expr;

use super::ast::{CheckConstraint, Column as ColumnDefinition, CreateTable};
use super::query::conditions;
use crate::catalog::CHECKPOINT_PROPERTY;
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::parse_type;
use pinsql_delta::{Column, Constraint, TableDefinition};

/// Adds the constraints of the statement and those in its properties (`delta.constraints.name`). Each is planned once, so that
/// an invalid one is an error.
pub(super) fn with_constraints(
    session: &Session,
    mut definition: TableDefinition,
    checks: &[CheckConstraint],
) -> Result<TableDefinition> {
    let columns = DFSchema::try_from(definition.schema())?;
    let state = session.state();
    let plan = |condition: &Expr, name: &str| {
        conditions::plan_constraint(&state, &columns, condition, &format!("the constraint `{name}`")).map(drop)
    };
    let held: Vec<Constraint> =
        definition.properties.iter().filter_map(|(key, sql)| Constraint::of_property(key, sql)).collect();
    definition.properties.retain(|key, sql| Constraint::of_property(key, sql).is_none());
    for constraint in held {
        plan(&conditions::parsed(&constraint.sql)?, &constraint.name)?;
        definition.constraints.push(constraint);
    }
    for check in checks {
        plan(&check.condition, &check.name.value).map_err(|error| error.at(check.span))?;
        definition.constraints.push(constraint(check));
    }
    Ok(definition)
}

/// The constraint as Delta stores it.
pub(super) fn constraint(check: &CheckConstraint) -> Constraint {
    Constraint { name: check.name.value.clone(), sql: check.text.clone() }
}

/// The definition with the columns that the statement lists, and nothing else.
pub(super) fn of_columns(create: &CreateTable) -> Result<TableDefinition> {
    let columns = create.columns.iter().map(column).collect::<Result<_>>()?;
    Ok(TableDefinition { columns, ..TableDefinition::default() })
}

/// Adds PARTITIONED BY, COMMENT and TBLPROPERTIES of the statement.
pub(super) fn with_clauses(definition: TableDefinition, create: &CreateTable) -> TableDefinition {
    TableDefinition {
        partition_columns: create.partitioned_by.iter().map(|column| column.value.clone()).collect(),
        comment: create.comment.clone(),
        properties: create.properties.iter().cloned().collect(),
        ..definition
    }
}

/// The column as Delta stores it. Returns an error with the place of the type if the type is unknown.
pub(super) fn column(column: &ColumnDefinition) -> Result<Column> {
    Ok(Column {
        name: column.name.value.clone(),
        data_type: parse_type(&column.data_type).map_err(|error| error.at(column.type_span))?,
        nullable: !column.not_null,
        comment: column.comment.clone(),
    })
}
/// Reserved properties. As in Spark, each has a clause; the first makes a table a streaming table.
const RESERVED: [(&str, &str); 6] = [
    (CHECKPOINT_PROPERTY, "CREATE STREAMING TABLE sets it"),
    ("comment", "COMMENT ON TABLE t IS '…' sets it, and the clause COMMENT of CREATE TABLE"),
    ("external", "tables live in <warehouse>/<schema>/<table>"),
    ("location", "tables live in <warehouse>/<schema>/<table>"),
    ("owner", "it is kept in Databricks' catalog, which a Delta table on its own does not have"),
    ("provider", "pinsql keeps its tables in Delta format"),
];

/// Returns INVALID_TABLE_PROPERTY if one of the keys is reserved.
pub(super) fn refuse_reserved<'a>(keys: impl Iterator<Item = &'a String>) -> Result<()> {
    for key in keys {
        if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| reserved.eq_ignore_ascii_case(key)) {
            let said = format!("the table property {key} cannot be set with TBLPROPERTIES: it is reserved");
            return Err(Error::new(ErrorCode::InvalidProperty, said).with_hint(*why));
        }
    }
    Ok(())
}
