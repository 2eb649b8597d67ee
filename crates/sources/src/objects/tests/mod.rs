//! Tests of `read_files` from planning to rows, with local folders and objects in memory.

mod csv;
mod formats;
mod json_modes;
mod paths;
mod places;
mod splits;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use datafusion::execution::context::SessionContext;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionConfig;
use datafusion::scalar::ScalarValue;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use super::{Limits, ReadFiles, ScanObjects, SourceEnvironment, plan_scan};
use pinsql_base::error::Error;
use pinsql_base::rejects::{RECORDS_DROPPED, RECORDS_READ, RECORDS_REJECTED, Reject, Rejects};

/// A bucket in memory, and the settings of its scans.
pub(super) struct Bucket {
    store: Arc<InMemory>,
    partitions: usize,
    batch_rows: usize,
    limits: Limits,
    split_bytes: u64,
    memory: Option<Arc<dyn MemoryPool>>,
}

/// The result of a statement.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Each row's values, joined by `|`.
    pub rows: Vec<String>,
    pub columns: String,
    pub rejects: Vec<Reject>,
    pub read: usize,
    pub rejected: usize,
    pub dropped: usize,
    pub plan: String,
    pub notices: Vec<String>,
}

impl Bucket {
    pub(super) fn new() -> Self {
        Self {
            store: Arc::new(InMemory::new()),
            partitions: 2,
            batch_rows: 8192,
            limits: Limits::default(),
            split_bytes: 8 << 20,
            memory: None,
        }
    }

    pub(super) fn with_partitions(mut self, partitions: usize) -> Self {
        self.partitions = partitions;
        self
    }

    /// Tiny units, so that every kind of cut falls within a record.
    pub(super) fn with_tiny_units(mut self, split_bytes: u64, block_bytes: u64, batch_rows: usize) -> Self {
        self.limits = Limits { block_bytes, requests_max: 3, ahead_bytes_max: block_bytes * 2, ..Limits::default() };
        self.split_bytes = split_bytes;
        self.batch_rows = batch_rows;
        self
    }

    /// A smaller sample for the inference of a schema.
    pub(super) fn with_sample(mut self, sample_bytes: u64) -> Self {
        self.limits.sample_bytes_max = sample_bytes;
        self
    }

    /// Sets the memory pool, which then is the only limit for reading.
    pub(super) fn with_memory(mut self, pool: Arc<dyn MemoryPool>) -> Self {
        self.limits = Limits::within(pool.as_ref(), self.partitions);
        self.memory = Some(pool);
        self
    }

    pub(super) async fn put(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let content = Bytes::copy_from_slice(content.as_ref());
        self.store.put(&Path::parse(path).unwrap(), content.into()).await.unwrap();
        self
    }

    pub(super) async fn select(&self, path: &str, options: &[(&str, &str)], sql: &str) -> Result<Outcome, Error> {
        let path = path.strip_prefix('/').map_or(path.to_owned(), |key| format!("s3://bucket/{key}"));
        select(&self.context(), &path, options, sql, |environment| {
            environment.limits = self.limits;
            environment.packing.split_bytes_min = self.split_bytes;
            environment.packing.bundle_bytes_max = environment.packing.bundle_bytes_max.max(self.split_bytes);
        })
        .await
    }

    /// Plans a scan, then replaces or deletes the only object, then runs the scan.
    pub(super) async fn select_after(
        &self,
        path: &str,
        options: &[(&str, &str)],
        change: Option<&str>,
    ) -> Result<Outcome, Error> {
        let context = self.context();
        let (rejects, _receiver) = Rejects::channel();
        let mut environment = SourceEnvironment::new(context.state(), rejects);
        environment.limits = self.limits;
        let table =
            plan_scan(call(&format!("s3://bucket{path}"), options, ""), ScanObjects::Matching, &environment).await?;
        let object = Path::from("in/a.json");
        match change {
            Some(content) => drop(self.store.put(&object, content.to_owned().into()).await.unwrap()),
            None => self.store.delete(&object).await.unwrap(),
        }
        let read = context.read_table(table).unwrap().collect().await;
        read.map(|_| Outcome::default()).map_err(unwrap_external)
    }

    /// All columns, with sorted rows.
    pub(super) async fn rows(&self, path: &str, options: &[(&str, &str)]) -> Outcome {
        let mut outcome = self.select(path, options, "SELECT * FROM t").await.unwrap();
        outcome.rows.sort();
        outcome
    }

