//! The log store of a table: deltalake's own one, with another engine for the Delta kernel.
//!
//! deltalake's engine opens up to a thousand files of the log at once. Each of them gets a decoder with room for a thousand
//! actions, which is about 1 MB even for a commit of a few hundred bytes. So a checkpoint of a table with 200 new commits took
//! 215 MB. This engine opens fewer files, with smaller decoders (`tests/log_memory.rs`).

use std::num::NonZero;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use delta_kernel::{Engine, EvaluationHandler, JsonHandler, ParquetHandler, StorageHandler};
use delta_kernel_engine::DefaultEngineBuilder;
use delta_kernel_engine::executor::TaskExecutor;
use delta_kernel_engine::executor::tokio::{TokioBackgroundExecutor, TokioMultiThreadExecutor};
use delta_kernel_engine::json::DefaultJsonHandler;
use deltalake::DeltaResult;
use deltalake::kernel::Version;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{CommitOrBytes, LogStore, LogStoreConfig, LogStoreRef, StorageConfig, default_logstore};
use object_store::ObjectStore;
use tokio::runtime::{Handle, RuntimeFlavor};
use url::Url;
use uuid::Uuid;

/// Commits that are read at once. A store in the cloud answers them in one round trip.
const COMMITS_AT_ONCE: NonZero<usize> = NonZero::new(64).unwrap();
/// The actions that the decoder of a commit has room for. Most commits have fewer, and more are decoded in several steps.
const ACTIONS_A_STEP: NonZero<usize> = NonZero::new(64).unwrap();
/// Parts of a checkpoint that are opened at once.
const CHECKPOINT_PARTS_AT_ONCE: NonZero<usize> = NonZero::new(8).unwrap();

/// The log store of the table at `url`. `table` has the folder of the table as its root, and `root` the whole store.
pub(crate) fn log_store(table: Arc<dyn ObjectStore>, root: Arc<dyn ObjectStore>, url: &Url) -> LogStoreRef {
    Arc::new(FrugalLogStore(default_logstore(table, root, url, &StorageConfig::default())))
}

struct FrugalLogStore(LogStoreRef);

#[async_trait]
impl LogStore for FrugalLogStore {
    fn name(&self) -> String {
        self.0.name()
    }

    async fn read_commit_entry(&self, version: Version) -> DeltaResult<Option<Bytes>> {
        self.0.read_commit_entry(version).await
    }

    async fn write_commit_entry(
        &self,
        version: Version,
        commit: CommitOrBytes,
        operation_id: Uuid,
    ) -> Result<(), TransactionError> {
        self.0.write_commit_entry(version, commit, operation_id).await
    }

    async fn abort_commit_entry(
        &self,
        version: Version,
        commit: CommitOrBytes,
        operation_id: Uuid,
    ) -> Result<(), TransactionError> {
        self.0.abort_commit_entry(version, commit, operation_id).await
    }

    async fn get_latest_version(&self, start_version: Version) -> DeltaResult<Version> {
        self.0.get_latest_version(start_version).await
    }

    fn object_store(&self, operation_id: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.0.object_store(operation_id)
    }

    fn root_object_store(&self, operation_id: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.0.root_object_store(operation_id)
    }

    fn engine(&self, operation_id: Option<Uuid>) -> Arc<dyn Engine> {
        let store = self.root_object_store(operation_id);
        let runtime = Handle::current();
        match runtime.runtime_flavor() {
            RuntimeFlavor::MultiThread => engine(store, Arc::new(TokioMultiThreadExecutor::new(runtime))),
            _ => engine(store, Arc::new(TokioBackgroundExecutor::new())),
        }
    }

    fn config(&self) -> &LogStoreConfig {
        self.0.config()
    }
}

fn engine<E: TaskExecutor>(store: Arc<dyn ObjectStore>, executor: Arc<E>) -> Arc<dyn Engine> {
    let json = DefaultJsonHandler::new(store.clone(), executor.clone())
        .with_buffer_size(COMMITS_AT_ONCE)
        .with_batch_size(ACTIONS_A_STEP);
    let others = DefaultEngineBuilder::new(store)
        .with_task_executor(executor)
        .with_buffer_size(CHECKPOINT_PARTS_AT_ONCE)
        .build();
    Arc::new(FrugalEngine { json: Arc::new(json), others: Arc::new(others) })
}

struct FrugalEngine {
    json: Arc<dyn JsonHandler>,
    others: Arc<dyn Engine>,
}

impl Engine for FrugalEngine {
    fn evaluation_handler(&self) -> Arc<dyn EvaluationHandler> {
        self.others.evaluation_handler()
    }

    fn storage_handler(&self) -> Arc<dyn StorageHandler> {
        self.others.storage_handler()
    }

    fn json_handler(&self) -> Arc<dyn JsonHandler> {
        Arc::clone(&self.json)
    }

    fn parquet_handler(&self) -> Arc<dyn ParquetHandler> {
        self.others.parquet_handler()
    }
}
