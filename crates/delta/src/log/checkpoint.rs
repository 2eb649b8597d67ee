//! Checkpoints of the log: writing one, and finding the last one.

use deltalake::DeltaTableError;
use deltalake::logstore::LogStoreRef;
use object_store::ObjectStoreExt;

use crate::error::delta_error;
use crate::log::files::LogFiles;
use crate::storage::location::TableLocation;
use pinsql_base::error::{ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// Writes the checkpoint of a version. If an older checkpoint is damaged, it is written from the rest of the log.
pub(crate) async fn write_checkpoint(location: &TableLocation, version: u64) -> Result<()> {
    let failed = match write_through(location, location.log_store(), version).await {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    if matches!(failed.code, ErrorCode::InvalidDeltaLog | ErrorCode::InvalidFile | ErrorCode::Internal) {
        for hidden in LogFiles::list(location).await?.without_checkpoints(Some(version)) {
            if write_through(location, location.lenient_log_store(hidden), version).await.is_ok() {
                return Ok(());
            }
        }
    }
    Err(failed)
}

/// The kernel writes on a separate thread, since it blocks while it reads and writes.
async fn write_through(location: &TableLocation, log: LogStoreRef, version: u64) -> Result<()> {
    let engine = log.engine(None);
    let url = location.url().clone();
    let written = tokio::task::spawn_blocking(move || {
        let snapshot = delta_kernel::Snapshot::builder_for(url).at_version(version).build(engine.as_ref())?;
        snapshot.checkpoint(engine.as_ref(), None).map(drop)
    });
    let written = written.await.map_err(|panic| DeltaTableError::GenericError { source: Box::new(panic) });
    let written = written.and_then(|outcome| outcome.map_err(DeltaTableError::from));
    written.map_err(|error| delta_error(&format!("write a checkpoint of {}", location.name()), error))
}

/// The version that `_last_checkpoint` names. 0 if there is none, or it cannot be read.
pub(crate) async fn last_checkpoint(location: &TableLocation) -> Result<u64> {
    let path = location.path().clone().join("_delta_log").join("_last_checkpoint");
    let read = async { location.root_store().get(&path).await?.bytes().await };
    match read.await {
        Ok(bytes) => {
            let hint: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
            Ok(hint.and_then(|hint| hint.get("version")?.as_u64()).unwrap_or(0))
        }
        Err(object_store::Error::NotFound { .. }) => Ok(0),
        Err(error) => Err(storage_error(&format!("read the log of {}", location.name()), error)),
    }
}
