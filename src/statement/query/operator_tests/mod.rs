//! Tests of the operators over small slices of a stream, planned and run like a micro-batch.

mod deduplicate;
mod expectations;
mod files;
mod isolation;
mod refused;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
    TableProvider,
};
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_plan::collect;
use datafusion::scalar::ScalarValue;
use tokio::sync::{mpsc, oneshot};

use crate::catalog::CATALOG_NAME;
use crate::config::{Config, Layer};
use crate::ledger::Ledger;
use crate::session::Session;
use crate::statement::query::expectations::Expectation;
use crate::statement::query::streaming::{StreamClauses, Watermark, plan_batch, prepare};
use pinsql_base::error::{Error, Result, Span};
use pinsql_base::rejects::{Reject, Rejects};
use pinsql_sources::objects::{ReadFiles, ScanObjects, SourceEnvironment, plan_scan};
use pinsql_sources::operators::{SeenRows, StateOptions};
use pinsql_sources::slice::SliceTable;
use pinsql_sources::stream::{Origin, Origins};

/// A message of the test stream: its text and its time in seconds.
pub(super) type Message<'a> = (&'a str, Option<i64>);

/// The place of a message: its number in the slice.
#[derive(Debug)]
struct Numbered;

const NUMBER: &str = "\nnumber";

impl Origins for Numbered {
    fn columns(&self) -> Vec<FieldRef> {
        vec![Arc::new(Field::new(NUMBER, DataType::UInt64, false))]
    }

    fn of(&self, batch: &RecordBatch, row: usize) -> Origin {
        let number = batch.column_by_name(NUMBER).unwrap().as_primitive::<UInt64Type>().value(row);
        let data = batch.column_by_name("data").unwrap().as_string::<i32>().value(row).to_owned();
        Origin { source: "messages".to_owned(), position: format!("number {number}"), raw: Bytes::from(data) }
    }
}

/// The outcome of a micro-batch. All lists are sorted, because partitions run in parallel.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The values of each row, joined by `|`.
    pub rows: Vec<String>,
    /// `position: reason`.
    pub rejects: Vec<String>,
    pub raw: Vec<Bytes>,
    pub ledger: Ledger,
}

/// A stream of messages with the columns `data`, `length` and `sent`.
pub(super) struct Stream {
    session: Session,
    batch_rows: usize,
    clauses: StreamClauses,
    pub seen: Arc<SeenRows>,
}

impl Stream {
    pub(super) async fn new() -> Self {
        Self::with(2, 3).await
    }

    pub(super) async fn with(partitions: usize, batch_rows: usize) -> Self {
        let none = tempfile::NamedTempFile::new().unwrap();
        let flags = Layer {
            warehouse: Some(std::env::temp_dir().join("pinsql-no-warehouse").display().to_string()),
            threads: Some(partitions),
            ..Layer::default()
        };
        let session = Session::new(Config::resolve(flags, Some(none.path())).unwrap()).await.unwrap();
        let seen = Arc::new(SeenRows::new(&pool(&session), StateOptions::default()));
        Self { session, batch_rows, clauses: StreamClauses::default(), seen }
    }

    pub(super) fn expecting(mut self, expectations: Vec<Expectation>) -> Self {
        self.clauses.expectations = expectations;
        self
    }

    pub(super) fn into_columns(mut self, columns: Vec<Field>) -> Self {
        self.clauses.columns = Some(Arc::new(Schema::new(columns)));
        self
    }

    pub(super) fn watermark(mut self, column: &str, delay_seconds: u64) -> Self {
        let (delay, span) = (Duration::from_secs(delay_seconds), Span { start: (1, 1), end: (1, 2) });
        let ahead_max = Duration::from_secs(60);
        self.clauses.watermark = Some(Watermark { column: column.to_owned(), delay, ahead_max, span });
        let options = StateOptions { delay: Some(delay), ahead_max: Some(ahead_max) };
        self.seen = Arc::new(SeenRows::new(&pool(&self.session), options));
        self
    }

    pub(super) fn pool(&self) -> Arc<dyn MemoryPool> {
        pool(&self.session)
    }

