//! The rejects table `<table>_rejects`: records that could not be read.
//!
//! Rejects are written while the statement runs, so their memory is bounded. They are committed before the table of the
//! statement. A crash between the two commits leaves rejects without a change of the table, and a second run of a statement adds
//! them again. The other order could lose them. A batch of a stream that runs again has the same transaction, so its rejects are
//! stored once.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{ArrayRef, BinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::TaskContext;
use deltalake::kernel::Add;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};

use crate::commit::Committed;
use crate::commit::base::Base;
use crate::commit::request::{WriteKind, WriteRequest};
use crate::error::write_error;
use crate::operations::write::{PreparedWrite, change_of};
use crate::spec::alteration::{Alteration, NewColumn};
use crate::spec::definition::{Column, TableDefinition};
use crate::spec::transaction::ApplicationTransaction;
use crate::spec::types::timestamp;
use crate::storage::location::TableLocation;
use crate::table::describe::transaction_version;
use crate::table::handle::TableHandle;
use crate::table::shape::Shape;
use crate::write::uncommitted::Uncommitted;
use crate::write::writer::{TableWriter, WriteTarget};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::rejects::Reject;

/// The suffix of the name of a rejects table.
pub const REJECTS_SUFFIX: &str = "_rejects";

/// The number of columns in tables of version 0.1. The next rejects add the others.
const OLD_COLUMNS: usize = 6;

/// Rejects in one batch.
const BATCH_ROWS_MAX: usize = 1_024;
const BATCH_BYTES_MAX: usize = 8 << 20;

/// The effect of a statement on the rejects of earlier statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectsMode {
    /// The statement appends to its table, so its rejects are appended.
    Append,
    /// The statement replaces its table, so its rejects replace the old ones, even if there are none.
    Replace,
}

/// The columns of a rejects table.
pub fn rejects_definition() -> TableDefinition {
    let column = |name: &str, data_type: DataType, comment: &str| Column {
        name: name.to_owned(),
        data_type,
        nullable: true,
        comment: Some(comment.to_owned()),
    };
    TableDefinition {
        columns: vec![
            column("rejected_at", timestamp(), "when the record was met"),
            column("run_id", DataType::Utf8, "the run that met it"),
            column("source", DataType::Utf8, "the object, stream or topic that it stands in"),
            column("position", DataType::Utf8, "its place there"),
            column("reason", DataType::Utf8, "what is wrong with it"),
            column("raw", DataType::Binary, "the record, byte for byte"),
            column("class", DataType::Utf8, "the code of the fault"),
            column("column", DataType::Utf8, "the column with the fault, if it is in one value"),
            column("value", DataType::Utf8, "the start of that value"),
        ],
        comment: Some("records that could not be read".to_owned()),
        ..TableDefinition::default()
    }
}

/// The columns of a rejects table, for a table that has no rejects yet.
pub fn rejects_schema() -> SchemaRef {
    Arc::new(rejects_definition().schema())
}

/// A writer of rejects that runs next to a statement.
#[derive(Debug)]
pub struct RejectsTable {
    location: TableLocation,
    handle: Option<Arc<TableHandle>>,
    target: Arc<WriteTarget>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    adds: Vec<Add>,
    rows: u64,
}

impl RejectsTable {
    /// Starts to write the rejects from `receiver`. No file is created before the first reject.
    pub fn start(
        receiver: mpsc::Receiver<Reject>,
        location: TableLocation,
        run_id: impl Into<String>,
        context: &TaskContext,
    ) -> Result<Self> {
        let shape = Shape::of_definition(location.name(), &rejects_definition())?;
        let target = Arc::new(WriteTarget::of(&shape, &location));
        let writer = TableWriter::new(target.clone(), 0, context);
        let (stop, stopped) = oneshot::channel();
        let gatherer = Gatherer::new(shape.schema.clone(), run_id.into());
        let task = tokio::spawn(take(receiver, stopped, gatherer, writer, location.name().to_owned()));
        Ok(Self { location, handle: None, target, stop, task })
    }

