//! Tests of the engine's configuration.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use datafusion::datasource::MemTable;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, collect};

use super::engine::engine_config;
use crate::config::{Config, Layer};

/// The rows of each of two partitions, and the rows of a batch. Small batches fill the queues of the exchange.
const PARTITION_ROWS: i64 = 20_000;
const BATCH_ROWS: usize = 64;

/// The number of groups, and of distinct values.
const GROUPS: i64 = 13;
const VALUES: i64 = 337;

/// The query of apache/datafusion#24883. It never ends if spilled batches share files.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn an_aggregation_that_spills_between_partitions_ends() {
    let mut spills = 0;
    for _ in 0..30 {
        let state = narrow_state();
        let plan = state.create_logical_plan("SELECT g, count(DISTINCT id) FROM t GROUP BY g").await.unwrap();
        let plan = state.create_physical_plan(&plan).await.unwrap();
        let query = collect(Arc::clone(&plan), state.task_ctx());
        let groups = tokio::time::timeout(Duration::from_secs(60), query).await.expect("an end").unwrap();
        assert_eq!(groups.iter().map(RecordBatch::num_rows).sum::<usize>(), GROUPS as usize);
        spills += spills_of_exchanges(&plan);
    }
    assert!(spills > 0, "nothing was spilled, so nothing was tested");
}

fn spills_of_exchanges(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let own = plan.is::<RepartitionExec>().then(|| plan.metrics()?.spill_count()).flatten();
    own.unwrap_or(0) + plan.children().into_iter().map(spills_of_exchanges).sum::<usize>()
}

/// A session with little memory in a greedy pool, so that the exchange between partitions spills.
fn narrow_state() -> SessionState {
    let pool = Arc::new(GreedyMemoryPool::new(4 << 20));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
    let config = Config { threads: 2, ..Config::resolve(Layer::default(), None).unwrap() };
    let engine =
        engine_config(&config).unwrap().with_create_default_catalog_and_schema(true).with_batch_size(BATCH_ROWS);
    let state =
        SessionStateBuilder::new().with_config(engine).with_runtime_env(runtime).with_default_features().build();
    let partition = |first: i64| {
        let serials = first..first + PARTITION_ROWS;
        let groups: ArrayRef = Arc::new(serials.clone().map(|serial| Some(serial % GROUPS)).collect::<Int64Array>());
        let ids = serials.map(|serial| Some(format!("{:032x}", serial % VALUES)));
        let ids: ArrayRef = Arc::new(ids.collect::<StringViewArray>());
        vec![RecordBatch::try_from_iter([("g", groups), ("id", ids)]).unwrap()]
    };
    let partitions = vec![partition(0), partition(PARTITION_ROWS)];
    let table = MemTable::try_new(partitions[0][0].schema(), partitions).unwrap();
    let catalog = state.catalog_list().catalog(crate::catalog::CATALOG_NAME).unwrap();
    catalog.schema(&config.schema).unwrap().register_table("t".to_owned(), Arc::new(table)).unwrap();
    state
}
