//! The loops: a refresh takes what is there and ends, a stream goes on.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::flow::{OpenFlow, OpenOptions, Taken};
use super::{Observer, Refreshed};
use crate::session::Session;
use crate::statement::{Flow, FlowTarget};
use pinsql_base::error::{Error, ErrorCode, Result};

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

/// Keeps all tables and sinks refreshed until `stop`, or until one of them fails: then the others finish their batch and the
/// failure is returned, with the place of its stream in `flows`.
pub async fn follow(
    session: &Session,
    flows: &[Flow],
    mut options: FollowOptions,
    observer: &dyn Observer,
) -> Result<(), (usize, Error)> {
    // A failure stops the others as the user does.
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

/// Whether the statement does not want a table or sink that is there already to be refreshed.
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
        .with_hint(format!("CREATE OR REFRESH {create} carries it on")))
}
