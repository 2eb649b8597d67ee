//! The `txn` action: it marks a commit as one step of an application, so that a later run can check whether the step landed.

use std::time::{SystemTime, UNIX_EPOCH};

use deltalake::kernel::{Action, Transaction};

/// The application id of COPY INTO. Every other application is a stream.
pub(crate) const COPY_INTO: &str = "pinsql.copyInto";

/// One step of an application. The table's log keeps the newest step of each application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationTransaction {
    /// The stream or the job. It stays the same for all its steps.
    pub application_id: String,
    /// The number of the step. It grows with each step.
    pub version: i64,
}

impl ApplicationTransaction {
    /// The action for the log, with the current time.
    pub(crate) fn action(&self) -> Action {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Action::Txn(Transaction::new_with_last_update(
            self.application_id.as_str(),
            self.version,
            Some(now.as_millis() as i64),
        ))
    }
}
