//! The configured state of DataFusion: settings, memory limit, functions, planners and rules.

use std::sync::Arc;

use datafusion::common::config::{ConfigNonZeroUsize, Dialect};
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use super::{
    cast_semantics, coercion, column_equalities, lateral, operators, plan_rules, recursion, subqueries, types,
};
use crate::catalog::CATALOG_NAME;
use crate::config::Config;
use pinsql_base::error::Result;

/// The number of memory consumers that an out-of-memory error names.
const CONSUMERS_SHOWN: usize = 3;

/// The memory limit of the cache of Parquet footers, which the pool does not count. It is small: the cache only has to serve the
/// partitions of one scan, which read the same file. A larger one would keep footers of files that compaction has replaced.
const FOOTERS_BYTES_MAX: usize = 8 << 20;

/// Builds the state from the settings.
pub(super) fn build_state(config: &Config) -> Result<SessionState> {
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
        .with_physical_optimizer_rules(physical_rules())
        .with_physical_optimizer_rule(Arc::new(recursion::LimitRecursion))
        .with_physical_optimizer_rule(Arc::new(pinsql_sources::operators::CooperativeJoins))
        .with_relation_planners(vec![Arc::new(lateral::GeneratorPlanner)])
        .with_type_planner(Arc::new(types::DatabricksTypes))
        .with_expr_planners(expr_planners())
        .with_analyzer_rules(analyzer_rules())
        .with_analyzer_rule(Arc::new(plan_rules::Groups))
        .with_analyzer_rule(Arc::new(subqueries::UnnestSubqueries))
        .with_analyzer_rule(Arc::new(plan_rules::Nullability))
        .with_optimizer_rules(plan_rules::optimizer_rules())
        .build();
    for function in functions() {
        FunctionRegistry::register_udf(&mut state, Arc::new(function))?;
    }
    for function in pinsql_functions::all_higher_order() {
        FunctionRegistry::register_higher_order_function(&mut state, function)?;
    }
    for function in pinsql_functions::all_aggregates() {
        FunctionRegistry::register_udaf(&mut state, Arc::new(function))?;
    }
    Ok(state)
}

/// The settings of DataFusion.
pub(super) fn engine_config(config: &Config) -> Result<SessionConfig> {
    let mut engine = SessionConfig::new()
        .with_target_partitions(config.threads)
        .with_default_catalog_and_schema(CATALOG_NAME, &config.schema)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    let options = engine.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    // The functions of datafusion-spark then fail where the ANSI mode of Spark fails.
    options.execution.enable_ansi_mode = true;
    options.sql_parser.dialect = Dialect::Databricks;
    options.sql_parser.collect_spans = true;
    // `1.5` is a DECIMAL(2, 1).
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.default_null_ordering = "nulls_min".to_owned();
    // Spark can write timestamps in Parquet's oldest form (INT96). By default they are read as nanoseconds, which end in 2262.
    options.execution.parquet.coerce_int96 = Some("us".to_owned());
    options.execution.parquet.coerce_int96_tz = Some("UTC".to_owned());
    // statement::query writes names in their declared case, so the engine takes them literally.
    options.sql_parser.enable_ident_normalization = false;
    // One file for each spilled batch. DataFusion 55.2 waits forever when two producers each have a file open and the reader is
    // done with the older one (apache/datafusion#24883). A file with one batch is closed as soon as it is written.
    options.execution.max_spill_file_size_bytes = ConfigNonZeroUsize::try_new(1)?;
    // The logical and the physical plan of `b IS NOT TRUE` differ in whether it can be NULL.
    options.execution.skip_physical_aggregate_schema_check = true;
    // DataFusion 55.2 fails on valid queries over struct fields with this on (push_down_leaf_projections).
    options.optimizer.enable_leaf_expression_pushdown = false;
    // The groups of `GROUP BY … ORDER BY max(x) DESC LIMIT n` in a heap: DataFusion 55.2 loses NaN there, and panics on a NaN as key.
    options.optimizer.enable_topk_aggregation = false;
    Ok(engine)
}

/// The rules of DataFusion. Ours are before and after its type coercion.
fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> =
        vec![Arc::new(plan_rules::Bounds), Arc::new(coercion::SparkCoercion::new())];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(cast_semantics::DatabricksCasts::new()));
    rules
}

/// The first planner that handles an operator decides, so DataFusion's own planners come last.
fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(operators::DatabricksOperators::new())];
    planners.extend(SessionStateDefaults::default_expr_planners());
    planners
}

/// The functions that DataFusion lacks, has under another name, or implements with another meaning.
fn functions() -> Vec<ScalarUDF> {
    let mut functions = pinsql_udfs::all();
    functions.extend(pinsql_functions::all());
    functions
}

/// The physical rules of DataFusion, after ours for filters: it must come before the rules that sort.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let first: Arc<dyn PhysicalOptimizerRule + Send + Sync> = Arc::new(column_equalities::ColumnEqualities);
    std::iter::once(first).chain(PhysicalOptimizer::new().rules).collect()
}
