//! The one maker of a DataFusion session: every command runs its statements in one of these.
//!
//! What makes SQL mean here what it means in Databricks is set here and nowhere else: the dialect, UTC, NULLs first in
//! ascending order, TIMESTAMP as microseconds in UTC. So is what bounds memory. DataFusion's listing cache, its own table
//! factories and its information schema are left out.

mod aggregate_calls;
mod calls;
mod casts;
mod forms;
pub mod lateral;
pub mod libraries;
pub mod literals;
mod operators;
pub mod sql_functions;
mod types;
pub mod variables;
pub mod views;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::config::{ConfigNonZeroUsize, Dialect};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::prelude::SessionConfig;

use self::libraries::LibraryFunctions;
use self::sql_functions::SqlFunctions;
use self::variables::Variables;
use self::views::Views;
use crate::catalog::{CATALOG_NAME, Definition, DefinitionKind, TableName, Warehouse};
use crate::config::{Config, MaxRejects, Param};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::store;
use pinsql_delta::AsOf;
use pinsql_functions::generators::GENERATORS;
pub(crate) use pinsql_functions::generators::is_generator;
pub(crate) use pinsql_functions::json::from_json::schema_type as json_schema_type;
pub(crate) use pinsql_functions::json::get_json_object::OPERATOR as JSON_PATH_FUNCTION;
use pinsql_sources::kinesis;

/// How many memory consumers an out-of-memory error names.
const CONSUMERS_SHOWN: usize = 3;

/// What the footers of Parquet files may hold of memory, which the pool does not count. A file that several partitions read
/// is opened once; more would only be kept of files that compaction has replaced since.
const FOOTERS_BYTES_MAX: usize = 8 << 20;

/// A table that a statement reads.
#[derive(Debug)]
pub struct OpenedTable {
    pub provider: Arc<dyn TableProvider>,
    /// The version it was opened at; a table that is only declared has none.
    pub version: Option<u64>,
}

impl OpenedTable {
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
    /// The schema of table names that give none; `USE` changes it.
    schema: RwLock<String>,
    /// Tables that a check has seen declared but that are not there yet.
    declared: Mutex<HashMap<TableName, SchemaRef>>,
    /// Views and functions of which the same is true.
    declared_definitions: Mutex<HashMap<(DefinitionKind, TableName), Definition>>,
    /// The readers of Kinesis streams that tables share.
    kinesis: Arc<kinesis::Hub>,
    views: Views,
    variables: Variables,
    checks_retention: AtomicBool,
    sql_functions: SqlFunctions,
    libraries: LibraryFunctions,
    /// The values of parameter markers: those of the config, and what a shell has set since.
    params: RwLock<Arc<BTreeMap<String, Param>>>,
}

