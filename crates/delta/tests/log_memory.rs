//! The memory for reading the log of a table. It has its own program, since the allocator of a program is one for all tests.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::DataType;
use datafusion::execution::TaskContext;
use object_store::local::LocalFileSystem;
use pinsql_delta::{
    Alteration, Column, PreparedWrite, TableDefinition, TableHandle, TableLocation, WriteKind, WriteRequest, alter,
    maintain,
};
use tempfile::TempDir;
use url::Url;

/// Counts the bytes that are allocated, whether they are used or not.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work, and gets what the caller gave.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// The most that `work` had at once, beyond what was there before, in MB.
async fn peak_mb(work: impl Future<Output = ()>) -> usize {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    work.await;
    (MOST.load(Ordering::Relaxed) - before) >> 20
}

const COMMITS: u64 = 150;
/// With 200 commits, deltalake's own engine takes 82 MB to open the table and 215 MB for the checkpoint.
const PEAK_MB_MAX: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commits_do_not_need_much_memory() {
    let folder = TempDir::new().unwrap();
    let url = Url::from_directory_path(folder.path().join("t")).unwrap();
    let location = TableLocation::with_store("default.t", &url, Arc::new(LocalFileSystem::new())).unwrap();
    // No commit writes a checkpoint, so that all of them are read.
    let properties = BTreeMap::from([("delta.checkpointInterval".to_owned(), "1000".to_owned())]);
    let columns = vec![Column { name: "a".to_owned(), data_type: DataType::Int32, nullable: true, comment: None }];
    let definition = TableDefinition { columns, properties, ..TableDefinition::default() };
    let request = WriteRequest::new(location.clone(), WriteKind::Create(definition));
    PreparedWrite::define(request).await.unwrap().commit(None).await.unwrap();
    for number in 1..COMMITS {
        alter(&location, Alteration::Comment(Some(number.to_string())), None).await.unwrap();
    }

    let handle = TableHandle::new(location.clone());
    let opening = peak_mb(async { assert!(handle.exists().await.unwrap()) }).await;
    assert!(opening < PEAK_MB_MAX, "opening the table takes {opening} MB");

    let interval = BTreeMap::from([("delta.checkpointInterval".to_owned(), "10".to_owned())]);
    alter(&location, Alteration::SetProperties(interval), None).await.unwrap();
    handle.refresh().await.unwrap();
    let checkpoint = peak_mb(async {
        let maintained = maintain(&handle, &TaskContext::default()).await;
        assert_eq!((maintained.checkpoint, maintained.warnings), (Some(COMMITS), Vec::new()));
    });
    let checkpoint = checkpoint.await;
    assert!(checkpoint < PEAK_MB_MAX, "writing the checkpoint takes {checkpoint} MB");
}
