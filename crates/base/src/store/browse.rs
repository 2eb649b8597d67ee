//! Lists one folder level, for the completion of paths in the shell.

use datafusion::execution::runtime_env::RuntimeEnv;
use object_store::path::Path;
use url::Url;

use crate::error::{Error, ErrorCode, Result};
use crate::storage_error::storage_error;

/// Returns the names directly under `folder`. Names of folders end in `/`.
///
/// # Errors
/// `INVALID_LOCATION` if [`connect`](super::connect) did not register the store of `folder`, and errors of the store.
pub async fn browse(runtime: &RuntimeEnv, folder: &Url) -> Result<Vec<String>> {
    let store = runtime
        .object_store_registry
        .get_store(folder)
        .map_err(|_| Error::new(ErrorCode::InvalidLocation, format!("no storage is configured for {folder}")))?;
    let prefix = Path::from_url_path(folder.path()).map_err(|error| {
        Error::new(ErrorCode::InvalidLocation, format!("{folder} is not a folder")).caused_by(error)
    })?;
    let listed = store
        .list_with_delimiter(Some(&prefix))
        .await
        .map_err(|error| storage_error(&format!("list {folder}"), error))?;
    let folders = listed.common_prefixes.iter().filter_map(|path| path.filename()).map(|name| format!("{name}/"));
    let objects = listed.objects.iter().filter_map(|object| object.location.filename()).map(str::to_owned);
    Ok(folders.chain(objects).collect())
}
