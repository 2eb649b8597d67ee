//! `pinsql run`, `pinsql -c` and SQL on standard input: statements in sequence.
//!
//! The shell runs its statements with the same [`Runner`]. Only the destination of the rows differs ([`ShowRows`]).

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_plan::ExecutionPlan;
use serde_json::{Value, json};

use super::failure::Failure;
use super::include::{Placed, statements_with};
use super::output::{Output, stdout_error};
use super::progress::Progress;
use super::repl::terminal_columns;
use super::rows::{Format, write_fitting, write_rows};
use super::script::Script;
use super::settings::Settings;
use crate::catalog::TableName;
use crate::session::Session;
use crate::statement::{self, Outcome, Statement, Watch, rejects_note};
use crate::stream::{BatchReport, Observer, refresh};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_sources::stream::Lag;

/// Runs all statements of `scripts` and stops at the first error. `scripts` is an error if a file cannot be read. The report is
/// written in every case.
pub(super) async fn run(scripts: Result<Vec<Script>>, settings: Settings, output: Output) -> Result<(), Failure> {
    // The empty report shows now, before any statement runs, whether the file can be written.
    if let Some(path) = &settings.report {
        write_report(path, &[], None)?;
    }
    let mut written = Vec::new();
    let outcome = run_scripts(scripts, &settings, output, &mut written).await;
    let failure = outcome.as_ref().err();
    let report = settings.report.as_ref().map_or(Ok(()), |path| write_report(path, &written, failure));
    outcome?;
    Ok(report?)
}

/// Adds the report of each table to `written`.
async fn run_scripts(
    scripts: Result<Vec<Script>>,
    settings: &Settings,
    output: Output,
    written: &mut Vec<Value>,
) -> Result<(), Failure> {
    let scripts = scripts?;
    let config = settings.resolve()?;
    let format = settings.format(&config)?;
    let placed = statements_with(scripts, &settings.params, &config.params)?;
    let session = Session::new(config).await?;
    let rows = StandardOutput { format, output, memory: session.memory_pool() };
    let mut runner = Runner { session: &session, rows, output, allow_gap: settings.allow_gap };
    runner.run_all(placed, written).await
}

/// The destination of the rows of a query.
pub(super) trait ShowRows {
    /// Consumes all of `rows`. `plan` is the plan that produces them, for a progress bar.
    async fn show(&mut self, rows: SendableRecordBatchStream, plan: Option<Arc<dyn ExecutionPlan>>) -> Result<()>;
}

impl<R: ShowRows> ShowRows for &mut R {
    async fn show(&mut self, rows: SendableRecordBatchStream, plan: Option<Arc<dyn ExecutionPlan>>) -> Result<()> {
        (**self).show(rows, plan).await
    }
}

/// Writes rows to standard output as they arrive.
struct StandardOutput {
    format: Format,
    output: Output,
    memory: Arc<dyn MemoryPool>,
}

impl ShowRows for StandardOutput {
    async fn show(&mut self, rows: SendableRecordBatchStream, plan: Option<Arc<dyn ExecutionPlan>>) -> Result<()> {
        let output = self.output;
        // If both go to one terminal, the bar and the rows would overwrite each other.
        let followed = plan.filter(|_| !output.data_is_watched());
        let progress = followed.map(|plan| Progress::follow(plan, Some(Arc::clone(&self.memory)), output));
        let mut data = output.data();
        match self.format {
            Format::Table if output.data_is_watched() => write_fitting(rows, terminal_columns(), &mut data).await?,
            format => write_rows(rows, format, &mut data).await?,
        };
        data.flush().map_err(stdout_error)?;
        drop(progress);
        Ok(())
    }
}

/// Runs statements and prints their outcomes.
pub(super) struct Runner<'a, R> {
    pub(super) session: &'a Session,
    pub(super) rows: R,
    pub(super) output: Output,
    pub(super) allow_gap: bool,
}

impl<R: ShowRows> Runner<'_, R> {
    async fn run_all(&mut self, statements: Vec<Placed>, written: &mut Vec<Value>) -> Result<(), Failure> {
        for Placed { statement, script } in statements {
            match self.run_one(&statement).await {
                Ok(table) => written.extend(table),
                Err(error) => return Err(Failure::in_script(error.at(statement.span), &script)),
            }
        }
        Ok(())
    }

    /// Runs one statement. Returns its entry in the report, if it wrote a table.
    pub(super) async fn run_one(&mut self, statement: &Statement) -> Result<Option<Value>> {
        let output = self.output;
        let watcher = Watcher { output, memory: self.session.memory_pool() };
        match statement::execute(self.session, statement, &watcher).await? {
            Outcome::Rows(rows) => {
                self.rows.show(rows.stream, rows.plan).await?;
                for text in rows.rejected.finish().await? {
                    output.warning(&text);
                }
                Ok(None)
            }
            Outcome::Written(written) => {
                output.note(&format!("{}: {}", written.table.table(), written.ledger));
                if let Some(rejects) = &written.rejects {
                    output.note(rejects);
                }
                for warning in &written.warnings {
                    output.warning(warning);
                }
                Ok(Some(written.to_json()))
            }
            Outcome::Stream(flow) => {
                let refreshed = refresh(self.session, &flow, self.allow_gap, &Refreshing(output)).await?;
                output.note(&format!("{}: {refreshed}", flow.name.table()));
                if refreshed.ledger.rejected > 0 {
                    output.note(&rejects_note(&flow.name));
                }
                for notice in &refreshed.ledger.notices {
                    output.warning(notice);
                }
                Ok(Some(refreshed.to_json()))
            }
            Outcome::Defined { text, warnings } => {
                output.note(&text);
                for warning in &warnings {
                    output.warning(warning);
                }
                Ok(None)
            }
            Outcome::Prepared => Ok(None),
            Outcome::Done(text) => {
                output.note(&text);
                Ok(None)
            }
        }
    }
}

/// Prints gaps, warnings and retries of a refresh. The counts of its batches are summed up at its end.
struct Refreshing(Output);

impl Observer for Refreshing {
    fn opened(&self, _table: &TableName, _landed: u64, _pending: Option<u64>) {}

    fn landed(&self, report: &BatchReport) {
        for gap in &report.gaps {
            self.0.warning(&gap.to_string());
        }
        for warning in &report.warnings {
            self.0.warning(warning);
        }
    }

    fn idle(&self, _table: &TableName, _lag: &[Lag]) {}

    fn retrying(&self, table: &TableName, error: &Error, wait: Duration) {
        self.0.warning(&format!("{table}: {}; retrying in {wait:?}", error.message));
    }
}

/// Shows the progress of plans that write tables.
struct Watcher {
    output: Output,
    memory: Arc<dyn MemoryPool>,
}

impl Watch for Watcher {
    fn started(&self, plan: &Arc<dyn ExecutionPlan>) -> Box<dyn Send> {
        Box::new(Progress::follow(Arc::clone(plan), Some(Arc::clone(&self.memory)), self.output))
    }
}

/// Writes the entries of the tables, and the error of the statement that failed, if one did.
fn write_report(path: &Path, written: &[Value], failure: Option<&Failure>) -> Result<()> {
    let mut report = json!({ "tables": written });
    if let Some(failure) = failure {
        report["error"] = json!({ "code": failure.error.code.name(), "message": failure.error.message });
    }
    std::fs::write(path, format!("{report:#}\n")).map_err(|error| {
        Error::new(ErrorCode::InvalidLocation, format!("the report {} cannot be written", path.display()))
            .caused_by(error)
    })
}
