//! Statements: SQL text is parsed, resolved, planned and run.
//!
//! A statement passes through these steps:
//!
//! 1. [`parse`] divides the text into statements (`ast`). `dialect` reads string literals as Databricks does, and `parser`
//!    has one file for each statement.
//! 2. [`execute`] calls the file of the statement. Its match is the list of all statements. [`check`] is the same list for
//!    `pinsql check`, which resolves and types a statement and does not run it.
//! 3. Each query is planned in [`query`].
//! 4. A statement that returns rows becomes [`Rows`]. A statement that writes a table runs in `write` (new rows) or in `rewrite`
//!    (changed rows). A statement over a stream becomes a [`Flow`], which `crate::stream` runs.

mod ast;
mod dialect;
pub mod lexeme;
mod parser;

pub mod query;

mod check;
mod flow;
mod outcome;
mod reject_report;
mod rewrite;
mod rows;
mod walk;
mod write;

// One file for each statement. CREATE and DROP of a kind of object share a file.
mod alter_table;
mod alter_view;
mod copy_into;
mod create_function;
mod create_schema;
mod create_sink;
mod create_streaming_table;
mod create_table;
mod create_view;
mod declare_variable;
mod delete;
mod describe;
mod drop_table;
mod explain;
mod insert;
mod merge;
mod optimize;
mod restore;
mod set;
mod set_variable;
mod show;
mod show_create;
mod show_functions;
mod truncate;
mod update;
mod use_schema;
mod vacuum;

// Parts that several statements share.
mod describe_view;
mod library_function;
mod location_clause;
mod name_pattern;
mod object_names;
mod planned_write;
mod replace_where;
mod resolve_schema;
mod schema_evolution;
mod session_variables;
mod sql_text;
mod stored_query;
mod table_definition;
mod template;
mod view_definition;

pub use self::ast::{Part, Source, Statement, StatementKind};
pub use self::check::check;
pub use self::flow::{Flow, FlowTarget};
pub use self::name_pattern::name_pattern;
pub use self::outcome::{Checked, Outcome, Watch};
use self::outcome::{Mode, describe_columns};
pub use self::parser::{STATEMENTS, parse, parse_parts};
pub use self::query::{TABLE_FUNCTIONS, columns, table_function_options};
pub use self::reject_report::RejectReport;
pub use self::rows::Rows;
pub use self::write::{Written, rejects_note};
use crate::session::Session;
use pinsql_base::error::Result;

/// Runs one statement. This match is the list of all statements, each with the file that runs it.
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
        StatementKind::CreateView(create) => create_view::create(session, create, Mode::Run).await,
        StatementKind::AlterView(alter) => alter_view::alter(session, alter, Mode::Run).await,
        StatementKind::DropView { name, if_exists } => create_view::drop(session, name, *if_exists, Mode::Run).await,
        StatementKind::DeclareVariable(declare) => declare_variable::declare(session, declare, Mode::Run).await,
        StatementKind::SetVariable(set) => set_variable::set(session, set, Mode::Run).await,
        StatementKind::DropVariable { name, if_exists } => declare_variable::drop(session, name, *if_exists),
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
        StatementKind::DropTable { name, if_exists, purge } => {
            drop_table::execute(session, name, *if_exists, *purge).await
        }
        StatementKind::UndropTable { name } => drop_table::undrop(session, name).await,
        StatementKind::CreateSchema { name, if_not_exists } => {
            create_schema::create(session, name, *if_not_exists).await
        }
        StatementKind::DropSchema { name, if_exists } => create_schema::drop(session, name, *if_exists).await,
        StatementKind::Use { name } => use_schema::use_schema(session, name).await,
        StatementKind::UseCatalog { name } => use_schema::use_catalog(session, name).map(Outcome::Done),
        StatementKind::ShowCatalogs { like } => show::catalogs(session, like.as_deref()).map(Outcome::Rows),
        StatementKind::ShowSchemas { like } => show::schemas(session, like.as_deref()).await.map(Outcome::Rows),
        StatementKind::ShowTables { schema, like } => {
            show::tables(session, schema.as_ref(), like.as_deref()).await.map(Outcome::Rows)
        }
        StatementKind::ShowSinks { schema, like } => {
            show::sinks(session, schema.as_ref(), like.as_deref()).await.map(Outcome::Rows)
        }
        StatementKind::ShowViews { schema, like } => {
            show::views(session, schema.as_ref(), like.as_deref()).await.map(Outcome::Rows)
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
