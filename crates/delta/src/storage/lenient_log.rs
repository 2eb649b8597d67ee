//! The store of a table whose log has damaged parts that no reader needs.
//!
//! The Delta kernel fails on a damaged checkpoint, and on a `_last_checkpoint` without its checkpoint. Both only save work if the
//! log has all commits, and Spark reads such tables. This store shows the kernel a log without them. It is only used after a load
//! has failed, so the usual load costs nothing more.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct LenientLog {
    inner: Arc<dyn ObjectStore>,
    /// The folder of the log.
    log: Path,
    /// Checkpoint files that do not exist for readers.
    hidden: Arc<Vec<Path>>,
}

impl LenientLog {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, log: Path, hidden: Vec<Path>) -> Self {
        Self { inner, log, hidden: Arc::new(hidden) }
    }

    fn is_hidden(&self, location: &Path) -> bool {
        is_hidden(&self.log, &self.hidden, location)
    }
}

/// The name of a file in the log's folder.
fn name_in<'a>(log: &Path, location: &'a Path) -> Option<&'a str> {
    match location.prefix_match(log)?.count() {
        1 => location.filename(),
        _ => None,
    }
}

/// Hidden checkpoints, and files that only save work: the hint, checksums, and compacted commits.
fn is_hidden(log: &Path, hidden: &[Path], location: &Path) -> bool {
    let is_optional = |name: &str| {
        let is_shortcut = name.ends_with(".crc") || name.ends_with(".compacted.json");
        name == "_last_checkpoint" || is_shortcut
    };
    hidden.contains(location) || name_in(log, location).is_some_and(is_optional)
}

impl fmt::Display for LenientLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for LenientLog {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.is_hidden(location) {
            return Err(Error::NotFound { path: location.to_string(), source: "it is left out".into() });
        }
        self.inner.get_opts(location, options).await
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.visible(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.visible(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = self.inner.list_with_delimiter(prefix).await?;
        found.objects.retain(|object| !self.is_hidden(&object.location));
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl LenientLog {
    fn visible(&self, listed: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (log, hidden) = (self.log.clone(), Arc::clone(&self.hidden));
        listed.try_filter(move |object| std::future::ready(!is_hidden(&log, &hidden, &object.location))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn hidden_and_optional_files_do_not_exist() {
        let store = InMemory::new();
        let hidden = Path::from("t/_delta_log/00000000000000000010.checkpoint.parquet");
        let commit = Path::from("t/_delta_log/00000000000000000010.json");
        for path in ["t/_delta_log/_last_checkpoint", "t/_delta_log/00000000000000000010.crc", "t/_last_checkpoint"] {
            store.put(&Path::from(path), PutPayload::default()).await.unwrap();
        }
        store.put(&hidden, PutPayload::default()).await.unwrap();
        store.put(&commit, PutPayload::default()).await.unwrap();
        let log = LenientLog::new(Arc::new(store), Path::from("t/_delta_log"), vec![hidden.clone()]);
        let listed: Vec<Path> = log.list(None).map_ok(|object| object.location).try_collect().await.unwrap();
        assert_eq!(listed, [commit, Path::from("t/_last_checkpoint")]);
        assert!(matches!(log.head(&hidden).await, Err(Error::NotFound { .. })));
    }
}
