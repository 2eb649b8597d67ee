//! `pinsql checkpoint show`: the position of a streaming table or a sink. It only reads.

use std::io::Write;

use super::failure::Failure;
use super::output::{Output, stdout_error};
use super::rows::write_rows;
use super::settings::Settings;
use crate::session::Session;
use crate::statement::Rows;
use crate::stream::checkpoint::{self, OwnerRecord, Shown};
use pinsql_base::error::Result;
use pinsql_delta::transaction_version;

/// Prints the checkpoint of `table`, a streaming table or a sink, as rows of name and value.
pub(super) async fn show(table: &str, settings: Settings, output: Output) -> Result<(), Failure> {
    let config = settings.resolve()?;
    let format = settings.format(&config)?;
    let session = Session::new(config).await?;
    let parts: Vec<&str> = table.split('.').collect();
    let name = session.table_name(&parts)?;
    let (shown, landed) = if session.warehouse().sink_exists(&name).await? {
        let shown = checkpoint::show(&session.warehouse().location(&name).await?).await?;
        let landed = shown.committed.unwrap_or(0);
        (shown, landed)
    } else {
        let (location, delta) = session.warehouse().open_table(&name).await?;
        let shown = checkpoint::show(&location).await?;
        let landed = transaction_version(&delta, &shown.identity.id).await?;
        (shown, landed.and_then(|landed| u64::try_from(landed).ok()).unwrap_or(0))
    };
    let rows = Rows::of_text(&["name", "value"], describe(shown, landed))?;
    let mut data = output.data();
    write_rows(rows.stream, format, &mut data).await?;
    Ok(data.flush().map_err(stdout_error)?)
}

fn describe(shown: Shown, landed: u64) -> Vec<Vec<Option<String>>> {
    let Shown { identity, owner, position_batch, position, newest, committed: _ } = shown;
    let row = |name: &str, value: Option<String>| vec![Some(name.to_owned()), value];
    let is_pending = newest.as_ref().is_some_and(|newest| newest.batch > landed);
    let mut rows = vec![
        row("id", Some(identity.id)),
        row("source", Some(format!("{} {}", identity.source.kind, identity.source.name))),
        row("distinct", identity.distinct),
        row("batches landed", Some(landed.to_string())),
        row("pending batch", newest.as_ref().filter(|_| is_pending).map(|newest| newest.batch.to_string())),
        row("newest range", newest.as_ref().map(|newest| newest.range.0.to_string())),
        row("newest range written at", newest.map(|newest| newest.written_at.to_rfc3339())),
        row(&format!("position after batch {position_batch}"), Some(position.0.to_string())),
        row("owner", owner.map(describe_owner)),
    ];
    if let Some(sink) = identity.sink {
        rows.insert(2, row("sink", Some(sink)));
    }
    rows
}

fn describe_owner(owner: OwnerRecord) -> String {
    let OwnerRecord { epoch, host, pid, claimed_at, released, .. } = owner;
    let state = if released { ", released" } else { "" };
    format!("process {pid} on {host}, since {}, epoch {epoch}{state}", claimed_at.to_rfc3339())
}
