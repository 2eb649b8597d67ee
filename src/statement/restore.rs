//! RESTORE (<https://docs.databricks.com/en/sql/language-manual/delta-restore.html>).

use serde_json::json;

use super::ast::Restore;
use super::query::parameters;
use super::query::time_travel::as_of;
use super::rows::Rows;
use super::{Checked, object_names};
use crate::session::Session;
use pinsql_base::error::Result;
use pinsql_delta::{AsOf, restore};

const COLUMNS: &str = "table_size_after_restore: BIGINT, num_of_files_after_restore: BIGINT, num_removed_files: BIGINT, \
    num_restored_files: BIGINT, removed_files_size: BIGINT, restored_files_size: BIGINT";

pub(super) async fn execute(session: &Session, statement: &Restore) -> Result<Rows> {
    object_names::refuse_temporary_view(session, &statement.table, "RESTORE")?;
    let table = statement.table.table(session)?;
    let (location, _) = session.warehouse().open_table(&table).await.map_err(|error| error.at(statement.table.span))?;
    let wanted = version(session, statement)?;
    let restored = restore(&location, wanted).await.map_err(|error| error.at(statement.table.span))?;
    let row = json!({
        "table_size_after_restore": restored.bytes_after,
        "num_of_files_after_restore": restored.files_after,
        "num_removed_files": restored.removed_files,
        "num_restored_files": restored.restored_files,
        "removed_files_size": restored.removed_bytes,
        "restored_files_size": restored.restored_bytes,
    });
    Rows::typed(COLUMNS, &[row])
}

pub(super) async fn check(session: &Session, statement: &Restore) -> Result<Checked> {
    let table = statement.table.table(session)?;
    let wanted = version(session, statement)?;
    session.open_table_as_of(&table, wanted).await.map_err(|error| error.at(statement.table.span))?;
    Ok(Checked::NoOutput)
}

fn version(session: &Session, statement: &Restore) -> Result<AsOf> {
    let mut version = statement.version.clone();
    parameters::bind(&mut version, &session.params())?;
    as_of(&session.state(), &version).map_err(|error| error.at(statement.table.span))
}
