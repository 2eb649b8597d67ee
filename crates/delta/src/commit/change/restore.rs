//! The commit of a RESTORE.

use deltalake::kernel::{Action, Add, Metadata, Protocol, Remove};
use serde_json::{Value, json};

use crate::log::versions::AsOf;

/// The part of a RESTORE commit that is not a restored file.
#[derive(Debug, Clone)]
pub(crate) struct RestoreChange {
    pub(crate) metadata: Option<Metadata>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) removes: Vec<Remove>,
    pub(crate) as_of: AsOf,
    pub(crate) files_after: usize,
    pub(crate) bytes_after: u64,
}

impl RestoreChange {
    pub(crate) fn actions(&self) -> Vec<Action> {
        let protocol = self.protocol.clone().map(Action::Protocol);
        let metadata = self.metadata.clone().map(Action::Metadata);
        protocol.into_iter().chain(metadata).chain(self.removes.iter().cloned().map(Action::Remove)).collect()
    }

    pub(crate) fn removed_bytes(&self) -> u64 {
        self.removes.iter().filter_map(|remove| remove.size).map(i64::unsigned_abs).sum()
    }

    /// The operation metrics of Spark. Every value is text.
    pub(crate) fn metrics(&self, adds: &[Add]) -> Value {
        json!({
            "numRestoredFiles": adds.len().to_string(),
            "restoredFilesSize": bytes_of(adds).to_string(),
            "numRemovedFiles": self.removes.len().to_string(),
            "removedFilesSize": self.removed_bytes().to_string(),
            "numOfFilesAfterRestore": self.files_after.to_string(),
            "tableSizeAfterRestore": self.bytes_after.to_string(),
        })
    }

    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let (version, timestamp) = match self.as_of {
            AsOf::Version(version) => (version.to_string(), "null".to_owned()),
            AsOf::Timestamp(micros) => {
                let moment = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
                ("null".to_owned(), format!("\"{}\"", moment.format("%Y-%m-%d %H:%M:%S%.f")))
            }
        };
        vec![("version", version), ("timestamp", timestamp)]
    }
}

/// The size of all these files.
pub(crate) fn bytes_of(adds: &[Add]) -> u64 {
    adds.iter().map(|add| add.size.unsigned_abs()).sum()
}
