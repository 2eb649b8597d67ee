//! ALTER TABLE and COMMENT ON: one change of the definition of a table, in one commit.
//!
//! A CHECK or NOT NULL is first checked against all rows of one version. The commit fails if another writer changed rows
//! since that version. The columns of a streaming table are those of its query, so ALTER TABLE does not change them.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::DFSchema;
use datafusion::physical_plan::collect;
use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, SetExpr, TableFactor};

use super::ast::{AlterAction, AlterTable, CheckConstraint, ColumnChange, Position, StatementKind};
use super::parser::parse;
use super::query::{self, Purpose, conditions};
use super::table_definition::{column, constraint, refuse_reserved};
use super::{Checked, Outcome, describe_columns, object_names};
use crate::catalog::{CHECKPOINT_PROPERTY, TableName};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::{self as delta, Alteration, ColumnPosition, NewColumn};
use pinsql_sources::operators::expectation::sample;

pub(super) async fn execute(session: &Session, alter: &AlterTable) -> Result<Outcome> {
    object_names::refuse_temporary_view(session, &alter.table, "ALTER TABLE")?;
    let name = alter.table.writable_table(session)?;
    let (location, table) = session.warehouse().open_table(&name).await.map_err(|error| error.at(alter.table.span))?;
    let is_stream = delta::property(&table, CHECKPOINT_PROPERTY)?.is_some();
    refuse_for_stream(alter, is_stream)?;
    if let AlterAction::DropConstraint { name: constraint, if_exists: true } = &alter.action {
        let there = delta::definition(&location, &table)?.constraints;
        if !there.iter().any(|there| there.name.eq_ignore_ascii_case(&constraint.value)) {
            return Ok(Outcome::Done(format!("table {name} has no constraint {}", constraint.value)));
        }
    }
    let alteration = alteration(&alter.action)?;
    let version = match &alter.action {
        AlterAction::AddConstraint(check) => Some(check_all_rows(session, &name, check).await?),
        AlterAction::AlterColumn { path, change: ColumnChange::SetNotNull } => {
            Some(check_no_nulls(session, &name, path).await?)
        }
        _ => None,
    };
    let committed = delta::alter(&location, alteration, version).await?;
    let text = format!("table {name} altered, version {}", committed.version);
    Ok(Outcome::Defined { text, warnings: committed.into_warnings() })
}

pub(super) async fn check(session: &Session, alter: &AlterTable) -> Result<Checked> {
    object_names::refuse_temporary_view(session, &alter.table, "ALTER TABLE")?;
    let name = alter.table.writable_table(session)?;
    let schema = session.open_table(&name).await.map_err(|error| error.at(alter.table.span))?.schema();
    let mut fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    match (alteration(&alter.action)?, &alter.action) {
        (_, AlterAction::AddConstraint(check)) => {
            let columns = DFSchema::try_from(schema.as_ref().clone())?;
            conditions::plan_constraint(&session.state(), &columns, &check.condition, &constraint_label(check))
                .map_err(|error| error.at(check.span))?;
        }
        // The position of the new columns does not matter to the later statements of a check.
        (Alteration::AddColumns(added), _) => {
            let added = added.into_iter().filter(|added| added.parents.is_empty());
            fields.extend(added.map(|added| Field::new(added.column.name, added.column.data_type, true)));
        }
        _ => {}
    }
    let schema = Schema::new(fields);
    let columns = describe_columns(&schema);
    session.declare(name.clone(), Arc::new(schema));
    Ok(Checked::Table { table: name.to_string(), columns })
}

fn refuse_for_stream(alter: &AlterTable, is_stream: bool) -> Result<()> {
    let changes_columns = match &alter.action {
        AlterAction::AddColumns(_) => true,
        AlterAction::AlterColumn { change, .. } => matches!(change, ColumnChange::Move(_)),
        _ => false,
    };
    match is_stream && changes_columns {
        true => Err(Error::new(ErrorCode::WrongObjectType, "the columns of a streaming table are those of its query")
            .at(alter.table.span)
            .with_hint("change the query: its new columns are added to the table")),
        false => Ok(()),
    }
}