    /// The same for a stream, which keeps its rejects table open.
    pub fn start_on(
        handle: &Arc<TableHandle>,
        receiver: mpsc::Receiver<Reject>,
        run_id: impl Into<String>,
        context: &TaskContext,
    ) -> Result<Self> {
        let started = Self::start(receiver, handle.location().clone(), run_id, context)?;
        Ok(Self { handle: Some(Arc::clone(handle)), ..started })
    }

    /// Writes the remaining rejects and commits all of them, if there are any. Call it after the statement ran and before its
    /// table commits. Open senders are ignored. If `transaction` has landed before, the rejects are stored already: the new files
    /// are deleted and the result is `None`.
    pub async fn finish(
        self,
        mode: RejectsMode,
        transaction: Option<ApplicationTransaction>,
        user_metadata: Option<&str>,
    ) -> Result<Option<Committed>> {
        let Self { location, handle, target, stop, task } = self;
        // The task may have ended with an error.
        let _ = stop.send(());
        let prepared = match ended(task.await) {
            Ok(taken) => prepare(location, handle, target.clone(), taken, mode, transaction).await,
            Err(error) => Err(error),
        };
        match prepared {
            Ok(Some(prepared)) => prepared.commit(user_metadata).await.map(Some),
            Ok(None) => {
                target.discard().await;
                Ok(None)
            }
            Err(error) => {
                target.discard().await;
                Err(error)
            }
        }
    }

    /// Stops and deletes the files, for a statement that failed. Returns the error of the writer of rejects if that error ended
    /// the statement: the scans then only report that their rejects are not received.
    pub async fn abandon(self) -> Option<Error> {
        self.task.abort();
        let outcome = self.task.await;
        self.target.discard().await;
        outcome.ok()?.err()
    }
}

fn ended(outcome: std::result::Result<Result<Taken>, JoinError>) -> Result<Taken> {
    outcome.unwrap_or_else(|panic| Err(Error::internal("the writer of the rejects stopped").caused_by(panic)))
}

/// The commit of the rejects. `None` if there is nothing to commit.
async fn prepare(
    location: TableLocation,
    handle: Option<Arc<TableHandle>>,
    target: Arc<WriteTarget>,
    taken: Taken,
    mode: RejectsMode,
    transaction: Option<ApplicationTransaction>,
) -> Result<Option<PreparedWrite>> {
    if taken.rows == 0 && mode == RejectsMode::Append {
        return Ok(None);
    }
    let exists = match &handle {
        Some(handle) => handle.exists().await?,
        None => location.exists().await?,
    };
    let kind = match (exists, mode) {
        (false, _) if taken.rows == 0 => return Ok(None),
        (true, RejectsMode::Append) => WriteKind::Append,
        (_, RejectsMode::Replace) | (false, RejectsMode::Append) => WriteKind::CreateOrReplace(rejects_definition()),
    };
    if let Some(step) = &transaction
        && landed(&location, handle.as_ref(), &step.application_id).await? >= Some(step.version)
    {
        return Ok(None);
    }
    let mut request = WriteRequest::new(location, kind);
    request.transaction = transaction;
    request.handle = handle.filter(|_| matches!(request.kind, WriteKind::Append));
    let base = Base::of(&request).await?;
    if base.version().is_some() {
        // The user may have a table with this name. It is not changed.
        let theirs = WriteRequest { kind: WriteKind::Append, ..request.clone() };
        let (shape, fields) = (base.shape(&theirs)?, target.file_schema.fields());
        if shape.schema.fields()[..] == fields[..OLD_COLUMNS] {
            if matches!(request.kind, WriteKind::Append) {
                request.alteration = Some(Alteration::AddColumns(newer_columns()));
            }
        } else if shape.schema.fields() != fields {
            return Err(foreign(request.location.name()));
        }
    }
    let mut change = change_of(request, true);
    change.adds = taken.adds;
    change.rows = taken.rows;
    Ok(Some(PreparedWrite { change, base, files: Uncommitted::new(vec![target]) }))
}

