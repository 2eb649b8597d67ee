//! VACUUM (<https://docs.databricks.com/en/sql/language-manual/delta-vacuum.html>).

use std::time::Duration;

use super::ast::Vacuum;
use super::rows::Rows;
use super::{Checked, object_names};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::{VacuumRequest, vacuum};

const SECONDS_PER_HOUR: f64 = 3_600.0;

/// Returns one row with the folder of the table. A dry run returns a row for each file that would be deleted.
pub(super) async fn execute(session: &Session, statement: &Vacuum) -> Result<Rows> {
    object_names::refuse_temporary_view(session, &statement.table, "VACUUM")?;
    let table = statement.table.table(session)?;
    let location = match session.warehouse().open_table(&table).await {
        Ok((location, _)) => location,
        // The files of a dropped table are deleted at once: nothing reads them.
        Err(missing) if missing.code == ErrorCode::TableOrViewNotFound && !statement.dry_run => {
            if !session.warehouse().purge_dropped(&table).await? {
                return Err(missing.at(statement.table.span));
            }
            let folder = session.warehouse().folder_url(&table)?;
            return Rows::of_text(&["path"], vec![vec![Some(folder.as_str().trim_end_matches('/').to_owned())]]);
        }
        Err(error) => return Err(error.at(statement.table.span)),
    };
    let request = VacuumRequest {
        retention: retention(statement)?,
        checks_retention: session.checks_retention(),
        dry_run: statement.dry_run,
    };
    let vacuumed = vacuum(&location, &request).await.map_err(|error| error.at(statement.table.span))?;
    tracing::info!(table = %table, files = vacuumed.files, bytes = vacuumed.bytes, "vacuumed");
    let rows = match statement.dry_run {
        true => vacuumed.paths,
        false => vec![location.url().as_str().trim_end_matches('/').to_owned()],
    };
    Rows::of_text(&["path"], rows.into_iter().map(|path| vec![Some(path)]).collect())
}

pub(super) async fn check(session: &Session, statement: &Vacuum) -> Result<Checked> {
    let table = statement.table.table(session)?;
    session.open_table(&table).await.map_err(|error| error.at(statement.table.span))?;
    retention(statement).map(|_| Checked::NoOutput)
}

fn retention(statement: &Vacuum) -> Result<Option<Duration>> {
    let Some(hours) = statement.retain_hours else { return Ok(None) };
    let retention = Duration::try_from_secs_f64(hours * SECONDS_PER_HOUR);
    let wrong = |_| {
        Error::new(ErrorCode::InvalidOption, format!("RETAIN {hours} HOURS is not a time that files can be kept for"))
    };
    retention.map(Some).map_err(|error| wrong(error).at(statement.table.span))
}
