//! Statements: parsed, resolved, run. One file for each kind that the engine does not run by itself.
//!
//! [`execute`] is the list of them.

mod alter_table;
mod ast;
mod copy_into;
mod create_function;
mod create_sink;
mod create_streaming_table;
mod create_table;
mod definitions;
mod delete;
mod describe;
mod dialect;
mod evolution;
mod explain;
mod flow;
mod insert;
pub mod lexeme;
mod library;
mod location;
mod merge;
mod optimize;
mod parser;
pub mod query;
mod rejected;
mod replace_where;
mod restore;
mod rewrite;
mod rows;
mod schema;
mod set;
mod show;
mod show_create;
mod show_functions;
mod template;
mod temporary;
mod truncate;
mod update;
mod vacuum;
mod variable;
mod view;
mod write;

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::physical_plan::ExecutionPlan;

pub use self::ast::{Part, Source, Statement, StatementKind};
pub use self::flow::{Flow, FlowTarget};
pub use self::parser::{STATEMENTS, parse, parse_parts};
pub use self::query::{TABLE_FUNCTIONS, columns, table_function_options};
pub use self::rejected::RejectReport;
pub use self::rows::Rows;
pub use self::show::pattern as like;
use self::variable::Mode;
pub use self::write::{Written, rejects_note};
use crate::session::Session;
use pinsql_base::error::Result;
use pinsql_base::schema::type_name;

/// What a statement gave.
#[derive(Debug)]
pub enum Outcome {
    /// Rows to print. Nothing has been read yet.
    Rows(Rows),
    /// A table was written and committed.
    Written(Box<Written>),
    /// A streaming table or a sink. Nothing of its stream has been read yet: `crate::stream` refreshes it.
    Stream(Box<Flow>),
    /// A table was committed without rows. One line says what was done; the warnings are about what followed.
    Defined { text: String, warnings: Vec<String> },
    /// Something else was done; one line says what.
    Done(String),
    /// Something was done for the statements that follow, and there is nothing to say about it.
    Prepared,
}

/// What a statement would give.
#[derive(Debug)]
pub enum Checked {
    Rows { columns: String },
    Table { table: String, columns: String },
    NoOutput,
}

/// Is told about each plan that starts to write a table; what it returns is dropped when the plan has ended.
pub trait Watch: Sync {
    fn started(&self, plan: &Arc<dyn ExecutionPlan>) -> Box<dyn Send>;
}

