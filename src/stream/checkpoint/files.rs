//! The files of a checkpoint, in the store of the table: small JSON documents with a number as the name, and the state of
//! DISTINCT.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::FOLDER;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;
use pinsql_delta::{TableLocation, sync_files};

/// The smallest part of an upload that every store takes.
const UPLOAD_PART_BYTES: usize = 5 << 20;
const UPLOADS_AT_ONCE: usize = 1;
/// The memory for a file that is written in pieces: a part that is filled, one that is uploaded, and the next piece.
pub(super) const PIECES_BYTES: usize = 3 * UPLOAD_PART_BYTES;

/// The result of creating a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Created {
    Made,
    /// Another process created it, with other content.
    Taken,
}

/// The folder of one checkpoint.
#[derive(Debug, Clone)]
pub(super) struct Files {
    location: TableLocation,
    store: Arc<dyn ObjectStore>,
}

impl Files {
    pub(super) fn of(location: &TableLocation) -> Self {
        Self { location: location.clone(), store: location.table_store() }
    }

    /// The name of the table, for messages.
    pub(super) fn table(&self) -> &str {
        self.location.name()
    }

    /// Creates a file that must not exist. If an answer was lost, the store returns "exists" for the file of this process. Its
    /// content distinguishes it from the file of another process.
    pub(super) async fn create(&self, name: &str, value: &(impl Serialize + Sync)) -> Result<Created> {
        let content = self.encode(value)?;
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&path(name), PutPayload::from(content.clone()), options).await {
            Ok(_) => {
                self.sync(name).await?;
                Ok(Created::Made)
            }
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                let there = self.read_bytes(name).await?;
                Ok(if there.as_deref() == Some(content.as_ref()) { Created::Made } else { Created::Taken })
            }
            Err(error) => Err(self.failed("write", error)),
        }
    }

    /// Writes a file that only this process writes.
    pub(super) async fn overwrite(&self, name: &str, value: &(impl Serialize + Sync)) -> Result<()> {
        self.overwrite_bytes(name, self.encode(value)?.into()).await
    }

    /// Writes a file that is not JSON. It is on the disk when this returns.
    pub(super) async fn overwrite_bytes(&self, name: &str, content: Bytes) -> Result<()> {
        self.store.put(&path(name), PutPayload::from(content)).await.map_err(|error| self.failed("write", error))?;
        self.sync(name).await
    }

    /// Writes a large file piece by piece, until there is no more. It exists after the last piece, or not at all.
    pub(super) async fn overwrite_pieces(
        &self,
        name: &str,
        mut next_piece: impl FnMut() -> Result<Option<Bytes>>,
    ) -> Result<()> {
        let failed = |error| self.failed("write", error);
        let upload = self.store.put_multipart(&path(name)).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, UPLOAD_PART_BYTES);
        let written = async {
            while let Some(piece) = next_piece()? {
                upload.wait_for_capacity(UPLOADS_AT_ONCE).await.map_err(failed)?;
                upload.put(piece);
            }
            Ok(())
        };
        if let Err(error) = written.await {
            // The store deletes the parts of an upload that could not be aborted by its own rules.
            let _ = upload.abort().await;
            return Err(error);
        }
        upload.finish().await.map_err(failed)?;
        self.sync(name).await
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(content) = self.read_bytes(name).await? else { return Ok(None) };
        let value = serde_json::from_slice(&content).map_err(|error| {
            Error::new(
                ErrorCode::CheckpointDamaged,
                format!("the checkpoint of {} cannot be read: {name} is damaged", self.table()),
            )
            .caused_by(error)
        })?;
        Ok(Some(value))
    }

    /// The numbers of the files in a folder, smallest first.
    pub(super) async fn numbers(&self, folder: &str) -> Result<Vec<u64>> {
        let listed: object_store::Result<Vec<_>> = self.store.list(Some(&path(folder))).try_collect().await;
        let listed = match listed {
            Ok(listed) => listed,
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(self.failed("list", error)),
        };
        let names = listed.iter().filter_map(|object| object.location.filename());
        let mut numbers: Vec<u64> =
            names.filter_map(|name| name.split_once('.').and_then(|(number, _)| number.parse().ok())).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        match self.store.delete(&path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("clean", error)),
        }
    }

    pub(super) async fn read_bytes(&self, name: &str) -> Result<Option<Bytes>> {
        let read = async { self.store.get(&path(name)).await?.bytes().await };
        match read.await {
            Ok(content) => Ok(Some(content)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    /// The size of a large file, and its content in pieces.
    pub(super) async fn read_pieces(&self, name: &str) -> Result<Option<(u64, BoxStream<'_, Result<Bytes>>)>> {
        match self.store.get(&path(name)).await {
            Ok(found) => {
                let bytes = found.meta.size;
                Ok(Some((bytes, found.into_stream().map_err(|error| self.failed("read", error)).boxed())))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    fn encode(&self, value: &impl Serialize) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(value)
            .map_err(|error| Error::internal(format!("the checkpoint of {} is no JSON", self.table())).caused_by(error))
    }

    /// Forces the file to the disk, so that no commit is more durable than its range.
    async fn sync(&self, name: &str) -> Result<()> {
        sync_files(&self.location, vec![path(name).to_string()]).await
    }

    fn failed(&self, doing: &str, error: object_store::Error) -> Error {
        storage_error(&format!("{doing} the checkpoint of {}", self.table()), error)
    }
}

/// The name of a numbered file. It has 20 digits like the files of a Delta log, so names sort like numbers.
pub(super) fn numbered(folder: &str, number: u64) -> String {
    format!("{folder}/{number:020}.json")
}

fn path(name: &str) -> Path {
    Path::from(format!("{FOLDER}/{name}"))
}
