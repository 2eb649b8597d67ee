//! Opens the relation of a table function: all its records, or those of one micro-batch.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use sqlparser::ast::Query;

use super::table_changes::{self, TABLE_CHANGES};
use super::table_function_calls::{self, Arguments, Call};
use super::{Batch, Purpose, Stream};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::rejects::Rejects;
use pinsql_sources::objects::{self, ReadFiles, ScanObjects, SourceEnvironment};
use pinsql_sources::peek::PeekTable;
use pinsql_sources::slice::SliceTable;
use pinsql_sources::stream::{Content, StreamSource};
use pinsql_sources::{kinesis, mysql};

/// Opens the relation of `call`. `with_metadata` is true if the query names `_metadata`.
pub(super) async fn open_call(
    session: &Session,
    state: &Arc<SessionState>,
    call: &Call,
    with_metadata: bool,
    rejects: &Rejects,
    purpose: Purpose<'_>,
) -> Result<Arc<dyn TableProvider>> {
    let arguments = call.evaluate(state)?;
    if call.function == "read_mysql" && !call.is_stream {
        let environment = &session.config().database;
        return match purpose {
            Purpose::Check => mysql::schema_only(&arguments.options, environment).await,
            Purpose::Run | Purpose::Batch(_) | Purpose::Listed(_) => {
                mysql::read_mysql(&arguments.options, environment).await
            }
        };
    }
    if call.function == TABLE_CHANGES && !call.is_stream {
        return table_changes::open(session, state, &arguments.options, purpose).await;
    }
    let environment = || SourceEnvironment::new(Arc::clone(state), rejects.clone());
    match purpose {
        Purpose::Batch(batch) if call.is_stream => batch_table(batch, arguments, with_metadata, &environment()).await,
        Purpose::Check if call.is_stream => {
            let source = open_stream(session, state, call, arguments, with_metadata, Purpose::Check).await?;
            Ok(slice_table(source.as_ref(), Vec::new(), rejects))
        }
        Purpose::Listed(objects) if call.function == "read_files" && !call.is_stream => {
            let files = files_of(arguments, with_metadata)?;
            session.connect(&files.path).await?;
            objects::plan_scan(files, ScanObjects::Listed(objects.to_vec()), &environment()).await
        }
        Purpose::Run | Purpose::Listed(_) if call.is_stream => Err(Error::new(
            ErrorCode::NotAStream,
            "a batch statement cannot read a STREAM",
        )
        .with_hint(
            "CREATE OR REFRESH STREAMING TABLE … AS reads streams; without STREAM, the call reads the current records",
        )),
        Purpose::Run | Purpose::Batch(_) | Purpose::Listed(_) if call.function != "read_files" => {
            let source = open_stream(session, state, call, arguments, with_metadata, purpose).await?;
            Ok(Arc::new(PeekTable::new(source, rejects.clone())))
        }
        Purpose::Check if call.function != "read_files" => {
            let source = open_stream(session, state, call, arguments, with_metadata, purpose).await?;
            Ok(Arc::new(EmptyTable::new(source.schema())))
        }
        Purpose::Check => {
            let files = files_of(arguments, with_metadata)?;
            match files.declares_schema() {
                true => files.declared_table(),
                false => open_files(session, files, &environment()).await,
            }
        }
        Purpose::Run | Purpose::Batch(_) | Purpose::Listed(_) => {
            open_files(session, files_of(arguments, with_metadata)?, &environment()).await
        }
    }
}

/// Opens the source of the one stream in `query`.
pub(super) async fn stream(session: &Session, state: &Arc<SessionState>, query: &mut Query) -> Result<Stream> {
    let calls = table_function_calls::take(query);
    let mut streams = calls.found.iter().filter(|call| call.is_stream);
    let call = streams.next().ok_or_else(|| {
        Error::new(ErrorCode::NotAStream, "the query of a streaming table or a sink reads no stream")
            .with_hint("write FROM STREAM read_kinesis(…), STREAM read_kafka(…) or STREAM read_files(…)")
    })?;
    if let Some(second) = streams.next() {
        return Err(Error::new(ErrorCode::NotAStream, "a query can read one stream only").at(second.span));
    }
    let open = async {
        let arguments = call.evaluate(state)?;
        let watermark = arguments.watermark.clone();
        let source = open_stream(session, state, call, arguments, calls.names_metadata, Purpose::Run).await?;
        Ok(Stream { source, watermark })
    };
    let opened: Result<Stream> = open.await;
    opened.map_err(|error| error.at(call.span))
}

/// Opens a source as a stream. This is the one list of sources that have streams.
async fn open_stream(
    session: &Session,
    state: &Arc<SessionState>,
    call: &Call,
    arguments: Arguments,
    with_metadata: bool,
    purpose: Purpose<'_>,
) -> Result<Arc<dyn StreamSource>> {
    match call.function.as_str() {
        "read_files" => {
            let files = files_of(arguments, with_metadata)?;
            if !(matches!(purpose, Purpose::Check) && files.declares_schema()) {
                session.connect(&files.path).await?;
            }
            let (rejects, _) = Rejects::channel();
            let environment = SourceEnvironment::new(Arc::clone(state), rejects);
            objects::open_stream(files, &environment).await
        }
        "read_kinesis" => kinesis::open(&arguments.options, session.kinesis()),
        #[cfg(feature = "kafka")]
        "read_kafka" => pinsql_sources::kafka::open(&arguments.options),
        #[cfg(not(feature = "kafka"))]
        "read_kafka" => Err(pinsql_sources::without_kafka()),
        other => Err(Error::new(ErrorCode::NotAStream, format!("{other} cannot be read as a stream")).with_hint(
            "write STREAM before read_kinesis(…), read_kafka(…), read_files(…), or a temporary view over one",
        )),
    }
}

async fn open_files(
    session: &Session,
    files: ReadFiles,
    environment: &SourceEnvironment,
) -> Result<Arc<dyn TableProvider>> {
    session.connect(&files.path).await?;
    objects::plan_scan(files, ScanObjects::Matching, environment).await
}

async fn batch_table(
    batch: &Batch<'_>,
    arguments: Arguments,
    with_metadata: bool,
    environment: &SourceEnvironment,
) -> Result<Arc<dyn TableProvider>> {
    match batch.content {
        Content::Rows(rows) => Ok(slice_table(batch.source, rows.clone(), &environment.rejects)),
        Content::Objects(objects) => {
            let files = files_of(arguments, with_metadata)?;
            let objects = ScanObjects::MicroBatch { objects: objects.clone(), schema: batch.source.schema() };
            objects::plan_scan(files, objects, environment).await
        }
    }
}

fn slice_table(source: &dyn StreamSource, rows: Vec<RecordBatch>, rejects: &Rejects) -> Arc<dyn TableProvider> {
    match source.origins() {
        Some(origins) => {
            Arc::new(SliceTable::new(source.identity().name, &source.schema(), rows, origins, rejects.clone()))
        }
        None => Arc::new(EmptyTable::new(source.schema())),
    }
}

fn files_of(arguments: Arguments, with_metadata: bool) -> Result<ReadFiles> {
    let path = arguments.path.ok_or_else(|| {
        Error::new(ErrorCode::MissingOption, "read_files needs a path")
            .with_hint("read_files('folder/*.json', format => 'json')")
    })?;
    Ok(ReadFiles { path, options: arguments.options, with_metadata })
}
