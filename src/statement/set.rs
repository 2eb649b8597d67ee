//! SET: the settings of Spark's that SQL files from Databricks give, where they mean something here. Every other one is an error.

use super::Outcome;
use crate::session::Session;
use pinsql_base::error::Result;

/// Whether VACUUM refuses a retention that is shorter than the table's own. On, unless it is set to false.
pub(super) const RETENTION_CHECK: &str = "spark.databricks.delta.retentionDurationCheck.enabled";

/// All of them. They hold until the end of the session.
pub(super) const SETTINGS: [&str; 1] = [RETENTION_CHECK];

/// With a value it is set, without one it is shown.
pub(super) fn execute(session: &Session, key: &str, value: Option<bool>) -> Result<Outcome> {
    if let Some(value) = value {
        session.check_retention(value);
    }
    Ok(Outcome::Done(format!("{key} = {}", session.checks_retention())))
}
