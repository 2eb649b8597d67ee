//! The session: the configured DataFusion engine, and the state that the statements of one run share.
//!
//! `engine` is the only place that creates a DataFusion session. All settings that give SQL its Databricks meaning are there: the
//! dialect, UTC, NULLs first in ascending order, TIMESTAMP as microseconds in UTC. The memory limit is there too.
//!
//! Deliberately absent: DataFusion's listing cache, table factories and information schema.

mod argument_rules;
mod cast_semantics;
pub(crate) mod coercion;
mod column_equalities;
mod engine;
mod format_arguments;
mod guards;
pub mod lateral;
pub mod libraries;
mod numbers;
mod operand_types;
mod operators;
mod outer_columns;
mod plan_rules;
mod recursion;
mod rewritten_functions;
mod set_operations;
mod special_times;
pub mod sql_functions;
mod subqueries;
pub mod temporary_views;
mod time_arithmetic;
mod types;
pub mod variables;
mod whole_bounds;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::ScalarUDF;

use self::libraries::LibraryFunctions;
use self::sql_functions::SqlFunctions;
use self::temporary_views::TemporaryViews;
use self::variables::Variables;
use crate::catalog::{Definition, DefinitionKind, TableName, Warehouse};
use crate::config::{Config, MaxRejects, Param};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::store;
use pinsql_delta::{AsOf, REJECTS_SUFFIX, rejects_schema};
use pinsql_functions::generators::GENERATORS;
pub(crate) use pinsql_functions::generators::is_generator;
pub(crate) use pinsql_functions::json::from_json::schema_type as json_schema_type;
pub(crate) use pinsql_functions::json::get_json_object::OPERATOR as JSON_PATH_FUNCTION;
use pinsql_sources::kinesis;

/// A table that is open for one statement.
#[derive(Debug)]
pub struct OpenedTable {
    /// Scans the table.
    pub provider: Arc<dyn TableProvider>,
    /// The version that is open. None for a table that is only declared.
    pub version: Option<u64>,
}

impl OpenedTable {
    /// The columns of the table.
    pub fn schema(&self) -> SchemaRef {
        self.provider.schema()
    }
}

/// The state that statements share.
#[derive(Debug)]
pub struct Session {
    state: SessionState,
    config: Config,
    warehouse: Warehouse,
    /// The schema of table names that give none. `USE` changes it.
    schema: RwLock<String>,
    /// Tables that a check declared. They do not exist yet.
    declared: Mutex<HashMap<TableName, SchemaRef>>,
    /// Views and functions that a check declared.
    declared_definitions: Mutex<HashMap<(DefinitionKind, TableName), Definition>>,
    /// The readers of Kinesis streams. Tables that read the same stream share a reader.
    kinesis: Arc<kinesis::Hub>,
    views: TemporaryViews,
    variables: Variables,
    checks_retention: AtomicBool,
    sql_functions: SqlFunctions,
    libraries: LibraryFunctions,
    /// The values of parameter markers: those of the config, and those that the shell sets.
    params: RwLock<Arc<BTreeMap<String, Param>>>,
}

impl Session {
    /// Creates a session. No table is read or written. The location of the warehouse and its catalog service are looked up.
    ///
    /// Errors: a setting, a location or a credential is not valid, or the catalog service does not answer.
    pub async fn new(config: Config) -> Result<Self> {
        let state = engine::build_state(&config)?;
        let root = store::to_url(&config.warehouse)?;
        if config.warehouse.contains(['%', '\\', '#']) {
            return Err(Error::new(
                ErrorCode::InvalidLocation,
                format!("the warehouse cannot be at {}", config.warehouse),
            )
            .with_hint("%, # and \\ in its path are read differently by different readers of Delta tables"));
        }
        store::connect(state.runtime_env(), &root, &config.s3).await?;
        let warehouse = Warehouse::open(&root, state.runtime_env())?.with_service(&config, state.runtime_env()).await?;
        let schema = RwLock::new(config.schema.clone());
        let params = RwLock::new(Arc::new(config.params.clone()));
        Ok(Self {
            state,
            config,
            warehouse,
            schema,
            declared: Mutex::default(),
            declared_definitions: Mutex::default(),
            kinesis: Arc::default(),
            views: TemporaryViews::default(),
            variables: Variables::default(),
            checks_retention: AtomicBool::new(true),
            sql_functions: SqlFunctions::default(),
            libraries: LibraryFunctions::default(),
            params,
        })
    }

