//! The checks of `pinsql check`: a statement is resolved and typed, and does not run.
//!
//! A check reads no rows and writes nothing. A table that an earlier statement would create is declared in the session, so
//! that later statements of the file find its columns.

use super::ast::{Statement, StatementKind};
use super::outcome::{Checked, Mode, Outcome, describe_columns};
use super::{
    alter_table, alter_view, copy_into, create_function, create_sink, create_streaming_table, create_table,
    create_view, declare_variable, delete, describe_view, explain, insert, merge, optimize, query, restore,
    set_variable, show_functions, update, use_schema, vacuum,
};
use crate::session::Session;
use pinsql_base::error::Result;

/// Resolves and types one statement, and does not run it.
pub async fn check(session: &Session, statement: &Statement) -> Result<Checked> {
    match &statement.kind {
        StatementKind::Explain { statement, .. } => explain::check(session, statement).await,
        StatementKind::Query(query) => {
            let planned = query::plan(session, &query::set_apart(query), query::Purpose::Check).await?;
            Ok(Checked::Rows { columns: describe_columns(planned.plan.schema().as_arrow()) })
        }
        StatementKind::DescribeQuery { query } => {
            query::plan(session, query, query::Purpose::Check).await.map(|_| Checked::NoOutput)
        }
        StatementKind::Optimize(optimize) => optimize::check(session, optimize).await,
        StatementKind::Vacuum(vacuum) => vacuum::check(session, vacuum).await,
        StatementKind::Restore(restore) => restore::check(session, restore).await,
        StatementKind::CreateTable(create) => create_table::check(session, create).await,
        StatementKind::AlterTable(alter) => alter_table::check(session, alter).await,
        StatementKind::CopyInto(copy) => copy_into::check(session, copy).await,
        StatementKind::CreateStreamingTable(create) => create_streaming_table::check(session, create).await,
        StatementKind::CreateSink(create) => create_sink::check(session, create).await,
        StatementKind::Insert(insert) => insert::check(session, insert).await,
        StatementKind::Delete(delete) => delete::check(session, delete).await,
        StatementKind::Update(update) => update::check(session, update).await,
        StatementKind::Merge(merge) => merge::check(session, merge).await,
        StatementKind::CreateView(create) => prepared(create_view::create(session, create, Mode::Check).await),
        StatementKind::AlterView(alter) => prepared(alter_view::alter(session, alter, Mode::Check).await),
        StatementKind::DropView { name, if_exists } => {
            prepared(create_view::drop(session, name, *if_exists, Mode::Check).await)
        }
        StatementKind::DeclareVariable(declare) => {
            prepared(declare_variable::declare(session, declare, Mode::Check).await)
        }
        StatementKind::SetVariable(set) => prepared(set_variable::set(session, set, Mode::Check).await),
        StatementKind::DropVariable { name, if_exists } => prepared(declare_variable::drop(session, name, *if_exists)),
        StatementKind::CreateFunction(create) => prepared(create_function::create(session, create, Mode::Check).await),
        StatementKind::DropFunction { name, is_temporary, if_exists } => {
            prepared(create_function::drop(session, name, *is_temporary, *if_exists, Mode::Check).await)
        }
        StatementKind::DescribeFunction { name, extended } => {
            show_functions::describe(session, name, *extended).await.map(|_| Checked::NoOutput)
        }
        StatementKind::Use { name } => use_schema::check(session, name).await,
        StatementKind::UseCatalog { name } => use_schema::use_catalog(session, name).map(|_| Checked::NoOutput),
        StatementKind::ShowColumns { table } | StatementKind::Describe { table, .. }
            if describe_view::described(session, table).await?.is_some() =>
        {
            Ok(Checked::NoOutput)
        }
        StatementKind::ShowColumns { table: name }
        | StatementKind::ShowCreateTable { table: name }
        | StatementKind::ShowProperties { table: name, .. }
        | StatementKind::Describe { table: name, .. }
        | StatementKind::DescribeHistory { table: name, .. }
        | StatementKind::DescribeDetail { table: name }
        | StatementKind::ShowPartitions { table: name, .. }
        | StatementKind::Truncate { table: name }
        | StatementKind::DropTable { name, if_exists: false, .. } => {
            session.open_table(&name.table(session)?).await.map_err(|error| error.at(name.span))?;
            Ok(Checked::NoOutput)
        }
        StatementKind::DropTable { .. }
        | StatementKind::UndropTable { .. }
        | StatementKind::DropSink { .. }
        | StatementKind::ShowSinks { .. }
        | StatementKind::CreateSchema { .. }
        | StatementKind::DropSchema { .. }
        | StatementKind::ShowCatalogs { .. }
        | StatementKind::ShowSchemas { .. }
        | StatementKind::ShowTables { .. }
        | StatementKind::DescribeSchema { .. }
        | StatementKind::Set { .. }
        | StatementKind::ShowFunctions { .. }
        | StatementKind::ShowViews { .. } => Ok(Checked::NoOutput),
    }
}

fn prepared(outcome: Result<Outcome>) -> Result<Checked> {
    outcome.map(|_| Checked::NoOutput)
}