    pub(super) async fn error(&self, path: &str, options: &[(&str, &str)]) -> Error {
        self.select(path, options, "SELECT * FROM t").await.unwrap_err()
    }

    fn context(&self) -> SessionContext {
        let context = match &self.memory {
            None => context(self.partitions, self.batch_rows),
            Some(pool) => {
                let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool.clone()).build_arc().unwrap();
                SessionContext::new_with_config_rt(config(self.partitions, self.batch_rows), runtime)
            }
        };
        let store: Arc<dyn ObjectStore> = self.store.clone();
        context.register_object_store(&Url::parse("s3://bucket").unwrap(), store);
        context
    }
}

pub(super) fn context(partitions: usize, batch_rows: usize) -> SessionContext {
    SessionContext::new_with_config(config(partitions, batch_rows))
}

fn config(partitions: usize, batch_rows: usize) -> SessionConfig {
    SessionConfig::new().with_target_partitions(partitions).with_batch_size(batch_rows)
}

/// Runs `sql` over the table `t` of a call of `read_files`.
pub(super) async fn select(
    context: &SessionContext,
    path: &str,
    options: &[(&str, &str)],
    sql: &str,
    tune: impl FnOnce(&mut SourceEnvironment),
) -> Result<Outcome, Error> {
    let (rejects, mut receiver) = Rejects::channel();
    let receiving = tokio::spawn(async move {
        let mut received = Vec::new();
        while let Some(reject) = receiver.recv().await {
            received.push(reject);
        }
        received
    });
    let mut environment = SourceEnvironment::new(context.state(), rejects);
    tune(&mut environment);
    let table = plan_scan(call(path, options, sql), ScanObjects::Matching, &environment).await?;
    drop(environment);
    context.deregister_table("t").unwrap();
    context.register_table("t", table).unwrap();
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let batches = collect(plan.clone(), context.task_ctx()).await.map_err(unwrap_external)?;
    context.deregister_table("t").unwrap();
    let mut outcome = Outcome {
        rows: batches.iter().flat_map(format_rows).collect(),
        columns: plan
            .schema()
            .fields()
            .iter()
            .map(|field| format!("{} {}", field.name(), pinsql_base::schema::type_name(field.data_type())))
            .collect::<Vec<_>>()
            .join(", "),
        plan: datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string(),
        ..Default::default()
    };
    sum_metrics(&plan, &mut outcome);
    outcome.notices = super::notices(&plan);
    drop(plan);
    outcome.rejects = receiving.await.unwrap();
    outcome.rejects.sort_by(|left, right| (&left.source, &left.position).cmp(&(&right.source, &right.position)));
    Ok(outcome)
}

fn call(path: &str, options: &[(&str, &str)], sql: &str) -> ReadFiles {
    let options: BTreeMap<_, _> =
        options.iter().map(|(name, value)| ((*name).to_owned(), ScalarValue::from(*value))).collect();
    ReadFiles { path: path.to_owned(), options, with_metadata: sql.contains("_metadata") }
}

fn unwrap_external(error: datafusion::error::DataFusionError) -> Error {
    let mut error = error;
    loop {
        error = match error {
            datafusion::error::DataFusionError::External(inner) => return *inner.downcast::<Error>().unwrap(),
            datafusion::error::DataFusionError::Context(_, inner) => *inner,
            datafusion::error::DataFusionError::Shared(inner) => Arc::into_inner(inner).unwrap(),
            other => panic!("not an error of ours: {other}"),
        }
    }
}

fn format_rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(row).collect()
}

fn sum_metrics(plan: &Arc<dyn ExecutionPlan>, outcome: &mut Outcome) {
    if plan.children().is_empty()
        && let Some(metrics) = plan.metrics()
    {
        let sum = |name| metrics.sum_by_name(name).map_or(0, |value| value.as_usize());
        outcome.read += sum(RECORDS_READ);
        outcome.rejected += sum(RECORDS_REJECTED);
        outcome.dropped += sum(RECORDS_DROPPED);
    }
    plan.children().into_iter().for_each(|child| sum_metrics(child, outcome));
}

pub(super) fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content.as_ref()).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(content: impl AsRef<[u8]>) -> Vec<u8> {
    zstd::encode_all(content.as_ref(), 1).unwrap()
}

/// `{"a":0,"b":"text 0"}` and so on, each with its line end.
pub(super) fn lines(numbers: std::ops::Range<u64>) -> String {
    numbers.map(|number| format!("{{\"a\":{number},\"b\":\"text {number}\"}}\n")).collect()
}
