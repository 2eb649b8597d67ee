//! Who may advance a streaming table.
//!
//! A process claims a table by making the owner's file of the next epoch; whoever finds a higher epoch than its own has
//! lost the table. This keeps two processes from working against each other, and lets the second say who the first is. It
//! is not what keeps the data right: that are the conditional PUT of each batch and the transaction in each commit, which
//! hold also for a process that slept through the loss of its claim.
//!
//! A process that was killed leaves its claim. On the same machine its successor sees that it is gone and goes on at once;
//! from another machine it is given up when it has not been renewed for [`LEASE`].

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
/// How often a claim is renewed.
const RENEWAL: Duration = Duration::from_secs(3);
/// How long a claim of another machine holds without being renewed.
const LEASE: Duration = Duration::from_secs(15);
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// Rivals that claim at the same moment, before this one gives up.
const CLAIMS_MAX: u32 = 8;

/// A process, as it names itself in its claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRecord {
    pub epoch: u64,
    pub host: String,
    pub pid: u32,
    /// Tells a process from a later one with the same number, and from one with that number in another container.
    process: String,
    /// Tells two claims of one process apart.
    claim: String,
    pub claimed_at: DateTime<Utc>,
    /// Counts the renewals.
    renewals: u64,
    /// Whether the process has given the table up.
    pub released: bool,
}

/// A claim that holds until it is released or lost.
#[derive(Debug)]
pub struct Owner {
    files: Files,
    epoch: u64,
    record: Arc<Mutex<OwnerRecord>>,
    renewal: JoinHandle<()>,
}

impl Owner {
    /// Claims the table, or says who has it.
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
            // A higher epoch means that somebody read the same list and was faster twice.
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

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Fails when another process has claimed the table since.
    pub async fn check(&self) -> Result<()> {
        match newest(&self.files).await? {
            Some(other) if other.epoch > self.epoch => Err(owned_by(&self.files, &other)),
            _ => Ok(()),
        }
    }

    /// Gives the table up, so that the next process need not wait. Best effort: a claim that stays ends by itself.
    pub async fn release(&self) {
        self.renewal.abort();
        let mut record = self.record.lock().await;
        record.released = true;
        // The next process finds out by itself that this one is gone.
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
        // A store that is away is the loop's to report; the claim is renewed when it is back.
        let _ = files.overwrite(&numbered(FOLDER, record.epoch), &*record).await;
    }
}

/// The claim that counts, if there is one.
pub(super) async fn newest(files: &Files) -> Result<Option<OwnerRecord>> {
    match files.numbers(FOLDER).await?.last() {
        Some(epoch) => files.read(&numbered(FOLDER, *epoch)).await,
        None => Ok(None),
    }
}

/// Whether the process behind a claim still works. Of a process on another machine only its renewals tell.
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

/// This boot of this machine, and the container's own numbering of processes; `None` where the system does not tell.
fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbering = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), numbering.display()))
}

/// A process of this machine by its number and the moment of its start; `None` when there is none.
fn process(pid: u32) -> Option<String> {
    /// The field of `/proc/<pid>/stat` behind the name's bracket that has the start, counted from 0.
    const START_FIELD: usize = 19;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let start = fields.split_ascii_whitespace().nth(START_FIELD)?;
    // A process that was killed and not yet waited for still has an entry.
    if fields.split_ascii_whitespace().next() == Some("Z") {
        return None;
    }
    Some(format!("{}/{start}", machine()?))
}
