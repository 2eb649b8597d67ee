//! Opens the relations of a query, each once, before DataFusion plans the query.
//!
//! A call such as `read_files(…, format => 'json')` lists objects and can read a sample of them. DataFusion's planner is
//! synchronous, so it cannot do this, and it refuses named arguments. So the calls are evaluated here, and the query has a plain
//! name in their place. A table that a query names twice is opened once, so a statement sees one version of it. Other versions
//! have names of their own (`time_travel`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
    TableProvider,
};
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast::{ObjectName, Query, Statement};

use super::open::open_call;
use super::passes::Context;
use super::sql_functions::RELATIONS_SCHEMA;
use super::table_changes::TABLE_CHANGES;
use super::table_function_calls::Misuse;
use super::time_travel::VERSIONS_SCHEMA;
use super::{Purpose, TargetRelation};
use crate::catalog::{CATALOG_NAME, TableName};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::rejects::Rejects;
use pinsql_sources::objects;
use pinsql_sources::{kinesis, mysql};

/// The table functions of pinsql, in alphabetical order.
pub const TABLE_FUNCTIONS: [&str; 5] = ["read_files", "read_kafka", "read_kinesis", "read_mysql", TABLE_CHANGES];

/// True if `name` is a table function of pinsql.
pub(super) fn is_table_function(name: &ObjectName) -> bool {
    TABLE_FUNCTIONS.iter().any(|function| name.to_string().eq_ignore_ascii_case(function))
}

/// The names of the options of a table function, for completion. Empty for functions without options.
pub fn table_function_options(function: &str) -> &'static [&'static str] {
    match function.to_ascii_lowercase().as_str() {
        "read_files" => objects::option_names(),
        #[cfg(feature = "kafka")]
        "read_kafka" => pinsql_sources::kafka::option_names(),
        "read_kinesis" => kinesis::option_names(),
        "read_mysql" => mysql::option_names(),
        _ => &[],
    }
}

/// The schema of the relations of table functions. The schemas of users cannot have a space in their names.
pub(super) const CALLS_SCHEMA: &str = "table function";

/// The schema and the name of the relation with the rows of the table that a statement changes.
pub(crate) const TARGET_SCHEMA: &str = "target of change";
pub(crate) const TARGET_RELATION: &str = "rows";

/// The open relations of a query.
pub(super) struct Opened {
    catalog: MemoryCatalogProvider,
    /// The version of each table that the query reads.
    pub(super) reads: HashMap<TableName, u64>,
}

impl Opened {
    /// Puts the relations in the place of the catalogs of `state`.
    pub(super) fn register(&mut self, session: &Session, state: &mut SessionState) {
        let catalogs = MemoryCatalogProviderList::new();
        let catalog: Arc<dyn CatalogProvider> = Arc::new(std::mem::take(&mut self.catalog));
        // A name of three parts may have either name of the catalog.
        catalogs.register_catalog(session.catalog_name().to_owned(), Arc::clone(&catalog));
        catalogs.register_catalog(CATALOG_NAME.to_owned(), catalog);
        state.register_catalog_list(Arc::new(catalogs));
    }
}

