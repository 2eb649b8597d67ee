//! Statements that return rows: queries, EXPLAIN, and the results of SHOW and DESCRIBE.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::TryStreamExt;
use sqlparser::ast::Query;

use super::query::{self, Planned, Purpose};
use super::reject_report::RejectReport;
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::parse_type;
use pinsql_delta::{Write, WriteRequest};

/// The rows of a statement. After the last row of `stream`, `rejected` returns the report of rejected records.
pub struct Rows {
    pub stream: SendableRecordBatchStream,
    /// The plan of the rows, for progress bars. None if the rows are in memory.
    pub plan: Option<Arc<dyn ExecutionPlan>>,
    pub rejected: RejectReport,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("schema", &self.stream.schema()).finish_non_exhaustive()
    }
}

impl Rows {
    /// Rows of text from memory. Each row has a value for each name.
    pub fn of_text(names: &[&str], rows: Vec<Vec<Option<String>>>) -> Result<Self> {
        let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let columns = (0..names.len())
            .map(|column| {
                let values: StringArray = rows.iter().map(|row| row.get(column).cloned().flatten()).collect();
                Arc::new(values) as ArrayRef
            })
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(DataFusionError::from)?;
        let stream = RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)]));
        Ok(Self { stream: Box::pin(stream), plan: None, rejected: RejectReport::default() })
    }
}

impl Rows {
    /// Typed rows from JSON objects. `columns` is the list of columns as in a STRUCT type: `path: STRING, files: BIGINT`.
    pub fn typed(columns: &str, rows: &[serde_json::Value]) -> Result<Self> {
        let broken = |error: ArrowError| Error::internal("rows do not have the types they should").caused_by(error);
        let DataType::Struct(fields) = parse_type(&format!("STRUCT<{columns}>"))? else {
            return Err(Error::internal(format!("{columns} are not columns")));
        };
        let schema = Arc::new(Schema::new(fields));
        let mut decoder = ReaderBuilder::new(Arc::clone(&schema)).build_decoder().map_err(broken)?;
        decoder.serialize(rows).map_err(broken)?;
        let batch = decoder.flush().map_err(broken)?.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&schema)));
        let stream = RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)]));
        Ok(Self { stream: Box::pin(stream), plan: None, rejected: RejectReport::default() })
    }
}

/// A moment in milliseconds since 1970, as the text `2026-01-31 10:00:00.125` in UTC.
pub(super) fn timestamp(milliseconds: Option<i64>) -> Option<String> {
    let moment = chrono::DateTime::from_timestamp_millis(milliseconds?)?;
    Some(moment.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

/// Starts a query.
pub(super) async fn query(session: &Session, query: &Query) -> Result<Rows> {
    let planned = query::plan(session, &query::set_apart(query), Purpose::Run).await?;
    start(planned).await
}

/// EXPLAIN of a query: one row for each line of the plans. With `analyze` the query runs.
pub(super) async fn explain(session: &Session, query: &Query, analyze: bool) -> Result<Rows> {
    let mut planned = query::plan(session, query, Purpose::Run).await?;
    // An EXPLAIN node would turn an error of the optimizer into a row.
    planned.optimize()?;
    planned.plan = LogicalPlanBuilder::from(planned.plan).explain(false, analyze)?.build()?;
    let rows = start(planned).await?;
    let plans: Vec<RecordBatch> = rows.stream.try_collect().await?;
    let lines = plans.iter().flat_map(plan_lines).map(|line| vec![Some(line)]).collect();
    Ok(Rows { rejected: rows.rejected, ..Rows::of_text(&["plan"], lines)? })
}

/// One row for each line of a plan. DataFusion returns each plan as one text with many lines, which a table cannot show.
fn plan_lines(batch: &RecordBatch) -> Vec<String> {
    let text = |column: usize, row: usize| {
        let formatter = ArrayFormatter::try_new(batch.column(column), &FormatOptions::default()).ok()?;
        formatter.value(row).try_to_string().ok()
    };
    let plan = |row: usize| {
        let name = text(0, row).unwrap_or_default().replace('_', " ");
        let lines: Vec<String> = text(1, row).unwrap_or_default().lines().map(str::to_owned).collect();
        std::iter::once(format!("== {name} ==")).chain(lines).collect::<Vec<_>>()
    };
    (0..batch.num_rows()).flat_map(plan).collect()
}

/// Runs a query through all checks of the table and writes nothing, for VALIDATE.
pub(super) async fn run_without_commit(planned: Planned, request: WriteRequest) -> Result<()> {
    let query = planned.physical().await?;
    let Planned { state, plan, rejects, rejected, .. } = planned;
    let name = request.location.name().to_owned();
    let report = RejectReport::start(rejected);
    drop((plan, rejects));
    let write = Write::plan(request, query, &state).await?;
    write.run(state.task_ctx()).await?.abandon().await;
    match report.finish().await?.into_iter().next() {
        Some(said) => Err(Error::new(ErrorCode::InvalidRecord, "some of the records cannot be loaded")
            .caused_by(said)
            .with_hint(format!("COPY INTO loads the others, and puts these into {name}_rejects"))),
        None => Ok(()),
    }
}

/// Starts a planned query.
pub(super) async fn start(planned: Planned) -> Result<Rows> {
    let plan = planned.physical().await?;
    let stream = execute_stream(Arc::clone(&plan), planned.state.task_ctx())?;
    let rejected = RejectReport::start(planned.rejected).with_notices_of(&plan);
    Ok(Rows { stream, plan: Some(plan), rejected })
}