/// The columns that a table of version 0.1 does not have.
fn newer_columns() -> Vec<NewColumn> {
    let columns = rejects_definition().columns.into_iter().skip(OLD_COLUMNS);
    columns.map(|column| NewColumn { parents: Vec::new(), column, position: None }).collect()
}

/// The last step of a stream with stored rejects.
async fn landed(
    location: &TableLocation,
    handle: Option<&Arc<TableHandle>>,
    application_id: &str,
) -> Result<Option<i64>> {
    if let Some(handle) = handle {
        return handle.landed(application_id).await;
    }
    match location.open().await? {
        Some(table) => transaction_version(&table, application_id).await,
        None => Ok(None),
    }
}

fn foreign(name: &str) -> Error {
    Error::new(
        ErrorCode::IncompatibleSchema,
        format!("the table {name} has other columns than a table of rejects, so rejects cannot be kept in it"),
    )
    .with_hint("rename it: its name belongs to the rejects")
}

async fn take(
    mut receiver: mpsc::Receiver<Reject>,
    mut stopped: oneshot::Receiver<()>,
    mut gatherer: Gatherer,
    mut writer: TableWriter,
    name: String,
) -> Result<Taken> {
    let mut rows = 0;
    loop {
        let reject = tokio::select! {
            biased;
            reject = receiver.recv() => reject,
            // After closing, the rejects in the channel are still received.
            _ = &mut stopped, if !receiver.is_closed() => {
                receiver.close();
                continue;
            }
        };
        let Some(reject) = reject else { break };
        rows += 1;
        gatherer.push(&reject);
        if gatherer.is_full() {
            let batch = gatherer.batch()?;
            writer.write(&batch).await.map_err(|error| write_error(&name, &error))?;
        }
    }
    let batch = gatherer.batch()?;
    writer.write(&batch).await.map_err(|error| write_error(&name, &error))?;
    let adds = writer.finish().await.map_err(|error| write_error(&name, &error))?;
    Ok(Taken { adds, rows })
}

/// The rejects of the next batch.
struct Gatherer {
    schema: SchemaRef,
    run_id: String,
    rows: usize,
    bytes: usize,
    rejected_at: TimestampMicrosecondBuilder,
    run_ids: StringBuilder,
    source: StringBuilder,
    position: StringBuilder,
    reason: StringBuilder,
    raw: BinaryBuilder,
    class: StringBuilder,
    column: StringBuilder,
    value: StringBuilder,
}

impl Gatherer {
    fn new(schema: SchemaRef, run_id: String) -> Self {
        Self {
            schema,
            run_id,
            rows: 0,
            bytes: 0,
            rejected_at: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            run_ids: StringBuilder::new(),
            source: StringBuilder::new(),
            position: StringBuilder::new(),
            reason: StringBuilder::new(),
            raw: BinaryBuilder::new(),
            class: StringBuilder::new(),
            column: StringBuilder::new(),
            value: StringBuilder::new(),
        }
    }

    fn push(&mut self, reject: &Reject) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.rejected_at.append_value(now.as_micros() as i64);
        self.run_ids.append_value(&self.run_id);
        self.source.append_value(&reject.source);
        self.position.append_value(&reject.position);
        self.reason.append_value(&reject.fault.reason);
        self.raw.append_value(&reject.raw);
        self.class.append_value(reject.fault.class.name());
        self.column.append_option(reject.fault.column.as_deref());
        self.value.append_option(reject.fault.value.as_deref());
        self.rows += 1;
        self.bytes += reject.raw.len() + reject.fault.reason.len() + reject.source.len();
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        (self.rows, self.bytes) = (0, 0);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.rejected_at.finish()),
            Arc::new(self.run_ids.finish()),
            Arc::new(self.source.finish()),
            Arc::new(self.position.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.raw.finish()),
            Arc::new(self.class.finish()),
            Arc::new(self.column.finish()),
            Arc::new(self.value.finish()),
        ];
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| Error::internal("cannot build a batch of rejects").caused_by(error))
    }
}
