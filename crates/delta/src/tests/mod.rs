//! Writes to real tables in temporary folders, read back through the provider that queries use.

mod commits;
mod foreign;
mod kept;
mod old_versions;
mod optimized;
mod rewrites;
mod rows;
mod side_tables;
mod upkeep;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::execution::{SessionStateBuilder, TaskContext};
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::DeltaTable;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use super::*;
use pinsql_base::error::Result;

pub(super) struct Fixture {
    pub(super) folder: TempDir,
    pub(super) session: SessionContext,
    pub(super) location: TableLocation,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::over(Arc::new(LocalFileSystem::new()))
    }

    /// The table at `<temporary folder>/t`, through `store`.
    pub(super) fn over(store: Arc<dyn ObjectStore>) -> Self {
        let folder = TempDir::new().unwrap();
        let url = Url::from_directory_path(folder.path().join("t")).unwrap();
        let location = TableLocation::with_store("default.t", &url, store).unwrap();
        let config = SessionConfig::new().with_target_partitions(2).set_str("datafusion.execution.time_zone", "UTC");
        let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
        Self { folder, session: SessionContext::new_with_state(state), location }
    }

    pub(super) async fn plan(&self, kind: WriteKind, sql: &str) -> Result<Write> {
        self.plan_request(WriteRequest::new(self.location.clone(), kind), sql).await
    }

    pub(super) async fn plan_request(&self, request: WriteRequest, sql: &str) -> Result<Write> {
        let query = self.session.sql(sql).await.unwrap();
        let plan = query.create_physical_plan().await.unwrap();
        Write::plan(request, plan, &self.session.state()).await
    }

    pub(super) async fn prepare(&self, kind: WriteKind, sql: &str) -> Result<PreparedWrite> {
        self.plan(kind, sql).await?.run(self.session.task_ctx()).await
    }

    pub(super) async fn write(&self, kind: WriteKind, sql: &str) -> Result<Committed> {
        self.prepare(kind, sql).await?.commit(Some(r#"{"read":1}"#)).await
    }

    /// CREATE TABLE t AS `sql`.
    pub(super) async fn create_as(&self, sql: &str) -> Result<Committed> {
        let definition = self.definition_of(sql).await;
        self.write(WriteKind::Create(definition), sql).await
    }

    pub(super) async fn replace_as(&self, sql: &str) -> Result<Committed> {
        let definition = self.definition_of(sql).await;
        self.write(WriteKind::CreateOrReplace(definition), sql).await
    }

    pub(super) async fn append(&self, sql: &str) -> Result<Committed> {
        self.write(WriteKind::Append, sql).await
    }

    pub(super) async fn definition_of(&self, sql: &str) -> TableDefinition {
        let query = self.session.sql(sql).await.unwrap();
        TableDefinition::of_query(query.schema().as_arrow())
    }

    /// The rows of a query over the newest version of the table, which it calls `t`.
    pub(super) async fn query(&self, sql: &str) -> String {
        let table = self.location.open_existing().await.unwrap();
        self.query_table(&table, sql).await
    }

    pub(super) async fn query_table(&self, table: &DeltaTable, sql: &str) -> String {
        let provider = self.location.provider(table).unwrap();
        self.session.deregister_table("t").unwrap();
        self.session.register_table("t", provider).unwrap();
        let batches = self.session.sql(sql).await.unwrap().collect().await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }

    /// Registers rows that SQL has no literal for as a table.
    pub(super) fn register(&self, name: &str, batch: RecordBatch) {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        self.session.register_table(name, Arc::new(table)).unwrap();
    }

    /// The actions of one version, as the log has them.
    pub(super) fn log(&self, version: u64) -> Vec<Value> {
        let path = self.folder.path().join(format!("t/_delta_log/{version:020}.json"));
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Writes a commit as another writer would.
    pub(super) fn commit(&self, version: u64, actions: &[Value]) {
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        let path = self.folder.path().join(format!("t/_delta_log/{version:020}.json"));
        std::fs::write(path, lines.join("\n")).unwrap();
    }

    /// All actions of one kind in one version.
    pub(super) fn actions(&self, version: u64, kind: &str) -> Vec<Value> {
        self.log(version).into_iter().filter_map(|mut action| Some(action.get_mut(kind)?.take())).collect()
    }

    pub(super) fn statistics(&self, version: u64) -> Vec<Value> {
        let texts = self.actions(version, "add").into_iter().map(|add| add["stats"].as_str().unwrap().to_owned());
        texts.map(|text| serde_json::from_str(&text).unwrap()).collect()
    }

    /// The number of Parquet files in the folder of the table, whether the log names them or not.
    pub(super) fn files_on_disk(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let count_entry = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
                true => count(&entry.path()),
                false => usize::from(entry.path().extension().is_some_and(|extension| extension == "parquet")),
            };
            entries.map(count_entry).sum()
        }
        count(&self.folder.path().join("t"))
    }
}

/// The first column of a one-row result, for short assertions.
pub(super) fn table(rows: &[&str]) -> String {
    rows.join("\n")
}
