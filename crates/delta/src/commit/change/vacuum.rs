//! The commits of a VACUUM: one before it deletes files, one after it.

use serde_json::{Value, json};

/// The content of a VACUUM commit.
#[derive(Debug, Clone)]
pub(crate) enum VacuumChange {
    Start { files: usize, bytes: u64, checks_retention: bool, default_ms: u128, specified_ms: Option<u128> },
    End { files: u64, folders: usize },
}

impl VacuumChange {
    pub(crate) fn operation_name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "VACUUM START",
            Self::End { .. } => "VACUUM END",
        }
    }

    /// The operation metrics of Spark. Every value is text.
    pub(crate) fn metrics(&self) -> Value {
        match self {
            Self::Start { files, bytes, .. } => {
                json!({ "numFilesToDelete": files.to_string(), "sizeOfDataToDelete": bytes.to_string() })
            }
            Self::End { files, folders } => {
                json!({ "numDeletedFiles": files.to_string(), "numVacuumedDirectories": folders.to_string() })
            }
        }
    }

    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Start { checks_retention, default_ms, specified_ms, .. } => {
                let mut parameters = vec![
                    ("retentionCheckEnabled", checks_retention.to_string()),
                    ("defaultRetentionMillis", default_ms.to_string()),
                ];
                parameters.extend(specified_ms.map(|specified| ("specifiedRetentionMillis", specified.to_string())));
                parameters
            }
            Self::End { .. } => vec![("status", "COMPLETED".to_owned())],
        }
    }
}
