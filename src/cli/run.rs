//! `pinsql run`, `pinsql -c` and SQL on standard input: statements one after the other.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use serde_json::json;

use super::Failure;
use super::output::{Output, stdout_error};
use super::progress::Progress;
use super::rows::{Format, write_rows};
use super::script::{Placed, Script, statements};
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::statement::{self, Outcome, Statement, Watch, Written};

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
    let outcome = run_scripts(&session, scripts, format, output, &mut written).await;
    let report = settings.report.as_ref().map_or(Ok(()), |path| write_report(path, &written));
    outcome?;
    Ok(report?)
}

async fn run_scripts(
    session: &Session,
    scripts: Vec<Script>,
    format: Format,
    output: Output,
    written: &mut Vec<Written>,
) -> Result<(), Failure> {
    for Placed { statement, script } in statements(scripts)? {
        match run_one(session, &statement, format, output).await {
            Ok(Some(table)) => written.push(table),
            Ok(None) => {}
            Err(error) => return Err(Failure::in_script(error.at(statement.span), &script)),
        }
    }
    Ok(())
}

async fn run_one(session: &Session, statement: &Statement, format: Format, output: Output) -> Result<Option<Written>> {
    match statement::execute(session, statement, &Watcher(output)).await? {
        Outcome::Rows(rows) => {
            // The bar and the rows would write over each other where both go to one terminal.
            let followed = rows.plan.clone().filter(|_| !output.data_is_watched());
            let progress = followed.map(|plan| Progress::follow(plan, output));
            let mut data = output.data();
            write_rows(rows.stream, format, &mut data).await?;
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
            Ok(Some(*written))
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

/// Shows progress for the plans that write tables.
struct Watcher(Output);

impl Watch for Watcher {
    fn started(&self, plan: &Arc<dyn ExecutionPlan>) -> Box<dyn Send> {
        Box::new(Progress::follow(Arc::clone(plan), self.0))
    }
}

fn write_report(path: &Path, written: &[Written]) -> Result<()> {
    let tables: Vec<_> = written.iter().map(Written::to_json).collect();
    let text = format!("{:#}\n", json!({ "tables": tables }));
    std::fs::write(path, text)
        .map_err(|error| Error::config(format!("the report {} cannot be written", path.display())).caused_by(error))
}
