//! `pinsql run`, `pinsql -c` and SQL on standard input: statements one after the other.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::physical_plan::ExecutionPlan;
use serde_json::{Value, json};

use super::Failure;
use super::output::{Output, stdout_error};
use super::progress::Progress;
use super::rows::{Format, write_rows};
use super::script::{Placed, Script, statements};
use super::settings::Settings;
use crate::catalog::TableName;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::source::stream::Lag;
use crate::statement::{self, Outcome, Statement, Watch, rejects_note};
use crate::stream::{BatchReport, Observer, refresh};

/// Runs all statements of `scripts` and stops at the first that fails. The report is written either way.
pub(super) async fn run(scripts: Vec<Script>, settings: Settings, output: Output) -> Result<(), Failure> {
    let config = settings.resolve()?;
    let format = settings.format(&config)?;
    // A report that cannot be written is found before anything is done.
    if let Some(path) = &settings.report {
        write_report(path, &[])?;
    }
    let session = Session::new(config).await?;
    let mut written = Vec::new();
    let runner = Runner { session: &session, format, output, allow_gap: settings.allow_gap };
    let outcome = runner.run_scripts(scripts, &mut written).await;
    let report = settings.report.as_ref().map_or(Ok(()), |path| write_report(path, &written));
    outcome?;
    Ok(report?)
}

struct Runner<'a> {
    session: &'a Session,
    format: Format,
    output: Output,
    allow_gap: bool,
}

impl Runner<'_> {
    async fn run_scripts(&self, scripts: Vec<Script>, written: &mut Vec<Value>) -> Result<(), Failure> {
        for Placed { statement, script } in statements(scripts)? {
            match self.run_one(&statement).await {
                Ok(table) => written.extend(table),
                Err(error) => return Err(Failure::in_script(error.at(statement.span), &script)),
            }
        }
        Ok(())
    }

    /// Gives the entry of the report, if the statement wrote a table.
    async fn run_one(&self, statement: &Statement) -> Result<Option<Value>> {
        let output = self.output;
        match statement::execute(self.session, statement, &Watcher(output)).await? {
            Outcome::Rows(rows) => {
                // The bar and the rows would write over each other where both go to one terminal.
                let followed = rows.plan.clone().filter(|_| !output.data_is_watched());
                let progress = followed.map(|plan| Progress::follow(plan, output));
                let mut data = output.data();
                write_rows(rows.stream, self.format, &mut data).await?;
                data.flush().map_err(stdout_error)?;
                drop(progress);
                if let Some(text) = rows.rejected.finish().await? {
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

/// Says what a refresh meets; the batches themselves are added up at its end.
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
        self.0.warning(&format!("{table}: {}; tried again in {wait:?}", error.message));
    }
}

/// Shows progress for the plans that write tables.
struct Watcher(Output);

impl Watch for Watcher {
    fn started(&self, plan: &Arc<dyn ExecutionPlan>) -> Box<dyn Send> {
        Box::new(Progress::follow(Arc::clone(plan), self.0))
    }
}

fn write_report(path: &Path, written: &[Value]) -> Result<()> {
    let text = format!("{:#}\n", json!({ "tables": written }));
    std::fs::write(path, text)
        .map_err(|error| Error::config(format!("the report {} cannot be written", path.display())).caused_by(error))
}
