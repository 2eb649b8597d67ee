//! TRUNCATE TABLE: removes all rows. The definition and the history stay.

use std::time::Instant;

use super::Outcome;
use super::ast::Name;
use super::rewrite::{open, table_of};
use super::write::{commit_alone, written};
use crate::session::Session;
use pinsql_base::error::Result;
use pinsql_delta::{Operation, OperationKind};

pub(super) async fn execute(session: &Session, table: &Name) -> Result<Outcome> {
    let started = Instant::now();
    let name = table_of(session, table, "TRUNCATE TABLE")?;
    let target = open(session, &name, table.span).await?;
    let covered = target.covered(None, &session.state())?;
    let operation = Operation { kind: OperationKind::Truncate, parameters: Vec::new() };
    let landed = commit_alone(target.remove_files(covered, operation)).await?;
    Ok(Outcome::Written(Box::new(written(name, landed, started))))
}
