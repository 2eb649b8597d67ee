//! What a query reads: each table and each table function in it is resolved once, before DataFusion plans it.
//!
//! A call such as `read_files(…, format => 'json')` lists objects and may read a sample of them, which DataFusion's
//! planner, being synchronous, cannot do, and it refuses named arguments. So the calls are evaluated here, and the query
//! goes on with a plain name in the place of each. A table that a query names twice is opened once: a statement sees
//! one version of it, and the others that it asks for by name (`time_travel`).

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
    TableProvider,
};
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast::{
    ExceptSelectItem, Ident, ObjectName, Query, Select, SelectItem, Statement, TableFactor, VisitMut, VisitorMut,
};

use super::calls::{Calls, Misuse};
use super::changes::TABLE_CHANGES;
use super::open::open_call;
use super::spelling::Spelling;
use super::sql_functions::RELATIONS_SCHEMA;
use super::time_travel::{self, VERSIONS_SCHEMA};
use super::{Purpose, TargetRelation};
use crate::catalog::{CATALOG_NAME, TableName};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::rejects::Rejects;
use pinsql_sources::objects::{self, METADATA_COLUMN};
use pinsql_sources::{kafka, kinesis, mysql};

/// The table functions that pinsql itself provides.
pub const TABLE_FUNCTIONS: [&str; 5] = ["read_files", "read_kafka", "read_kinesis", "read_mysql", TABLE_CHANGES];

/// Whether a call of `name` is one of a table function that is always there.
pub(super) fn is_table_function(name: &ObjectName) -> bool {
    TABLE_FUNCTIONS.iter().any(|function| name.to_string().eq_ignore_ascii_case(function))
}

/// The names of the options that a table function takes, for those who help with writing a call.
pub fn table_function_options(function: &str) -> &'static [&'static str] {
    match function.to_ascii_lowercase().as_str() {
        "read_files" => objects::option_names(),
        "read_kafka" => kafka::option_names(),
        "read_kinesis" => kinesis::option_names(),
        "read_mysql" => mysql::option_names(),
        _ => &[],
    }
}

/// The schema that holds the relations of table functions. No user's schema can have a space in its name.
pub(super) const CALLS_SCHEMA: &str = "table function";

/// The schema of the relation that holds the rows of the table which a statement changes, and its name there.
pub(crate) const TARGET_SCHEMA: &str = "target of change";
pub(crate) const TARGET_RELATION: &str = "rows";

/// What a query plans in, and the version of each table that it reads.
pub(super) struct Resolved {
    pub(super) state: SessionState,
    pub(super) reads: HashMap<TableName, u64>,
}

/// Opens everything that `query` reads and rewrites the query to name it.
pub(super) async fn resolve(
    session: &Session,
    query: &mut Query,
    rejects: &Rejects,
    purpose: Purpose<'_>,
    target: Option<&TargetRelation>,
) -> Result<Resolved> {
    let mut state = session.state();
    let versions = time_travel::take(session, &state, query)?;
    let mut calls = Calls::default();
    // Infallible: the visitor never breaks off.
    let _ = query.visit(&mut calls);
    if let Some((function, span, misuse)) = &calls.unplannable {
        return Err(misused(session, &state, function, *misuse).await.at(*span));
    }

    let catalog = MemoryCatalogProvider::new();
    let mut spelling = Spelling::default();
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
        let provider = open_call(session, &state, call, calls.names_metadata, rejects, purpose)
            .await
            .map_err(|error| error.at(call.span))?;
        add(CALLS_SCHEMA, &call.relation, provider)?;
    }
    for version in versions {
        let opened = version.open(session, &state).await.map_err(|error| error.at(version.span))?;
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
            // `t` and `default.t` are two references to one table.
            if !opened_tables.insert(name.clone()) {
                return Ok(());
            }
            if let Some(target) = target.filter(|target| target.name == name) {
                add(name.schema(), name.table(), Arc::clone(&target.table))?;
                reads.extend(target.version.map(|version| (name, version)));
                return Ok(());
            }
            let opened = session.open_table(&name).await?;
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
    spelling.declare_names(session.variables().names());
    if calls.names_metadata {
        let _ = query.visit(&mut HideMetadata);
    }
    spelling.apply(query);

    let catalogs = MemoryCatalogProviderList::new();
    let catalog: Arc<dyn CatalogProvider> = Arc::new(catalog);
    // Names of three parts may have either name of the catalog.
    catalogs.register_catalog(session.catalog_name().to_owned(), Arc::clone(&catalog));
    catalogs.register_catalog(CATALOG_NAME.to_owned(), catalog);
    state.register_catalog_list(Arc::new(catalogs));
    Ok(Resolved { state, reads })
}

/// `*` does not include `_metadata`, as in Databricks: it has to be named.
struct HideMetadata;

impl VisitorMut for HideMetadata {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let reads_files = select.from.iter().any(|from| {
            std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)).any(reads_call)
        });
        if !reads_files {
            return ControlFlow::Continue(());
        }
        for item in &mut select.projection {
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item {
                let metadata = Ident::with_quote('`', METADATA_COLUMN);
                match &mut options.opt_except {
                    Some(except) => except.additional_elements.push(metadata),
                    None => {
                        options.opt_except =
                            Some(ExceptSelectItem { first_element: metadata, additional_elements: Vec::new() });
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether it is the relation of a table function, or a generator behind one.
fn reads_call(relation: &TableFactor) -> bool {
    match relation {
        TableFactor::Table { name, .. } => {
            name.0.first().and_then(|part| part.as_ident()).is_some_and(|ident| ident.value == CALLS_SCHEMA)
        }
        TableFactor::Pivot { table, .. } => reads_call(table),
        TableFactor::NestedJoin { table_with_joins, .. } => {
            let joined = table_with_joins.joins.iter().map(|join| &join.relation);
            std::iter::once(&table_with_joins.relation).chain(joined).any(reads_call)
        }
        _ => false,
    }
}

/// The error for a table function that is not ours, or for a table, that is asked for what it has not.
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
            Error::new(ErrorCode::NotAStream, format!("`{function}` is no stream")).with_hint(STREAMS)
        }
        Misuse::Stream if is_table.await => {
            Error::new(ErrorCode::NotAStream, format!("the table `{function}` cannot be read as a stream"))
                .with_hint(STREAMS)
        }
        Misuse::NamedArgument if is_known => {
            Error::new(ErrorCode::WrongNumArgs, format!("`{function}` has no arguments with names"))
                .with_hint("give them by their position")
        }
        _ => unknown_table_function(function, state.table_functions().keys().cloned()),
    }
}

/// The error for a table function that nobody provides.
pub(super) fn unknown_table_function(name: &str, known: impl IntoIterator<Item = String>) -> Error {
    let known: Vec<String> = known.into_iter().chain(TABLE_FUNCTIONS.map(str::to_owned)).collect();
    let error = Error::new(ErrorCode::UnresolvedRoutine, format!("there is no table function `{name}`"));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}
