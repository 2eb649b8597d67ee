//! The claim of a process on a streaming table or a sink.
//!
//! A process claims a table by creating the owner file of the next epoch. A process that finds a higher epoch than its own has
//! lost the table. The claim keeps two processes from working against each other, and the error of the second names the first.
//! The data is correct without it: the conditional PUT of each batch and the transaction in each commit also stop a process that
//! did not notice the loss of its claim.
//!
//! A killed process leaves its claim. On the same machine the next process sees that the process is gone and continues at once.
//! On another machine it waits until the claim was not renewed for [`LEASE`].

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::files::{Created, Files, numbered};
use pinsql_base::error::{Error, ErrorCode, Result};

const FOLDER: &str = "owner";
/// The interval of renewals.
const RENEWAL: Duration = Duration::from_secs(3);
/// The time after which a claim of another machine without a renewal is dead.
const LEASE: Duration = Duration::from_secs(15);
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// The attempts to claim while other processes claim at the same time.
const CLAIMS_MAX: u32 = 8;

/// The claim of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRecord {
    /// The number of the claim, from 1.
    pub epoch: u64,
    /// The name of the machine.
    pub host: String,
    /// The number of the process on its machine.
    pub pid: u32,
    /// Identifies the process among processes with the same number, later or in another container.
    process: String,
    /// Identifies the claim among those of one process.
    claim: String,
    /// The time of the claim.
    pub claimed_at: DateTime<Utc>,
    /// The number of renewals.
    renewals: u64,
    /// True if the process has released the table.
    pub released: bool,
}

/// The claim of this process. It is renewed until it is released or dropped.
#[derive(Debug)]
pub(crate) struct Owner {
    files: Files,
    epoch: u64,
    record: Arc<Mutex<OwnerRecord>>,
    renewal: JoinHandle<()>,
}

impl Owner {
    /// Claims the table. Fails with [`ErrorCode::WriterConflict`] if a running process has it.
    pub(super) async fn claim(files: &Files) -> Result<Self> {
        for _ in 0..CLAIMS_MAX {
            let last = newest(files).await?;
            if let Some(other) = &last
                && is_at_work(files, other).await?
            {
                return Err(owned_by(files, other));
            }
            let record = OwnerRecord::of_this_process(last.map_or(1, |other| other.epoch + 1));
            let made = files.create(&numbered(FOLDER, record.epoch), &record).await?;
            // A higher epoch means that another process claimed in between.
            let is_newest = newest(files).await?.is_some_and(|newest| newest.claim == record.claim);
            if made == Created::Made && is_newest {
                return Self::start(files.clone(), record).await;
            }
        }
        Err(Error::new(ErrorCode::ConcurrentWrite, format!("other processes keep claiming {}", files.table())))
    }

    async fn start(files: Files, record: OwnerRecord) -> Result<Self> {
        let epoch = record.epoch;
        for older in files.numbers(FOLDER).await?.into_iter().filter(|number| *number < epoch) {
            files.delete(&numbered(FOLDER, older)).await?;
        }
        let record = Arc::new(Mutex::new(record));
        let renewal = tokio::spawn(renew(files.clone(), record.clone()));
        Ok(Self { files, epoch, record, renewal })
    }

    /// The epoch of the claim.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Fails with [`ErrorCode::WriterConflict`] if another process has claimed the table since.
    pub(crate) async fn check(&self) -> Result<()> {
        match newest(&self.files).await? {
            Some(other) if other.epoch > self.epoch => Err(owned_by(&self.files, &other)),
            _ => Ok(()),
        }
    }

    /// Releases the table, so that the next process need not wait. An error is ignored: the claim then ends after [`LEASE`].
    pub(crate) async fn release(&self) {
        self.renewal.abort();
        let mut record = self.record.lock().await;
        record.released = true;
        // After an error the next process waits for the end of the claim.
        let _ = self.files.overwrite(&numbered(FOLDER, self.epoch), &*record).await;
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn renew(files: Files, record: Arc<Mutex<OwnerRecord>>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        let mut record = record.lock().await;
        record.renewals += 1;
        // The loop of the stream reports an outage of the store. A later renewal succeeds.
        let _ = files.overwrite(&numbered(FOLDER, record.epoch), &*record).await;
    }
}

/// The claim with the highest epoch. `None` if there is none.
pub(super) async fn newest(files: &Files) -> Result<Option<OwnerRecord>> {
    match files.numbers(FOLDER).await?.last() {
        Some(epoch) => files.read(&numbered(FOLDER, *epoch)).await,
        None => Ok(None),
    }
}

/// True if the process of a claim is running. For a process on another machine, only renewals show it.
async fn is_at_work(files: &Files, other: &OwnerRecord) -> Result<bool> {
    if other.released {
        return Ok(false);
    }
    if let (Some(here), Some((machine, _))) = (machine(), other.process.rsplit_once('/'))
        && here == machine
        && other.host == host()
    {
        return Ok(process(other.pid).as_deref() == Some(&other.process));
    }
    let until = tokio::time::Instant::now() + LEASE;
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let now: Option<OwnerRecord> = files.read(&numbered(FOLDER, other.epoch)).await?;
        match now {
            Some(now) if now.released => return Ok(false),
            Some(now) if now.renewals != other.renewals => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

fn owned_by(files: &Files, other: &OwnerRecord) -> Error {
    let OwnerRecord { host, pid, claimed_at, .. } = other;
    let said = format!(
        "another process streams into {}: process {pid} on {host}, since {}",
        files.table(),
        claimed_at.format("%Y-%m-%d %H:%M:%S UTC")
    );
    Error::new(ErrorCode::WriterConflict, said)
        .with_hint("a streaming table has one writer: stop that process, or leave this table to it")
}

impl OwnerRecord {
    fn of_this_process(epoch: u64) -> Self {
        let pid = std::process::id();
        Self {
            epoch,
            host: host(),
            pid,
            process: process(pid).unwrap_or_default(),
            claim: Uuid::new_v4().to_string(),
            claimed_at: Utc::now().trunc_subsecs(0),
            renewals: 0,
            released: false,
        }
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "an unknown host".to_owned(),
        name => name.to_owned(),
    }
}

/// Identifies the boot of this machine and the PID namespace. `None` on a system without `/proc`.
fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbering = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), numbering.display()))
}

/// Identifies a process of this machine by its namespace and its start time. `None` if it does not run.
fn process(pid: u32) -> Option<String> {
    /// The index of the start time among the fields of `/proc/<pid>/stat` after the name, from 0.
    const START_FIELD: usize = 19;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let start = fields.split_ascii_whitespace().nth(START_FIELD)?;
    // A zombie process still has an entry.
    if fields.split_ascii_whitespace().next() == Some("Z") {
        return None;
    }
    Some(format!("{}/{start}", machine()?))
}
