//! The loops: a refresh takes what is there and ends, a stream goes on.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::table::{OpenOptions, OpenTable, Taken};
use super::{Observer, Refreshed};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::statement::StreamingTable;

/// How long a refresh waits for the next record that was there when it began. A source that has nothing more says so.
const REFRESH_WAIT: Duration = Duration::from_secs(1);

/// How streams are followed.
#[derive(Debug, Clone)]
pub struct FollowOptions {
    /// From the start of one batch to that of the next; a backlog is worked off without waiting.
    pub trigger: Duration,
    /// Whether to go on where a source no longer has what was not yet read.
    pub allow_gap: bool,
    /// Becomes true when the batches in hand are to be the last.
    pub stop: watch::Receiver<bool>,
}

/// Takes everything that the stream has now, and gives what landed.
pub async fn refresh(
    session: &Session,
    table: &StreamingTable,
    allow_gap: bool,
    observer: &dyn Observer,
) -> Result<Refreshed> {
    let mut refreshed = Refreshed::of(&table.table);
    if is_left_alone(session, table).await? {
        return Ok(refreshed);
    }
    let options = OpenOptions { available_now: true, allow_gap, tables: 1 };
    let mut open = OpenTable::open(session, table, observer, options).await?;
    let work = async {
        loop {
            match open.take(REFRESH_WAIT).await? {
                Taken::Slice(slice) => {
                    let report = open.land(&slice).await?;
                    observer.landed(&report);
                    refreshed.add(&report);
                }
                Taken::Idle => {}
                Taken::End => return Ok(()),
            }
        }
    };
    let outcome: Result<()> = work.await;
    open.close().await;
    outcome.map(|()| refreshed)
}

/// Keeps all tables refreshed until `stop`, or until one of them fails: then the others finish their batch and the
/// failure is returned, with the place of its table in `tables`.
pub async fn follow(
    session: &Session,
    tables: &[StreamingTable],
    mut options: FollowOptions,
    observer: &dyn Observer,
) -> Result<(), (usize, Error)> {
    // A failure stops the others as the user does.
    let (stop, stopped) = watch::channel(false);
    let loops = tables.iter().enumerate().map(|(index, table)| {
        let options = FollowOptions { stop: stopped.clone(), ..options.clone() };
        async move {
            let outcome = follow_table(session, table, options, tables.len(), observer).await;
            outcome.map_err(|error| (index, error))
        }
    });
    let mut running: FuturesUnordered<_> = loops.collect();
    let mut first_failure = None;
    let mut asked = false;
    loop {
        tokio::select! {
            ended = running.next() => match ended {
                None => break,
                Some(Ok(())) => {}
                Some(Err(failure)) => {
                    first_failure.get_or_insert(failure);
                    stop.send_replace(true);
                }
            },
            _ = options.stop.wait_for(|stop| *stop), if !asked => {
                asked = true;
                stop.send_replace(true);
            }
        }
    }
    first_failure.map_or(Ok(()), Err)
}

async fn follow_table(
    session: &Session,
    table: &StreamingTable,
    mut options: FollowOptions,
    tables: usize,
    observer: &dyn Observer,
) -> Result<()> {
    if is_left_alone(session, table).await? {
        return Ok(());
    }
    let open_options = OpenOptions { available_now: false, allow_gap: options.allow_gap, tables };
    let mut open = OpenTable::open(session, table, observer, open_options).await?;
    let outcome = follow_open(&mut open, &mut options, observer).await;
    open.close().await;
    outcome
}

async fn follow_open(open: &mut OpenTable<'_>, options: &mut FollowOptions, observer: &dyn Observer) -> Result<()> {
    loop {
        let started = Instant::now();
        let taken = tokio::select! {
            biased;
            _ = options.stop.wait_for(|stop| *stop) => return Ok(()),
            taken = open.take(options.trigger) => taken?,
        };
        let is_behind = match taken {
            Taken::Slice(slice) => {
                let report = open.land(&slice).await?;
                observer.landed(&report);
                slice.more
            }
            Taken::Idle => true,
            Taken::End => return Ok(()),
        };
        if !is_behind {
            tokio::select! {
                biased;
                _ = options.stop.wait_for(|stop| *stop) => return Ok(()),
                () = tokio::time::sleep_until(started + options.trigger) => {}
            }
        }
    }
}

/// Whether the statement does not want a table that is there already to be refreshed.
async fn is_left_alone(session: &Session, table: &StreamingTable) -> Result<bool> {
    if table.or_refresh || !session.warehouse().table_exists(&table.table).await? {
        return Ok(false);
    }
    if table.if_not_exists {
        return Ok(true);
    }
    Err(Error::sql(format!("the table {} already exists", table.table))
        .with_hint("CREATE OR REFRESH STREAMING TABLE carries it on"))
}
