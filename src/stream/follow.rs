//! The loops: a refresh reads the records that are there and ends, and `follow` continues until it is stopped.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::flow::{OpenFlow, OpenOptions, Taken};
use super::{Observer, Refreshed};
use crate::session::Session;
use crate::statement::{Flow, FlowTarget};
use pinsql_base::error::{Error, ErrorCode, Result};

/// The wait of a refresh for the next record. A source without more records ends the refresh earlier.
const REFRESH_WAIT: Duration = Duration::from_secs(1);

/// The options of [`follow`].
#[derive(Debug, Clone)]
pub struct FollowOptions {
    /// The time from the start of one batch to the start of the next. With a backlog there is no wait.
    pub trigger: Duration,
    /// Whether to continue if the source no longer has records that were not yet read.
    pub allow_gap: bool,
    /// Becomes true to stop the streams after their current batches.
    pub stop: watch::Receiver<bool>,
}

/// Reads all records that the stream has now, and returns the sum of the batches.
pub async fn refresh(session: &Session, flow: &Flow, allow_gap: bool, observer: &dyn Observer) -> Result<Refreshed> {
    let mut refreshed = Refreshed::of(&flow.name);
    if is_left_alone(session, flow).await? {
        return Ok(refreshed);
    }
    let options = OpenOptions { available_now: true, allow_gap, flows: 1 };
    let mut open = OpenFlow::open(session, flow, observer, options).await?;
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

/// Runs all streams until `stop`, or until one of them fails. Then the others finish their batch, and the error is returned with
/// the index of its stream in `flows`.
pub async fn follow(
    session: &Session,
    flows: &[Flow],
    mut options: FollowOptions,
    observer: &dyn Observer,
) -> Result<(), (usize, Error)> {
    // A failure stops the other streams like a signal.
    let (stop, stopped) = watch::channel(false);
    let loops = flows.iter().enumerate().map(|(index, flow)| {
        let options = FollowOptions { stop: stopped.clone(), ..options.clone() };
        async move {
            let outcome = follow_one(session, flow, options, flows.len(), observer).await;
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

async fn follow_one(
    session: &Session,
    flow: &Flow,
    mut options: FollowOptions,
    flows: usize,
    observer: &dyn Observer,
) -> Result<()> {
    if is_left_alone(session, flow).await? {
        return Ok(());
    }
    let open_options = OpenOptions { available_now: false, allow_gap: options.allow_gap, flows };
    let mut open = OpenFlow::open(session, flow, observer, open_options).await?;
    let outcome = follow_open(&mut open, &mut options, observer).await;
    open.close().await;
    outcome
}

async fn follow_open(open: &mut OpenFlow<'_>, options: &mut FollowOptions, observer: &dyn Observer) -> Result<()> {
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

/// True if the table or sink exists and the statement has IF NOT EXISTS. An error if it exists and the statement has neither OR
/// REFRESH nor IF NOT EXISTS.
async fn is_left_alone(session: &Session, flow: &Flow) -> Result<bool> {
    if flow.or_refresh {
        return Ok(false);
    }
    let warehouse = session.warehouse();
    let (kind, is_there) = match &flow.target {
        FlowTarget::Table(_) => ("table", warehouse.table_exists(&flow.name).await?),
        FlowTarget::Sink(_) => ("sink", warehouse.sink_exists(&flow.name).await?),
    };
    if !is_there || flow.if_not_exists {
        return Ok(is_there);
    }
    let create = if kind == "table" { "STREAMING TABLE" } else { "SINK" };
    Err(Error::new(ErrorCode::TableOrViewAlreadyExists, format!("the {kind} {} already exists", flow.name))
        .with_hint(format!("CREATE OR REFRESH {create} continues it")))
}