impl Session {
    /// Makes a session. Nothing is read or written yet; an S3 warehouse is looked up, not opened.
    pub async fn new(config: Config) -> Result<Self> {
        let state = build_state(&config)?;
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
            views: Views::default(),
            variables: Variables::default(),
            checks_retention: AtomicBool::new(true),
            sql_functions: SqlFunctions::default(),
            libraries: LibraryFunctions::default(),
            params,
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    /// A copy of the engine's state for one statement.
    pub fn state(&self) -> SessionState {
        let mut state = self.state.clone();
        for function in self.libraries.all() {
            // Only a state that refuses functions fails here, and this is none.
            let _ = datafusion::execution::FunctionRegistry::register_udf(&mut state, function);
        }
        // One moment for all that the statement calls now.
        state.mark_start_execution();
        state.config_mut().options_mut().catalog.default_schema = self.current_schema();
        state
    }

    /// What the operators of all statements take memory from.
    pub fn memory_pool(&self) -> Arc<dyn MemoryPool> {
        Arc::clone(&self.state.runtime_env().memory_pool)
    }

    /// What statements have on disk now because memory was short.
    pub fn spilled_bytes(&self) -> u64 {
        self.state.runtime_env().disk_manager.used_disk_space()
    }

    pub fn kinesis(&self) -> &Arc<kinesis::Hub> {
        &self.kinesis
    }

    /// The catalog that has all tables, as SQL names it.
    pub fn catalog_name(&self) -> &str {
        self.warehouse.catalog_name()
    }

    /// The table that the parts of a name mean now.
    pub fn table_name(&self, parts: &[&str]) -> Result<TableName> {
        TableName::from_parts(parts, self.catalog_name(), &self.current_schema())
    }

    pub fn current_schema(&self) -> String {
        self.schema.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn use_schema(&self, schema: String) {
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = schema;
    }

    /// The values of the parameter markers in SQL.
    pub fn params(&self) -> Arc<BTreeMap<String, Param>> {
        Arc::clone(&self.params.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives a parameter marker a value for the statements that follow, or takes it away. Says whether there was one.
    pub fn set_param(&self, name: &str, value: Option<Param>) -> bool {
        let mut params = self.params.write().unwrap_or_else(PoisonError::into_inner);
        let changed = Arc::make_mut(&mut params);
        match value {
            Some(value) => changed.insert(name.to_owned(), value).is_some(),
            None => changed.remove(name).is_some(),
        }
    }

    /// The temporary views that statements of this session have made.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The temporary functions that statements of this session have made.
    pub fn sql_functions(&self) -> &SqlFunctions {
        &self.sql_functions
    }

    /// The functions of libraries that statements of this session have loaded.
    pub fn library_functions(&self) -> &LibraryFunctions {
        &self.libraries
    }

    /// The variables that statements of this session have declared.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Whether VACUUM refuses a retention that is shorter than the table's own.
    pub fn checks_retention(&self) -> bool {
        self.checks_retention.load(Ordering::Relaxed)
    }

    pub fn check_retention(&self, check: bool) {
        self.checks_retention.store(check, Ordering::Relaxed);
    }

    /// Makes the object store that `location` lives in known to the engine.
    pub async fn connect(&self, location: &str) -> Result<()> {
        store::connect(self.state.runtime_env(), &store::to_url(location)?, &self.config.s3).await
    }

    /// The names right under a folder, local or `s3://`; those of folders end in `/`.
    pub async fn browse(&self, folder: &str) -> Result<Vec<String>> {
        self.connect(folder).await?;
        store::browse(self.state.runtime_env(), &store::to_url(folder)?).await
    }

    /// The most records that a statement may reject, where that is a count.
    pub fn rejects_max(&self) -> u64 {
        match self.config.max_rejects {
            MaxRejects::Count(count) => count,
            MaxRejects::Unlimited | MaxRejects::Percent(_) => u64::MAX,
        }
    }

    /// The table's newest version; an error that names the nearest when there is none.
    pub async fn open_table(&self, name: &TableName) -> Result<OpenedTable> {
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(schema) = declared {
            return Ok(OpenedTable { provider: Arc::new(EmptyTable::new(schema)), version: None });
        }
        let (location, table) = Box::pin(self.warehouse.open_table(name)).await?;
        let provider = location.provider(&table)?;
        Ok(OpenedTable { provider, version: table.version() })
    }

    /// An older version of a table. What a check has seen declared has one version only.
    pub async fn open_table_as_of(&self, name: &TableName, as_of: AsOf) -> Result<OpenedTable> {
        if self.declared.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name) {
            return self.open_table(name).await;
        }
        let (location, table) = Box::pin(self.warehouse.open_table_as_of(name, as_of)).await?;
        let provider = location.provider(&table)?;
        Ok(OpenedTable { provider, version: table.version() })
    }

    /// Whether there is a function of that name which nothing of the user's hides.
    pub fn is_built_in_function(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.state.scalar_functions().contains_key(&name)
            || self.state.aggregate_functions().contains_key(&name)
            || self.state.window_functions().contains_key(&name)
            || self.state.table_functions().contains_key(&name)
            || self.state.higher_order_functions().contains_key(&name)
            || GENERATORS.contains(&name.as_str())
            || forms::NAMES.contains(&name.as_str())
    }

    /// The names of the built-in functions, table functions included.
    pub fn built_in_functions(&self) -> BTreeSet<String> {
        let state = &self.state;
        let engine = state.scalar_functions().keys().chain(state.aggregate_functions().keys());
        let engine = engine.chain(state.window_functions().keys()).chain(state.table_functions().keys());
        let names = engine.chain(state.higher_order_functions().keys()).cloned();
        let others = GENERATORS.into_iter().chain(forms::NAMES).map(str::to_owned);
        // A name with a blank is one that no SQL can call.
        names.chain(others).filter(|name| !name.contains(' ')).collect()
    }

    /// The definition of a view or a function of the warehouse, or what a check has seen of it.
    pub async fn definition(&self, kind: DefinitionKind, name: &TableName) -> Result<Option<Definition>> {
        let key = (kind, name.clone());
        let declared = self.declared_definitions.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        match declared {
            Some(declared) => Ok(Some(declared)),
            None => self.warehouse.definition(kind, name).await,
        }
    }

    /// Lets later statements of a check see a view or a function that this one would make.
    pub fn declare_definition(&self, kind: DefinitionKind, name: TableName, definition: Definition) {
        let mut declared = self.declared_definitions.lock().unwrap_or_else(PoisonError::into_inner);
        declared.insert((kind, name), definition);
    }

    /// What a statement of a check would drop. Says whether a check had seen it made.
    pub fn forget_definition(&self, kind: DefinitionKind, name: &TableName) -> bool {
        let mut declared = self.declared_definitions.lock().unwrap_or_else(PoisonError::into_inner);
        declared.remove(&(kind, name.clone())).is_some()
    }

    /// Lets later statements of a check see a table that this one would make.
    pub fn declare(&self, name: TableName, schema: SchemaRef) {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).insert(name, schema);
    }
}

fn build_state(config: &Config) -> Result<SessionState> {
    let pool = TrackConsumersPool::new(
        FairSpillPool::new(config.memory_bytes),
        std::num::NonZeroUsize::new(CONSUMERS_SHOWN).unwrap_or(std::num::NonZeroUsize::MIN),
    );
    let caches = CacheManagerConfig::default()
        .with_list_files_cache_limit(0)
        .with_file_statistics_cache_limit(0)
        .with_metadata_cache_limit(FOOTERS_BYTES_MAX);
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_cache_manager(caches).build_arc()?;
    let mut state = SessionStateBuilder::new()
        .with_config(engine_config(config)?)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(Arc::new(pinsql_sources::operators::Planner))
        .with_physical_optimizer_rule(Arc::new(pinsql_sources::operators::CooperativeJoins))
        .with_relation_planners(vec![Arc::new(lateral::GeneratorPlanner)])
        .with_type_planner(Arc::new(types::DatabricksTypes))
        .with_expr_planners(expr_planners())
        .with_analyzer_rule(Arc::new(casts::DatabricksCasts::new()))
        .build();
    for function in functions() {
        datafusion::execution::FunctionRegistry::register_udf(&mut state, Arc::new(function))?;
    }
    for function in pinsql_functions::all_higher_order() {
        datafusion::execution::FunctionRegistry::register_higher_order_function(&mut state, function)?;
    }
    for function in pinsql_functions::all_aggregates() {
        datafusion::execution::FunctionRegistry::register_udaf(&mut state, Arc::new(function))?;
    }
    Ok(state)
}

fn engine_config(config: &Config) -> Result<SessionConfig> {
    let mut engine = SessionConfig::new()
        .with_target_partitions(config.threads)
        .with_default_catalog_and_schema(CATALOG_NAME, &config.schema)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    let options = engine.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    // The functions of DataFusion's crate for Spark fail where Spark's ANSI mode fails.
    options.execution.enable_ansi_mode = true;
    options.sql_parser.dialect = Dialect::Databricks;
    options.sql_parser.collect_spans = true;
    options.sql_parser.default_null_ordering = "nulls_min".to_owned();
    // Spark writes timestamps in Parquet's oldest form (INT96). As nanoseconds, which it is read as otherwise, it ends in the year 2262.
    options.execution.parquet.coerce_int96 = Some("us".to_owned());
    options.execution.parquet.coerce_int96_tz = Some("UTC".to_owned());
    // Names are respelled before planning (statement::query), so the engine takes them literally.
    options.sql_parser.enable_ident_normalization = false;
    // A file for each spilled batch: DataFusion 55.2 waits forever when two producers each have a file open and the reader has
    // finished the older one (apache/datafusion#24883). A file of one batch is closed as soon as it is written.
    options.execution.max_spill_file_size_bytes = ConfigNonZeroUsize::try_new(1)?;
    // DataFusion 55.2 fails on valid queries over struct fields with this on (push_down_leaf_projections).
    options.optimizer.enable_leaf_expression_pushdown = false;
    Ok(engine)
}

/// The first planner that knows an operator decides, so DataFusion's own come last.
fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(operators::DatabricksOperators::new())];
    planners.extend(SessionStateDefaults::default_expr_planners());
    planners
}

/// The functions that DataFusion does not have, has under another name, or gives another meaning.
fn functions() -> Vec<ScalarUDF> {
    let mut functions = pinsql_udfs::all();
    functions.extend(pinsql_functions::all());
    functions
}

#[cfg(test)]
mod tests;