/// Opens everything that `query` reads, and collects the declared names in the spelling of `context`.
pub(super) async fn open(
    context: &mut Context<'_>,
    query: &Query,
    rejects: &Rejects,
    purpose: Purpose<'_>,
    target: Option<&TargetRelation>,
) -> Result<Opened> {
    let Context { session, state, versions, calls, spelling, .. } = context;
    if let Some((function, span, misuse)) = &calls.unplannable {
        return Err(misused(session, state, function, *misuse).await.at(*span));
    }

    let catalog = MemoryCatalogProvider::new();
    let mut add = |schema: &str, table: &str, provider: Arc<dyn TableProvider>| -> Result<()> {
        spelling.declare_columns(provider.schema().fields());
        if catalog.schema(schema).is_none() {
            catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
        }
        if let Some(schema) = catalog.schema(schema) {
            schema.register_table(table.to_owned(), provider)?;
        }
        Ok(())
    };

    for call in &calls.found {
        let provider = open_call(session, state, call, calls.names_metadata, rejects, purpose)
            .await
            .map_err(|error| error.at(call.span))?;
        add(CALLS_SCHEMA, &call.relation, provider)?;
    }
    for version in versions.iter() {
        let opened = version.open(session, state).await.map_err(|error| error.at(version.span))?;
        add(VERSIONS_SCHEMA, &version.relation, opened)?;
    }
    let references = state
        .resolve_table_references(&EngineStatement::Statement(Box::new(Statement::Query(Box::new(query.clone())))))?;
    let mut reads = HashMap::new();
    let mut opened_tables = HashSet::new();
    for reference in references {
        let parts: Vec<&str> =
            [reference.catalog(), reference.schema(), Some(reference.table())].into_iter().flatten().collect();
        let key = parts.join(".");
        let is_made_here = matches!(reference.schema(), Some(CALLS_SCHEMA | VERSIONS_SCHEMA | RELATIONS_SCHEMA));
        if is_made_here || calls.other_functions.contains(&key) {
            continue;
        }
        let span = calls.relation_spans.get(&key).copied();
        let open = async {
            if let (Some(target), Some(TARGET_SCHEMA)) = (target, reference.schema()) {
                return add(TARGET_SCHEMA, TARGET_RELATION, Arc::clone(&target.rows));
            }
            let name = session.table_name(&parts)?;
            // `t` and `default.t` are two references to the same table.
            if !opened_tables.insert(name.clone()) {
                return Ok(());
            }
            if let Some(target) = target.filter(|target| target.name == name) {
                add(name.schema(), name.table(), Arc::clone(&target.table))?;
                reads.extend(target.version.map(|version| (name, version)));
                return Ok(());
            }
            let opened = session.open_to_read(&name).await?;
            add(name.schema(), name.table(), opened.provider)?;
            if let Some(version) = opened.version {
                reads.insert(name, version);
            }
            Ok(())
        };
        let opened: Result<()> = open.await;
        opened.map_err(|error| match span {
            Some(span) => error.at(span),
            None => error,
        })?;
    }
    Ok(Opened { catalog, reads })
}

/// The error for STREAM or named arguments where the relation has none.
async fn misused(session: &Session, state: &SessionState, function: &str, misuse: Misuse) -> Error {
    const STREAMS: &str = "STREAM goes before read_files, read_kafka or read_kinesis";
    let is_known = state.table_functions().contains_key(function);
    let parts: Vec<&str> = function.split('.').collect();
    let is_table = async {
        match session.table_name(&parts) {
            Ok(name) => session.warehouse().table_exists(&name).await.unwrap_or(false),
            Err(_) => false,
        }
    };
    match misuse {
        Misuse::Stream if is_known => {
            Error::new(ErrorCode::NotAStream, format!("`{function}` is not a stream")).with_hint(STREAMS)
        }
        Misuse::Stream if is_table.await => {
            Error::new(ErrorCode::NotAStream, format!("the table `{function}` cannot be read as a stream"))
                .with_hint(STREAMS)
        }
        Misuse::NamedArgument if is_known => {
            Error::new(ErrorCode::WrongNumArgs, format!("`{function}` takes no named arguments"))
                .with_hint("pass the arguments by position")
        }
        _ => unknown_table_function(function, state.table_functions().keys().cloned()),
    }
}

/// The error for an unknown table function.
pub(super) fn unknown_table_function(name: &str, known: impl IntoIterator<Item = String>) -> Error {
    let known: Vec<String> = known.into_iter().chain(TABLE_FUNCTIONS.map(str::to_owned)).collect();
    let error = Error::new(ErrorCode::UnresolvedRoutine, format!("there is no table function `{name}`"));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}
