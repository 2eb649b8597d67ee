//! Checkpoints of the log: writing one, and finding the last one.

use deltalake::DeltaTableError;
use object_store::ObjectStoreExt;

use crate::error::delta_error;
use crate::storage::location::TableLocation;
use pinsql_base::error::Result;
use pinsql_base::storage_error::storage_error;

/// Writes the checkpoint of a version. The kernel does it on a thread of its own: it blocks while it reads and writes.
pub(crate) async fn write_checkpoint(location: &TableLocation, version: u64) -> Result<()> {
    let engine = location.log_store().engine(None);
    let url = location.url().clone();
    let written = tokio::task::spawn_blocking(move || {
        let snapshot = delta_kernel::Snapshot::builder_for(url).at_version(version).build(engine.as_ref())?;
        snapshot.checkpoint(engine.as_ref(), None).map(drop)
    });
    let written = written.await.map_err(|panic| DeltaTableError::GenericError { source: Box::new(panic) });
    let written = written.and_then(|outcome| outcome.map_err(DeltaTableError::from));
    written.map_err(|error| delta_error(&format!("write a checkpoint of {}", location.name()), error))
}

/// The version that `_last_checkpoint` names; 0 when there is none, or it says nothing.
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
