//! Deletes objects of a table's folder.

use std::sync::Arc;

use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

/// Deletes objects, and returns the number of deleted ones. A missing object is no error and is not counted.
pub(crate) async fn delete(store: &Arc<dyn ObjectStore>, paths: Vec<Path>) -> object_store::Result<u64> {
    let mut outcomes = store.delete_stream(futures::stream::iter(paths.into_iter().map(Ok)).boxed());
    let mut deleted = 0;
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(_) => deleted += 1,
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(deleted)
}
