//! SET: the settings of Spark that pinsql has. Any other setting is an error.

use super::Outcome;
use crate::session::Session;
use pinsql_base::error::Result;

/// True (the default): VACUUM refuses a retention shorter than that of the table.
pub(super) const RETENTION_CHECK: &str = "spark.databricks.delta.retentionDurationCheck.enabled";

/// All settings. They hold until the end of the session.
pub(super) const SETTINGS: [&str; 1] = [RETENTION_CHECK];

/// Sets the setting, or shows it if there is no value.
pub(super) fn execute(session: &Session, key: &str, value: Option<bool>) -> Result<Outcome> {
    if let Some(value) = value {
        session.set_checks_retention(value);
    }
    Ok(Outcome::Done(format!("{key} = {}", session.checks_retention())))
}