    /// Plans and runs one micro-batch. The caller commits or discards it.
    pub(super) async fn run(&self, sql: &str, messages: &[Message<'_>]) -> Result<Outcome> {
        self.run_over(sql, Arc::new(self.slice(messages)), Rejects::channel()).await
    }

    /// The same over objects in a folder.
    pub(super) async fn run_files(&self, sql: &str, folder: &Path, options: &[(&str, &str)]) -> Result<Outcome> {
        let (rejects, rejected) = Rejects::channel();
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), ScalarValue::from(*value)));
        let path = folder.display().to_string();
        let call = ReadFiles { path, options: options.collect(), with_metadata: false };
        let environment = SourceEnvironment::new(self.session.state(), rejects.clone());
        let table = plan_scan(call, ScanObjects::Matching, &environment).await?;
        self.run_over(sql, table, (rejects, rejected)).await
    }

    async fn run_over(
        &self,
        sql: &str,
        table: Arc<dyn TableProvider>,
        (rejects, mut rejected): (Rejects, mpsc::Receiver<Reject>),
    ) -> Result<Outcome> {
        let state = self.state(table);
        let plan = state.create_logical_plan(sql).await?;
        let plan = prepare(&self.session, &state, plan, &self.clauses)?;
        let (stop, mut stopped) = oneshot::channel::<()>();
        let taken = tokio::spawn(async move {
            let mut taken: Vec<Reject> = Vec::new();
            loop {
                tokio::select! {
                    biased;
                    reject = rejected.recv() => match reject {
                        Some(reject) => taken.push(reject),
                        None => return taken,
                    },
                    _ = &mut stopped, if !rejected.is_closed() => rejected.close(),
                }
            }
        });
        let physical = plan_batch(&state, &plan, &rejects, Some(self.seen.clone())).await?;
        let batches = collect(physical.clone(), state.task_ctx()).await.map_err(Error::from)?;
        let mut rows: Vec<String> = batches.iter().flat_map(texts).collect();
        rows.sort();
        let ledger = Ledger::of(&physical, rows.len() as u64)?;
        stop.send(()).unwrap();
        let mut taken = taken.await.unwrap();
        taken.sort_by_key(|reject| (reject.position.len(), reject.position.clone()));
        let rejects = taken.iter().map(|reject| format!("{}: {}", reject.position, reject.fault.reason)).collect();
        Ok(Outcome { rows, rejects, raw: taken.into_iter().map(|reject| reject.raw).collect(), ledger })
    }

    /// One whole micro-batch.
    pub(super) async fn batch(&self, number: u64, sql: &str, messages: &[Message<'_>]) -> Result<Outcome> {
        self.seen.begin(number);
        let outcome = self.run(sql, messages).await?;
        self.seen.commit()?;
        Ok(outcome)
    }

    fn state(&self, table: Arc<dyn TableProvider>) -> SessionState {
        let schema = MemorySchemaProvider::new();
        schema.register_table("stream s".to_owned(), table).unwrap();
        let table = RecordBatch::try_from_iter([
            ("key", Arc::new(StringArray::from(vec!["1", "2", "2"])) as ArrayRef),
            ("word", Arc::new(StringArray::from(vec!["one", "two", "zwei"])) as ArrayRef),
        ]);
        let table =
            datafusion::datasource::MemTable::try_new(table.as_ref().unwrap().schema(), vec![vec![table.unwrap()]]);
        schema.register_table("words".to_owned(), Arc::new(table.unwrap())).unwrap();
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("default", Arc::new(schema)).unwrap();
        let catalogs = MemoryCatalogProviderList::new();
        datafusion::catalog::CatalogProviderList::register_catalog(
            &catalogs,
            CATALOG_NAME.to_owned(),
            Arc::new(catalog),
        );
        let mut state = self.session.state();
        state.register_catalog_list(Arc::new(catalogs));
        state
    }

    fn slice(&self, messages: &[Message<'_>]) -> SliceTable {
        let schema = Schema::new(vec![
            Field::new("data", DataType::Utf8, true),
            Field::new("length", DataType::Int64, true),
            Field::new("sent", pinsql_base::schema::timestamp(), true),
        ]);
        let mut number = 0;
        let batches = messages.chunks(self.batch_rows).map(|chunk| {
            let data: StringArray = chunk.iter().map(|(text, _)| Some(*text)).collect();
            let length: Int64Array = chunk.iter().map(|(text, _)| Some(text.len() as i64)).collect();
            let sent: TimestampMicrosecondArray =
                chunk.iter().map(|(_, sent)| sent.map(|sent| sent * 1_000_000)).collect();
            let numbers: UInt64Array = chunk
                .iter()
                .map(|_| {
                    number += 1;
                    Some(number)
                })
                .collect();
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("data", Arc::new(data)),
                ("length", Arc::new(length)),
                ("sent", Arc::new(sent.with_timezone(pinsql_base::schema::UTC))),
                (NUMBER, Arc::new(numbers)),
            ];
            RecordBatch::try_from_iter(columns).unwrap()
        });
        let (rejects, _) = Rejects::channel();
        SliceTable::new("messages".to_owned(), &schema, batches.collect(), Arc::new(Numbered), rejects)
    }
}

fn pool(session: &Session) -> Arc<dyn MemoryPool> {
    session.memory_pool()
}

fn texts(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let text = |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(text).collect()
}

/// Messages without a time.
pub(super) fn messages<'a>(texts: &[&'a str]) -> Vec<Message<'a>> {
    texts.iter().map(|text| (*text, None)).collect()
}
