//! An object store that checks the length of every response.
//!
//! A proxy can lose the end of a response and still send a header that fits the rest. Over HTTP that looks like a smaller
//! object, and its last records would be missing without an error. So every object is requested as a range: the response then
//! says which bytes it has, of how many. These bytes are counted. Missing bytes are requested again, from the first missing
//! one.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use thiserror::Error as ThisError;

use crate::retry::Backoff;

/// The maximum number of requests for the rest of a short response.
const RESUMES_MAX: u32 = 4;
/// The delays before these requests.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));

/// The response has fewer bytes than its header announces.
#[derive(Debug, ThisError)]
#[error(
    "{received_bytes} bytes arrived of the {expected_bytes} bytes asked for, after {RESUMES_MAX} more requests for the rest"
)]
struct ShortAnswer {
    expected_bytes: u64,
    received_bytes: u64,
}

/// Reads from `inner`: everything that was requested, or an error. All other operations are passed on.
#[derive(Debug)]
pub(super) struct CompleteReads {
    inner: Arc<dyn ObjectStore>,
    backoff: Backoff,
}

impl CompleteReads {
    pub(super) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, backoff: BACKOFF }
    }

    /// Requests a whole object as a range from its first byte.
    async fn get_ranged(&self, location: &Path, options: &GetOptions) -> Result<GetResult> {
        if options.range.is_some() {
            return self.inner.get_opts(location, options.clone()).await;
        }
        let ranged = GetOptions { range: Some(GetRange::Offset(0)), ..options.clone() };
        match self.inner.get_opts(location, ranged).await {
            Err(error) if is_range_of_nothing(&error) => self.inner.get_opts(location, options.clone()).await,
            answer => answer,
        }
    }
}

/// An empty object has no first byte, and S3 refuses a range that starts there. `object_store` has no error kind for that.
fn is_range_of_nothing(error: &Error) -> bool {
    match error {
        Error::Generic { source, .. } => {
            let text = source.to_string();
            text.contains("InvalidRange") || text.contains("416 Range Not Satisfiable")
        }
        _ => false,
    }
}

/// The bytes of one response, and of the requests for the rest.
struct Transfer {
    inner: Arc<dyn ObjectStore>,
    location: Path,
    options: GetOptions,
    asked: Range<u64>,
    /// The first byte that has not arrived.
    next: u64,
    /// Counts the requests for the rest.
    backoff: Backoff,
    stream: BoxStream<'static, Result<Bytes>>,
}

impl Transfer {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        loop {
            if let Some(bytes) = self.stream.next().await.transpose()? {
                self.next += bytes.len() as u64;
                return Ok(Some((bytes, self)));
            }
            if self.next >= self.asked.end {
                return Ok(None);
            }
            self.resume().await?;
        }
    }

    async fn resume(&mut self) -> Result<()> {
        if self.backoff.failures() == RESUMES_MAX {
            let expected_bytes = self.asked.end - self.asked.start;
            let received_bytes = self.next - self.asked.start;
            let source = Box::new(ShortAnswer { expected_bytes, received_bytes });
            return Err(Error::Generic { store: "S3", source });
        }
        tokio::time::sleep(self.backoff.next_delay()).await;
        tracing::warn!(object = %self.location, byte = self.next, "an answer was too short: asking for the rest");
        let range = Some(GetRange::Bounded(self.next..self.asked.end));
        let rest = self.inner.get_opts(&self.location, GetOptions { range, ..self.options.clone() }).await?;
        self.stream = rest.into_stream();
        Ok(())
    }
}

impl fmt::Display for CompleteReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for CompleteReads {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.head {
            return self.inner.get_opts(location, options).await;
        }
        let mut answer = self.get_ranged(location, &options).await?;
        if let GetResultPayload::Stream(stream) = answer.payload {
            // The rest must be of the same version of the object.
            let if_match = options.if_match.clone().or_else(|| answer.meta.e_tag.clone());
            let transfer = Transfer {
                inner: Arc::clone(&self.inner),
                location: location.clone(),
                options: GetOptions { if_match, ..options },
                next: answer.range.start,
                asked: answer.range.clone(),
                backoff: self.backoff,
                stream,
            };
            answer.payload = GetResultPayload::Stream(stream::try_unfold(transfer, Transfer::next).boxed());
        }
        Ok(answer)
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
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    const BYTES: &[u8] = b"0123456789";

    /// Returns only half of a requested range, `times` times, and refuses a range of an empty object, as S3 does.
    #[derive(Debug)]
    struct Halving {
        inner: InMemory,
        times: AtomicUsize,
    }

    impl fmt::Display for Halving {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Halving")
        }
    }

    #[async_trait]
    impl ObjectStore for Halving {
        async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
            if options.range.is_some() && self.inner.head(location).await?.size == 0 {
                return Err(Error::Generic { store: "S3", source: "416 Range Not Satisfiable".into() });
            }
            let mut answer = self.inner.get_opts(location, options).await?;
            let is_short = self.times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |times| times.checked_sub(1));
            let range = answer.range.clone();
            let bytes = GetResult { payload: answer.payload, ..answer }.bytes().await?;
            let kept = if is_short.is_ok() { bytes.len() / 2 } else { bytes.len() };
            answer = self.inner.get_opts(location, GetOptions::default()).await?;
            answer.payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes.slice(..kept)) }).boxed());
            answer.range = range;
            Ok(answer)
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
            self.inner.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.inner.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    async fn store(content: &'static [u8], short_times: usize) -> (CompleteReads, Path) {
        let path = Path::from("a.json");
        let inner = InMemory::new();
        inner.put(&path, content.into()).await.unwrap();
        let inner = Arc::new(Halving { inner, times: short_times.into() });
        (CompleteReads { inner, backoff: Backoff::new(Duration::ZERO, Duration::ZERO) }, path)
    }

    #[tokio::test]
    async fn missing_bytes_of_a_short_response_are_requested_again() {
        for short_times in 0..=4 {
            let (store, path) = store(BYTES, short_times).await;
            assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), BYTES, "{short_times}");
            let (store, path) = self::store(BYTES, short_times).await;
            assert_eq!(store.get_range(&path, 3..9).await.unwrap(), &BYTES[3..9], "{short_times}");
            let (store, path) = self::store(BYTES, short_times).await;
            assert_eq!(store.get_ranges(&path, &[0..2, 7..10]).await.unwrap(), ["01", "789"], "{short_times}");
        }
    }

    #[tokio::test]
    async fn a_response_that_stays_short_is_an_error_with_both_sizes() {
        let (store, path) = store(BYTES, usize::MAX).await;
        let error = store.get(&path).await.unwrap().bytes().await.unwrap_err().to_string();
        assert!(error.contains("9 bytes arrived of the 10 bytes"), "{error}");
    }

    #[tokio::test]
    async fn an_empty_object_is_complete() {
        let (store, path) = store(b"", 0).await;
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), Bytes::new());
    }
}
