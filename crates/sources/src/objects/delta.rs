//! Refuses the data files of Delta tables.
//!
//! The folder of a Delta table also has the files of old versions. Read as plain Parquet, removed rows come back and changed rows
//! are there twice. Spark on Databricks refuses such a path, too (`DELTA_INVALID_FORMAT`).

use futures::{StreamExt, stream};
use object_store::path::Path;

use super::listing::Listing;
use super::location::Location;
use super::options::Format;
use super::read_ahead::Storage;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The folder with the log of a table.
pub(super) const LOG_FOLDER: &str = "_delta_log";
/// The folder with the logs of dropped tables, which UNDROP can bring back.
pub(super) const DROPPED_FOLDER: &str = "_dropped";

/// Returns an error if a Parquet file of the listing is in the folder of a Delta table. Also looks above the listed folder.
pub(super) async fn refuse(
    storage: &Storage,
    location: &Location,
    format: Option<Format>,
    listing: &Listing,
) -> Result<()> {
    let is_parquet = |path: &Path| match format {
        Some(format) => format == Format::Parquet,
        None => path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet")),
    };
    // The log of a table can be read: its checkpoints are Parquet.
    let is_log = |path: &Path| path.parts().any(|part| part.as_ref() == LOG_FOLDER);
    let files = listing.objects.iter().map(|object| &object.location).filter(|path| is_parquet(path) && !is_log(path));
    let Some(first) = files.clone().next() else { return Ok(()) };
    let below = listing.delta_tables.iter().find(|table| files.clone().any(|file| file.prefix_matches(table)));
    if let Some(table) = below {
        return Err(is_table(storage, table).await);
    }
    let parts: Vec<_> = location.base.parts().collect();
    let is_file = *first == location.base;
    let above = (1..parts.len() + usize::from(!is_file)).map(|count| parts[..count].iter().cloned().collect::<Path>());
    let found = stream::iter(above.map(|folder| async move {
        let is_found = has(storage, &folder, LOG_FOLDER).await || has(storage, &folder, DROPPED_FOLDER).await;
        is_found.then_some(folder)
    }))
    .buffered(storage.limits.requests_max)
    .filter_map(std::future::ready);
    match std::pin::pin!(found).next().await {
        Some(table) => Err(is_table(storage, &table).await),
        None => Ok(()),
    }
}

/// A folder above the path that cannot be listed is no reason to refuse the path.
async fn has(storage: &Storage, folder: &Path, inside: &str) -> bool {
    let inside = folder.clone().join(inside);
    matches!(storage.store.list(Some(&inside)).next().await, Some(Ok(_)))
}

async fn is_table(storage: &Storage, table: &Path) -> Error {
    let name = Location::display(&storage.url, table);
    if !has(storage, table, LOG_FOLDER).await {
        let said = format!("{name} is a dropped Delta table: its Parquet files also have the rows of old versions");
        return Error::new(ErrorCode::InvalidFile, said).with_hint("UNDROP TABLE brings it back");
    }
    Error::new(
        ErrorCode::InvalidFile,
        format!("{name} is a Delta table: its Parquet files also have the rows of old versions"),
    )
    .with_hint(format!("read it with FROM delta.`{name}`"))
}