    /// The resolved settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The warehouse: the tables, views, functions and sinks by name.
    pub fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    /// The state of DataFusion for one statement.
    ///
    /// It is a copy: the current time, the schema and the catalogs belong to one statement. The copy includes the tables of
    /// functions, so a statement makes it once and shares it.
    pub fn state(&self) -> SessionState {
        let mut state = self.state.clone();
        for function in self.libraries.engine_functions() {
            // Only a registry that refuses functions returns an error, and a session state takes all.
            let _ = FunctionRegistry::register_udf(&mut state, function);
        }
        // All calls of current_timestamp() in the statement return this time.
        state.mark_start_execution();
        state.config_mut().options_mut().catalog.default_schema = self.current_schema();
        state
    }

    /// The scalar function `name` of DataFusion, of pinsql or of a library.
    pub fn scalar_function(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.libraries.engine_function(name).or_else(|| self.state.scalar_functions().get(name).cloned())
    }

    /// The memory pool of all statements.
    pub fn memory_pool(&self) -> Arc<dyn MemoryPool> {
        Arc::clone(&self.state.runtime_env().memory_pool)
    }

    /// The bytes that statements have on disk now, because the memory limit was reached.
    pub fn spilled_bytes(&self) -> u64 {
        self.state.runtime_env().disk_manager.used_disk_space()
    }

    /// The shared readers of Kinesis streams.
    pub fn kinesis(&self) -> &Arc<kinesis::Hub> {
        &self.kinesis
    }

    /// The name of the catalog in SQL.
    pub fn catalog_name(&self) -> &str {
        self.warehouse.catalog_name()
    }

    /// Resolves a name of one to three parts against the current catalog and schema.
    ///
    /// Errors: the name has too many parts, another catalog, or characters that a name cannot have.
    pub fn table_name(&self, parts: &[&str]) -> Result<TableName> {
        TableName::from_parts(parts, self.catalog_name(), &self.current_schema())
    }