fn alteration(action: &AlterAction) -> Result<Alteration> {
    Ok(match action {
        AlterAction::AddColumns(added) => Alteration::AddColumns(
            added
                .iter()
                .map(|added| {
                    Ok(NewColumn {
                        parents: names_of(&added.parents),
                        column: column(&added.column)?,
                        position: added.position.as_ref().map(position),
                    })
                })
                .collect::<Result<_>>()?,
        ),
        AlterAction::SetProperties(properties) => {
            refuse_reserved(properties.iter().map(|(key, _)| key))?;
            Alteration::SetProperties(properties.iter().cloned().collect())
        }
        AlterAction::UnsetProperties { keys, if_exists } => {
            refuse_reserved(keys.iter())?;
            Alteration::UnsetProperties { keys: keys.clone(), if_exists: *if_exists }
        }
        AlterAction::AddConstraint(check) => Alteration::AddConstraint(constraint(check)),
        AlterAction::DropConstraint { name, .. } => Alteration::DropConstraint { name: name.value.clone() },
        AlterAction::Comment(comment) => Alteration::Comment(comment.clone()),
        AlterAction::AlterColumn { path, change } => match change {
            ColumnChange::Comment(comment) => {
                Alteration::CommentColumn { path: names_of(path), comment: comment.clone() }
            }
            ColumnChange::SetNotNull => Alteration::SetNullable { column: single_column(path)?, nullable: false },
            ColumnChange::DropNotNull => Alteration::SetNullable { column: single_column(path)?, nullable: true },
            ColumnChange::Move(to) => Alteration::MoveColumn { path: names_of(path), position: position(to) },
        },
    })
}

fn names_of(path: &[Ident]) -> Vec<String> {
    path.iter().map(|part| part.value.clone()).collect()
}

fn single_column(path: &[Ident]) -> Result<String> {
    match path {
        [column] => Ok(column.value.clone()),
        [.., field] => Err(Error::new(
            ErrorCode::UnsupportedFeature,
            "NOT NULL can be set and dropped for a column, and not for a field of one",
        )
        .at(field.span)),
        [] => Err(Error::internal("a column without a name")),
    }
}

fn position(position: &Position) -> ColumnPosition {
    match position {
        Position::First => ColumnPosition::First,
        Position::After(name) => ColumnPosition::After(name.value.clone()),
    }
}

fn constraint_label(check: &CheckConstraint) -> String {
    format!("the constraint `{}`", check.name.value)
}

/// Checks a CHECK against all rows of the newest version, and returns that version.
async fn check_all_rows(session: &Session, name: &TableName, check: &CheckConstraint) -> Result<u64> {
    let schema = session.open_table(name).await?.schema();
    let columns = DFSchema::try_from(schema.as_ref().clone())?;
    conditions::plan_constraint(&session.state(), &columns, &check.condition, &constraint_label(check))
        .map_err(|error| error.at(check.span))?;
    let breaks = Expr::IsNotTrue(Box::new(Expr::Nested(Box::new(check.condition.clone()))));
    let (version, found) = first_row(session, name, breaks).await?;
    match found {
        Some(row) => {
            let said = format!("a row of {name} breaks the constraint {}: {}", check.name.value, check.text);
            Err(Error::new(ErrorCode::ConstraintViolation, said)
                .at(check.span)
                .with_hint(format!("the row is {row}; nothing was changed")))
        }
        None => Ok(version),
    }
}

async fn check_no_nulls(session: &Session, name: &TableName, path: &[Ident]) -> Result<u64> {
    let column = single_column(path)?;
    let is_null = Expr::IsNull(Box::new(Expr::Identifier(Ident::with_quote('`', &column))));
    let (version, found) = first_row(session, name, is_null).await?;
    match found {
        Some(row) => {
            Err(Error::new(ErrorCode::ConstraintViolation, format!("a row of {name} has no value for {column}"))
                .with_hint(format!("the row is {row}; nothing was changed")))
        }
        None => Ok(version),
    }
}

/// The newest version of the table, and the text of a row in it for which `condition` is true, if there is one.
async fn first_row(session: &Session, name: &TableName, condition: Expr) -> Result<(u64, Option<String>)> {
    let lost = || Error::internal("the query of a constraint was lost on its way");
    let statement = parse("SELECT * FROM t WHERE TRUE LIMIT 1")?.into_iter().next().map(|statement| statement.kind);
    let Some(StatementKind::Query(mut query)) = statement else { return Err(lost()) };
    let SetExpr::Select(select) = query.body.as_mut() else { return Err(lost()) };
    select.selection = Some(condition);
    if let Some(TableFactor::Table { name: relation, .. }) = select.from.first_mut().map(|from| &mut from.relation) {
        let part = |part: &str| ObjectNamePart::Identifier(Ident::with_quote('`', part));
        *relation = ObjectName(vec![part(name.schema()), part(name.table())]);
    }
    let planned = query::plan(session, &query, Purpose::Run).await?;
    let version = planned.reads.get(name).copied().ok_or_else(lost)?;
    let rows = collect(planned.physical().await?, planned.state.task_ctx()).await?;
    Ok((version, rows.iter().find(|batch| batch.num_rows() > 0).map(|batch| sample(batch, 0))))
}