/// Runs one statement.
pub async fn execute(session: &Session, statement: &Statement, watch: &dyn Watch) -> Result<Outcome> {
    match &statement.kind {
        StatementKind::Query(query) => rows::query(session, query).await.map(Outcome::Rows),
        StatementKind::Explain { form, statement } => {
            explain::explain(session, *form, statement).await.map(Outcome::Rows)
        }
        StatementKind::CreateTable(create) => create_table::execute(session, create, watch).await,
        StatementKind::AlterTable(alter) => alter_table::execute(session, alter).await,
        StatementKind::CopyInto(copy) => copy_into::execute(session, copy, watch).await,
        StatementKind::CreateStreamingTable(create) => {
            create_streaming_table::define(session, create).await.map(|flow| Outcome::Stream(Box::new(flow)))
        }
        StatementKind::CreateSink(create) => {
            create_sink::define(session, create).await.map(|flow| Outcome::Stream(Box::new(flow)))
        }
        StatementKind::DropSink { name, if_exists } => create_sink::drop_sink(session, name, *if_exists).await,
        StatementKind::Insert(insert) => insert::execute(session, insert, watch).await,
        StatementKind::Delete(delete) => delete::execute(session, delete, watch).await,
        StatementKind::Update(update) => update::execute(session, update, watch).await,
        StatementKind::Merge(merge) => merge::execute(session, merge, watch).await,
        StatementKind::Truncate { table } => truncate::execute(session, table).await,
        StatementKind::CreateView(create) => view::create(session, create, Mode::Run).await,
        StatementKind::AlterView(alter) => view::alter(session, alter, Mode::Run).await,
        StatementKind::DropView { name, if_exists } => view::drop(session, name, *if_exists, Mode::Run).await,
        StatementKind::DeclareVariable(declare) => variable::declare(session, declare, Mode::Run).await,
        StatementKind::SetVariable(set) => variable::set(session, set, Mode::Run).await,
        StatementKind::DropVariable { name, if_exists } => variable::drop(session, name, *if_exists),
        StatementKind::CreateFunction(create) => create_function::create(session, create, Mode::Run).await,
        StatementKind::DropFunction { name, is_temporary, if_exists } => {
            create_function::drop(session, name, *is_temporary, *if_exists, Mode::Run).await
        }
        StatementKind::ShowFunctions { kind, schema, like } => {
            show_functions::show(session, *kind, schema.as_ref(), like.as_deref()).await.map(Outcome::Rows)
        }
        StatementKind::DescribeFunction { name, extended } => {
            show_functions::describe(session, name, *extended).await.map(Outcome::Rows)
        }
        StatementKind::DropTable { name, if_exists } => schema::drop_table(session, name, *if_exists).await,
        StatementKind::CreateSchema { name, if_not_exists } => schema::create(session, name, *if_not_exists).await,
        StatementKind::DropSchema { name, if_exists } => schema::drop(session, name, *if_exists).await,
        StatementKind::Use { name } => schema::use_schema(session, name).await,
        StatementKind::UseCatalog { name } => schema::use_catalog(session, name).map(Outcome::Done),
        StatementKind::ShowCatalogs { like } => show::catalogs(session, like.as_deref()).map(Outcome::Rows),
        StatementKind::ShowSchemas { like } => show::schemas(session, like.as_deref()).await.map(Outcome::Rows),
        StatementKind::ShowTables { schema, like } => {
            show::tables(session, schema.as_ref(), like.as_deref()).await.map(Outcome::Rows)
        }
        StatementKind::ShowSinks { schema, like } => {
            show::sinks(session, schema.as_ref(), like.as_deref()).await.map(Outcome::Rows)
        }
        StatementKind::ShowViews { schema, like } => {
            view::show(session, schema.as_ref(), like.as_deref()).await.map(Outcome::Rows)
        }
        StatementKind::ShowColumns { table } => show::columns(session, table).await.map(Outcome::Rows),
        StatementKind::ShowCreateTable { table } => show_create::table(session, table).await.map(Outcome::Rows),
        StatementKind::ShowProperties { table, key } => {
            show_create::properties(session, table, key.as_deref()).await.map(Outcome::Rows)
        }
        StatementKind::Describe { table, extended } => {
            describe::table(session, table, *extended).await.map(Outcome::Rows)
        }
        StatementKind::DescribeHistory { table, limit } => {
            let limit = limit.and_then(|limit| usize::try_from(limit).ok());
            describe::history(session, table, limit).await.map(Outcome::Rows)
        }
        StatementKind::DescribeDetail { table } => describe::detail(session, table).await.map(Outcome::Rows),
        StatementKind::DescribeSchema { schema, extended } => {
            describe::schema(session, schema, *extended).await.map(Outcome::Rows)
        }
        StatementKind::DescribeQuery { query } => describe::query(session, query).await.map(Outcome::Rows),
        StatementKind::ShowPartitions { table, values } => {
            describe::partitions(session, table, values).await.map(Outcome::Rows)
        }
        StatementKind::Optimize(optimize) => optimize::execute(session, optimize).await.map(Outcome::Rows),
        StatementKind::Vacuum(vacuum) => vacuum::execute(session, vacuum).await.map(Outcome::Rows),
        StatementKind::Restore(restore) => restore::execute(session, restore).await.map(Outcome::Rows),
        StatementKind::Set { key, value } => set::execute(session, key, *value),
    }
}

/// Resolves and types one statement without running it.
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
        StatementKind::CreateView(create) => prepared(view::create(session, create, Mode::Check).await),
        StatementKind::AlterView(alter) => prepared(view::alter(session, alter, Mode::Check).await),
        StatementKind::DropView { name, if_exists } => {
            prepared(view::drop(session, name, *if_exists, Mode::Check).await)
        }
        StatementKind::DeclareVariable(declare) => prepared(variable::declare(session, declare, Mode::Check).await),
        StatementKind::SetVariable(set) => prepared(variable::set(session, set, Mode::Check).await),
        StatementKind::DropVariable { name, if_exists } => prepared(variable::drop(session, name, *if_exists)),
        StatementKind::CreateFunction(create) => prepared(create_function::create(session, create, Mode::Check).await),
        StatementKind::DropFunction { name, is_temporary, if_exists } => {
            prepared(create_function::drop(session, name, *is_temporary, *if_exists, Mode::Check).await)
        }
        StatementKind::DescribeFunction { name, extended } => {
            show_functions::describe(session, name, *extended).await.map(|_| Checked::NoOutput)
        }
        StatementKind::Use { name } => schema::check_use(session, name).await,
        StatementKind::UseCatalog { name } => schema::use_catalog(session, name).map(|_| Checked::NoOutput),
        StatementKind::ShowColumns { table } | StatementKind::Describe { table, .. }
            if view::described(session, table).await?.is_some() =>
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
        | StatementKind::DropTable { name, if_exists: false } => {
            session.open_table(&name.table(session)?).await.map_err(|error| error.at(name.span))?;
            Ok(Checked::NoOutput)
        }
        StatementKind::DropTable { .. }
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

/// `ind INT, title STRING NOT NULL`: the columns as a CREATE TABLE would have them.
fn describe_columns(schema: &Schema) -> String {
    let columns = schema.fields().iter().map(|field| {
        let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
        format!("{} {}{not_null}", field.name(), type_name(field.data_type()))
    });
    columns.collect::<Vec<_>>().join(", ")
}
