//! The files of a statement until its commit.
//!
//! A statement that fails deletes its files itself. A statement that is dropped (Ctrl-C) cannot wait for that, so a task does it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::write::writer::WriteTarget;

/// Files are deleted after their last writer is gone, and in any case after this time.
const WRITERS_GONE_WITHIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// The tasks that delete files.
static DISCARDS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Uncommitted(Vec<Arc<WriteTarget>>);

impl Uncommitted {
    pub(crate) fn new(targets: Vec<Arc<WriteTarget>>) -> Self {
        Self(targets)
    }

    /// Ends the care for the files, because a commit starts. It may land, so from here on only its outcome decides.
    pub(crate) fn release(mut self) -> Vec<Arc<WriteTarget>> {
        std::mem::take(&mut self.0)
    }

    /// Deletes the files.
    pub(crate) async fn discard(self) {
        for target in self.release() {
            target.discard().await;
        }
    }
}

impl Drop for Uncommitted {
    fn drop(&mut self) {
        let targets = std::mem::take(&mut self.0);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if targets.iter().all(|target| target.is_empty()) {
            return;
        }
        let discard = runtime.spawn(async move {
            for target in targets {
                // Tasks of the statement may still finish a file.
                let deadline = tokio::time::Instant::now() + WRITERS_GONE_WITHIN;
                while Arc::strong_count(&target) > 1 && tokio::time::Instant::now() < deadline {
                    tokio::time::sleep(POLL).await;
                }
                target.discard().await;
            }
        });
        let mut discards = DISCARDS.lock().unwrap_or_else(PoisonError::into_inner);
        discards.retain(|discard| !discard.is_finished());
        discards.push(discard);
    }
}

/// Waits until the files of dropped statements are deleted. A process calls this before it ends.
pub async fn finish_discards() {
    let discards = std::mem::take(&mut *DISCARDS.lock().unwrap_or_else(PoisonError::into_inner));
    for discard in discards {
        // A panic is already reported, and leaves orphans for VACUUM.
        let _ = discard.await;
    }
}