    /// The schema of table names that give none.
    pub fn current_schema(&self) -> String {
        self.schema.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the schema of table names that give none.
    pub fn use_schema(&self, schema: String) {
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = schema;
    }

    /// The values of the parameter markers in SQL.
    pub fn params(&self) -> Arc<BTreeMap<String, Param>> {
        Arc::clone(&self.params.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets or removes the value of a parameter marker for the next statements. Returns true if there was a value before.
    pub fn set_param(&self, name: &str, value: Option<Param>) -> bool {
        let mut params = self.params.write().unwrap_or_else(PoisonError::into_inner);
        let changed = Arc::make_mut(&mut params);
        match value {
            Some(value) => changed.insert(name.to_owned(), value).is_some(),
            None => changed.remove(name).is_some(),
        }
    }

    /// The temporary views.
    pub fn views(&self) -> &TemporaryViews {
        &self.views
    }

    /// The temporary SQL functions.
    pub fn sql_functions(&self) -> &SqlFunctions {
        &self.sql_functions
    }

    /// The functions that are loaded from libraries.
    pub fn library_functions(&self) -> &LibraryFunctions {
        &self.libraries
    }

    /// The session variables.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// True if VACUUM refuses a retention that is shorter than that of the table.
    pub fn checks_retention(&self) -> bool {
        self.checks_retention.load(Ordering::Relaxed)
    }

    /// Sets whether VACUUM refuses such a retention.
    pub fn set_checks_retention(&self, check: bool) {
        self.checks_retention.store(check, Ordering::Relaxed);
    }

    /// Registers the object store of `location` with the engine.
    ///
    /// Errors: the location or the credentials are not valid.
    pub async fn connect(&self, location: &str) -> Result<()> {
        store::connect(self.state.runtime_env(), &store::to_url(location)?, &self.config.s3).await
    }

    /// The names directly in a folder, local or `s3://`. The names of folders end in `/`.
    pub async fn browse(&self, folder: &str) -> Result<Vec<String>> {
        self.connect(folder).await?;
        store::browse(self.state.runtime_env(), &store::to_url(folder)?).await
    }

    /// The largest number of records that a statement may reject. A limit in percent is checked when the statement ends.
    pub fn rejects_max(&self) -> u64 {
        match self.config.max_rejects {
            MaxRejects::Count(count) => count,
            MaxRejects::Unlimited | MaxRejects::Percent(_) => u64::MAX,
        }
    }

    /// Opens the newest version of a table.
    ///
    /// Errors: there is no such table. The hint has the closest name.
    pub async fn open_table(&self, name: &TableName) -> Result<OpenedTable> {
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(schema) = declared {
            return Ok(OpenedTable { provider: Arc::new(EmptyTable::new(schema)), version: None });
        }
        let (location, table) = Box::pin(self.warehouse.open_table(name)).await?;
        let provider = location.provider(&table)?;
        Ok(OpenedTable { provider, version: table.version() })
    }

    /// Opens the newest version of a table that a query reads. The rejects of a table that has never rejected a record are an
    /// empty table.
    pub async fn open_to_read(&self, name: &TableName) -> Result<OpenedTable> {
        let missing = match self.open_table(name).await {
            Err(missing) if missing.code == ErrorCode::TableOrViewNotFound => missing,
            opened => return opened,
        };
        match name.without_suffix(REJECTS_SUFFIX) {
            Some(table) if Box::pin(self.warehouse.table_exists(&table)).await? => {
                Ok(OpenedTable { provider: Arc::new(EmptyTable::new(rejects_schema())), version: None })
            }
            _ => Err(missing),
        }
    }

    /// Opens an older version of a table. A table that a check declared has only one version.
    pub async fn open_table_as_of(&self, name: &TableName, as_of: AsOf) -> Result<OpenedTable> {
        if self.declared.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name) {
            return self.open_table(name).await;
        }
        let (location, table) = Box::pin(self.warehouse.open_table_as_of(name, as_of)).await?;
        let provider = location.provider(&table)?;
        Ok(OpenedTable { provider, version: table.version() })
    }

    /// True if `name` is a built-in function. Functions of users cannot have such a name.
    pub fn is_built_in_function(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.state.scalar_functions().contains_key(&name)
            || self.state.aggregate_functions().contains_key(&name)
            || self.state.window_functions().contains_key(&name)
            || self.state.table_functions().contains_key(&name)
            || self.state.higher_order_functions().contains_key(&name)
            || GENERATORS.contains(&name.as_str())
            || rewritten_functions::NAMES.contains(&name.as_str())
    }

    /// The names of the built-in functions, table functions included.
    pub fn built_in_functions(&self) -> BTreeSet<String> {
        let state = &self.state;
        let engine = state.scalar_functions().keys().chain(state.aggregate_functions().keys());
        let engine = engine.chain(state.window_functions().keys()).chain(state.table_functions().keys());
        let names = engine.chain(state.higher_order_functions().keys()).cloned();
        let others = GENERATORS.into_iter().chain(rewritten_functions::NAMES).map(str::to_owned);
        // SQL cannot call a name with a space: such functions are internal.
        names.chain(others).filter(|name| !name.contains(' ')).collect()
    }

    /// The definition of a view or a function: the one that a check declared, or the one in the warehouse.
    pub async fn definition(&self, kind: DefinitionKind, name: &TableName) -> Result<Option<Definition>> {
        let key = (kind, name.clone());
        let declared = self.declared_definitions.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        match declared {
            Some(declared) => Ok(Some(declared)),
            None => self.warehouse.definition(kind, name).await,
        }
    }

    /// Declares a view or a function to the later statements of a check.
    pub fn declare_definition(&self, kind: DefinitionKind, name: TableName, definition: Definition) {
        let mut declared = self.declared_definitions.lock().unwrap_or_else(PoisonError::into_inner);
        declared.insert((kind, name), definition);
    }

    /// Removes a declared view or function, for a DROP in a check. Returns true if it was declared.
    pub fn forget_definition(&self, kind: DefinitionKind, name: &TableName) -> bool {
        let mut declared = self.declared_definitions.lock().unwrap_or_else(PoisonError::into_inner);
        declared.remove(&(kind, name.clone())).is_some()
    }

    /// Declares a table to the later statements of a check.
    pub fn declare(&self, name: TableName, schema: SchemaRef) {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).insert(name, schema);
    }
}

#[cfg(test)]
mod tests;
