//! The list of files that COPY INTO has loaded into a table. It is stored in the folder of the table, in `_pinsql_copy_into/`.
//!
//! ```text
//! <id>.json     the files of one COPY INTO, and the list before it; made once, written ahead of the commit
//! ```
//!
//! The log of the table decides which list is valid: the transaction of a COPY INTO has the id of its list. So one commit decides
//! both the rows and the list. A list that no commit names belongs to a run that never landed. Two runs at the same time have the
//! same application id, so the commit of the first is a conflict for the second, which then reads the list again.
//!
//! From time to time a list holds all files, so that the chain of lists stays short. A replaced table has another id, and its
//! list is empty.
//!
//! Readers of Delta tables skip folders that begin with `_`.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use deltalake::DeltaTable;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use crate::error::delta_error;
use crate::spec::transaction::{ApplicationTransaction, COPY_INTO};
use crate::storage::location::TableLocation;
use crate::table::describe::transaction_version;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

const FOLDER: &str = "_pinsql_copy_into";
const FORMAT: u32 = 1;
/// The length of a chain after which a list holds all files.
const CHAIN_MAX: usize = 50;
/// Attempts to find a free id. Ids are times in microseconds.
const ID_TRIES_MAX: i64 = 100;

#[derive(Debug, Serialize, Deserialize)]
struct List {
    format: u32,
    /// The id of the table. A replaced table has another id.
    table_id: String,
    /// The previous list. `None` if this list holds all files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<i64>,
    files: Vec<String>,
}

/// The files that were loaded into one version of a table.
#[derive(Debug)]
pub struct LoadedFiles {
    /// The version of the table.
    pub version: u64,
    table_id: String,
    newest: Option<i64>,
    chain: usize,
    files: HashSet<String>,
}

impl LoadedFiles {
    /// Reads the lists that are valid in the log of `table`. Fails if one is missing or damaged.
    pub async fn of(location: &TableLocation, table: &DeltaTable) -> Result<Self> {
        let failed = |error| delta_error(&format!("read the table {}", location.name()), error);
        let state = table.snapshot().map_err(failed)?;
        let mut loaded = Self {
            version: state.version(),
            table_id: state.metadata().id().to_owned(),
            newest: transaction_version(table, COPY_INTO).await?,
            chain: 0,
            files: HashSet::new(),
        };
        let mut next = loaded.newest;
        // The loop ends, since a list names an older one.
        while let Some(id) = next {
            let list = read(location, id).await?;
            if list.table_id != loaded.table_id {
                break;
            }
            loaded.files.extend(list.files);
            loaded.chain += 1;
            next = list.previous.filter(|previous| *previous < id);
        }
        Ok(loaded)
    }

    /// True if the file was loaded.
    pub fn contains(&self, file: &str) -> bool {
        self.files.contains(file)
    }

    /// True if the step `transaction` has landed in the table that this was read from.
    pub fn is_newest(&self, transaction: &ApplicationTransaction) -> bool {
        self.newest == Some(transaction.version)
    }

    /// Writes the list of the files that will be loaded, before the commit. Returns the transaction for the commit.
    pub async fn write_ahead(&self, location: &TableLocation, files: Vec<String>) -> Result<ApplicationTransaction> {
        let is_whole = self.chain == 0 || self.chain >= CHAIN_MAX;
        let files = match is_whole {
            true => self.files.iter().cloned().chain(files).collect(),
            false => files,
        };
        let previous = if is_whole { None } else { self.newest };
        let list = List { format: FORMAT, table_id: self.table_id.clone(), previous, files };
        let body = serde_json::to_vec(&list)
            .map_err(|error| Error::internal("a list of files cannot be written as JSON").caused_by(error))?;
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let first = i64::try_from(now_us).unwrap_or(i64::MAX).max(self.newest.unwrap_or(0).saturating_add(1));
        for id in first..first.saturating_add(ID_TRIES_MAX) {
            let options = PutOptions::from(PutMode::Create);
            match location.table_store().put_opts(&path(id), PutPayload::from(body.clone()), options).await {
                Ok(_) => {
                    return Ok(ApplicationTransaction { application_id: COPY_INTO.to_owned(), version: id });
                }
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
                Err(error) => {
                    let doing = format!("write the list of files for {}", location.name());
                    return Err(storage_error(&doing, error));
                }
            }
        }
        Err(Error::new(ErrorCode::ConcurrentWrite, format!("too many COPY INTO at once on {}", location.name()))
            .with_hint("run it again"))
    }
}

/// Deletes the list of a step that certainly did not land. A failure does no harm.
pub async fn forget(location: &TableLocation, transaction: &ApplicationTransaction) {
    if let Err(error) = location.table_store().delete(&path(transaction.version)).await {
        tracing::debug!(%error, "the list of a COPY INTO that did not land stays");
    }
}

fn path(id: i64) -> Path {
    Path::from(FOLDER).join(format!("{id:020}.json"))
}

async fn read(location: &TableLocation, id: i64) -> Result<List> {
    let name = location.name();
    let damaged = |why: String| {
        Error::new(
            ErrorCode::LoadedFilesDamaged,
            format!("it is not known which files COPY INTO has loaded into {name}"),
        )
        .caused_by(why)
        .with_hint(format!("put the folder {FOLDER} of the table back, or copy into a new table"))
    };
    let store = location.table_store();
    let stored = match store.get(&path(id)).await {
        Ok(stored) => stored,
        Err(object_store::Error::NotFound { .. }) => return Err(damaged(format!("{} is gone", path(id)))),
        Err(error) => return Err(storage_error(&format!("read the list of files of {name}"), error)),
    };
    let bytes =
        stored.bytes().await.map_err(|error| storage_error(&format!("read the list of files of {name}"), error))?;
    let list: List = serde_json::from_slice(&bytes).map_err(|error| damaged(format!("{}: {error}", path(id))))?;
    match list.format {
        FORMAT => Ok(list),
        other => Err(damaged(format!("{} has format {other}, and this version of pinsql reads {FORMAT}", path(id)))),
    }
}
