//! For tests: an object store that fails like a network, before or after a write, once or always. It counts its requests.

#![expect(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What goes wrong in a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// The object is written, the answer is lost.
    AnswerLost,
    /// The object is written, the answer is lost, and the retry of the client receives "exists".
    AnswerLostThenExists,
    /// Nothing is written.
    Unavailable,
    /// The store refuses the credentials.
    Forbidden,
    /// The object is written, and replaces an existing object that the request must not replace.
    Overwrites,
}

/// An object store that fails on request, and counts its requests.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Box<dyn ObjectStore>,
    /// Faults for writes to paths that contain the text, and how often.
    faults: Mutex<Vec<(&'static str, Fault, usize)>>,
    requests: Mutex<BTreeMap<&'static str, usize>>,
}

impl FaultyStore {
    /// A faulty store over the local file system.
    pub fn new() -> Self {
        Self::over(LocalFileSystem::new())
    }

    /// A faulty store over `inner`.
    pub fn over(inner: impl ObjectStore) -> Self {
        Self { inner: Box::new(inner), faults: Mutex::default(), requests: Mutex::default() }
    }

    /// Makes the next `times` writes to a path that contains `in_path` fail.
    pub fn inject(&self, in_path: &'static str, fault: Fault, times: usize) {
        self.faults.lock().unwrap().push((in_path, fault, times));
    }

    /// The number of requests of each kind since the last call.
    pub fn take_requests(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    fn count(&self, request: &'static str) {
        *self.requests.lock().unwrap().entry(request).or_default() += 1;
    }

    fn next_fault(&self, location: &Path) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let (_, fault, times) =
            faults.iter_mut().find(|(part, _, times)| *times > 0 && location.as_ref().contains(*part))?;
        *times -= 1;
        Some(*fault)
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

fn lost() -> Error {
    Error::Generic { store: "Faulty", source: Box::new(std::io::Error::from(std::io::ErrorKind::TimedOut)) }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.count("PUT");
        let put = |payload| self.inner.put_opts(location, payload, options.clone());
        match self.next_fault(location) {
            None => put(payload).await,
            Some(Fault::AnswerLost) => put(payload).await.and(Err(lost())),
            Some(Fault::AnswerLostThenExists) => {
                put(payload).await?;
                Err(Error::AlreadyExists { path: location.to_string(), source: Box::new(lost()) })
            }
            Some(Fault::Overwrites) => self.inner.put_opts(location, payload, PutOptions::default()).await,
            Some(Fault::Unavailable) => Err(lost()),
            Some(Fault::Forbidden) => {
                Err(Error::PermissionDenied { path: location.to_string(), source: Box::new(lost()) })
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.count("PUT multipart");
        if self.next_fault(location) == Some(Fault::Forbidden) {
            return Err(Error::PermissionDenied { path: location.to_string(), source: Box::new(lost()) });
        }
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.count(if options.head { "HEAD" } else { "GET" });
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.count("GET");
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count("LIST");
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.count("LIST");
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
