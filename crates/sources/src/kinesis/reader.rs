//! The reader of one table: starts the shards of a stream in the right order, and cuts slices from their records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::budget::Budget;
use super::client::Shard;
use super::cursor::{Arrival, Cursor};
use super::lineage;
use super::position::{Place, ShardPosition, ShardRange, StreamPosition, StreamRange, from_json, to_json};
use super::replay::Replay;
use super::retention::Suspicion;
use super::rows::{Taken, batches};
use super::shared::SharedStream;
use super::slices::{ReadShard, cut};
use crate::stream::{Content, Lag, Next, ReadOptions, Slice, SliceLimits, SliceRange, StreamReader};
use pinsql_base::error::{ErrorKind, Result};

/// The position of a shard without records is written again after this time. Often enough to distinguish a quiet shard from one
/// with lost records after a day, and seldom enough to keep ranges short.
const QUIET_NOTE_PERIOD_MS: i64 = 3_600_000;
/// With `available_now`: the number of listings without children of a closed shard after which it counts as one without children.
const CHILDREN_LOOKS_MAX: u32 = 10;

#[derive(Debug)]
pub(super) struct Reader {
    stream: Arc<SharedStream>,
    options: ReadOptions,
    /// The position after the last slice, which is the next position in the checkpoint.
    given: StreamPosition,
    shards: BTreeMap<String, ReadShard>,
    listed: Arc<Vec<Shard>>,
    /// When to list the shards again, while children of a closed shard are missing.
    next_look: Option<Instant>,
    looks: u32,
    /// How many shards were read to the end when children were last started.
    read_out: usize,
    budget: Budget,
    opened_ms: i64,
    is_reading: bool,
    turn: usize,
    sender: UnboundedSender<Arrival>,
    arrivals: UnboundedReceiver<Arrival>,
    /// The tasks of the cursors. They end with the reader.
    cursors: JoinSet<()>,
}

impl Reader {
    pub(super) fn new(
        stream: Arc<SharedStream>,
        options: ReadOptions,
        position: StreamPosition,
        listed: Arc<Vec<Shard>>,
    ) -> Self {
        let (sender, arrivals) = unbounded_channel();
        let opened_ms = stream.contact().now_ms();
        let budget = Budget::new(options.ahead_bytes_max);
        let mut reader = Self {
            stream,
            options,
            given: position,
            shards: BTreeMap::new(),
            listed,
            next_look: None,
            looks: 0,
            read_out: 0,
            budget,
            opened_ms,
            is_reading: false,
            turn: 0,
            sender,
            arrivals,
            cursors: JoinSet::new(),
        };
        reader.take_up_position();
        reader
    }

    fn take_up_position(&mut self) {
        let shards = self.given.shards.iter();
        self.shards = shards.map(|(id, position)| (id.clone(), ReadShard::new(position.clone()))).collect();
    }

    fn positions(&self) -> BTreeMap<String, ShardPosition> {
        self.shards.iter().map(|(id, shard)| (id.clone(), shard.position.clone())).collect()
    }

    /// Starts reading ahead. Only at the first call of `next`, since a range may have to be replayed before.
    async fn begin(&mut self) -> Result<()> {
        if self.is_reading {
            return Ok(());
        }
        for id in lineage::vanished(&self.listed, &self.positions()) {
            self.give_up(&id).await?;
        }
        let open: Vec<String> =
            self.shards.iter().filter(|(_, shard)| !shard.position.closed).map(|(id, _)| id.clone()).collect();
        for id in open {
            if let Some(shard) = self.listed.iter().find(|shard| shard.id == id).cloned() {
                self.follow(&shard);
            }
        }
        self.begin_ready();
        self.is_reading = true;
        Ok(())
    }

    /// Closes a shard of the position that the service no longer lists: its unread records are gone.
    async fn give_up(&mut self, id: &str) -> Result<()> {
        let Some(shard) = self.shards.get_mut(id) else { return Ok(()) };
        let after = match &shard.position.place {
            Place::Start => "the beginning".to_owned(),
            Place::After { sequence, .. } => format!("sequence number {sequence}"),
        };
        let suspicion = Suspicion {
            shard: id,
            after,
            before: "the end".to_owned(),
            complete_to_ms: shard.position.complete_to_ms,
            first_arrival_ms: None,
            record_is_gone: true,
        };
        if let Some(loss) = suspicion.examine(&self.stream).await? {
            if !self.options.allow_gap {
                return Err(loss.error(self.stream.name()));
            }
            shard.losses.push(loss);
        }
        shard.position.closed = true;
        shard.ended = true;
        Ok(())
    }

    /// Starts every shard that can be started now.
    fn begin_ready(&mut self) {
        let positions = self.positions();
        let ready: Vec<Shard> = lineage::ready(&self.listed, &positions).into_iter().cloned().collect();
        for shard in ready {
            // Records that arrived before the parents were closed are in the parents.
            let parents = shard.parents.iter().filter_map(|parent| positions.get(parent));
            let complete_to_ms = parents.map(|parent| parent.complete_to_ms).min().unwrap_or(self.given.fixed_at_ms);
            let position = ShardPosition { place: Place::Start, closed: false, complete_to_ms };
            self.shards.insert(shard.id.clone(), ReadShard::new(position));
            self.follow(&shard);
        }
    }

    fn follow(&mut self, shard: &Shard) {
        let Some(read) = self.shards.get(&shard.id) else { return };
        let cursor = Cursor::new(self.stream.shard(shard), self.given.start, &read.position);
        // A closed shard is read to its end, which may be one answer after its last record: its children wait for that.
        let until_ms = (self.options.available_now && !shard.is_closed).then_some(self.opened_ms);
        let run = cursor.run(self.budget.clone(), until_ms, Arc::clone(&read.idle), self.sender.clone());
        self.cursors.spawn(run);
    }

    /// Receives the messages of the cursors.
    fn take_arrivals(&mut self) -> Result<()> {
        // This must be read before the messages are received, see `Idle`.
        let quiet: Vec<(String, i64)> =
            self.shards.iter().map(|(id, shard)| (id.clone(), shard.idle.complete_to_ms())).collect();
        while let Ok(arrival) = self.arrivals.try_recv() {
            self.take_arrival(arrival)?;
        }
        for (id, complete_to_ms) in quiet {
            if let Some(shard) = self.shards.get_mut(&id) {
                shard.passed_quietly(complete_to_ms);
            }
        }
        Ok(())
    }

    fn take_arrival(&mut self, arrival: Arrival) -> Result<()> {
        let piece = arrival.what?;
        if let Some(loss) = piece.loss.as_ref().filter(|_| !self.options.allow_gap) {
            return Err(loss.error(self.stream.name()));
        }
        if let Some(shard) = self.shards.get_mut(&arrival.shard) {
            shard.ended |= arrival.ended;
            shard.arrived(piece);
        }
        Ok(())
    }

    /// Starts the children of shards that are read to the end. Lists the shards again while children are missing.
    async fn follow_lineage(&mut self) -> Result<()> {
        let read_out = self.shards.values().filter(|shard| shard.position.closed).count();
        if read_out == self.read_out && self.next_look.is_none() {
            return Ok(());
        }
        self.read_out = read_out;
        self.begin_ready();
        let lacks_children = |(id, shard): (&String, &ReadShard)| shard.position.closed && self.is_childless(id);
        if !self.shards.iter().any(lacks_children) {
            (self.next_look, self.looks) = (None, 0);
            return Ok(());
        }
        let now = Instant::now();
        if self.next_look.is_some_and(|next| now < next) {
            return Ok(());
        }
        match self.stream.shards(self.stream.shard_list_period()).await {
            Ok(listed) => self.listed = listed,
            // The open shards continue meanwhile.
            Err(error) if error.kind() == ErrorKind::Service => {
                tracing::warn!(stream = self.stream.name(), %error, "the shards cannot be listed: retrying");
            }
            Err(error) => return Err(error),
        }
        self.looks = self.looks.saturating_add(1);
        self.next_look = Some(Instant::now() + self.stream.shard_list_period());
        self.begin_ready();
        Ok(())
    }

    /// True if a shard is still listed and has no listed child.
    fn is_childless(&self, id: &str) -> bool {
        self.listed.iter().any(|shard| shard.id == id) && !lineage::has_children(&self.listed, id)
    }

    fn has_pending(&self) -> bool {
        self.shards.values().any(|shard| !shard.pending.is_empty())
    }

    /// True if a shard was read for so long without a record that its position has to be written, in a range without records.
    /// Otherwise a stream that is quiet for longer than its retention would look as if it had lost records.
    fn has_been_quiet(&self) -> bool {
        let since = |(id, shard): (&String, &ReadShard)| {
            let before = self.given.shards.get(id).map(|before| before.complete_to_ms);
            before.map_or(0, |before_ms| shard.position.complete_to_ms - before_ms)
        };
        self.shards.iter().map(since).any(|quiet_ms| quiet_ms >= QUIET_NOTE_PERIOD_MS)
    }

    /// True if all records from before the opening are given out.
    fn is_at_end(&self) -> bool {
        let is_looking = self.next_look.is_some() && self.looks < CHILDREN_LOOKS_MAX;
        !is_looking && self.shards.values().all(|shard| shard.ended && shard.pending.is_empty())
    }

    fn slice(&mut self, limits: &SliceLimits) -> Result<Slice> {
        let taken = cut(&mut self.shards, limits, &mut self.turn);
        let rows = batches(self.stream.name(), &taken)?;
        let range = self.range(&taken);
        self.given = self.given.advanced(&range)?;
        for id in &range.forgotten {
            self.shards.remove(id);
        }
        Ok(Slice {
            gaps: range.gaps.clone(),
            range: SliceRange(to_json(&range)?),
            content: Content::Rows(rows),
            more: self.has_pending(),
        })
    }

    /// The range of a slice: all changes since the last slice.
    fn range(&mut self, taken: &[Taken]) -> StreamRange {
        let mut range = StreamRange::default();
        for (id, shard) in &mut self.shards {
            range.gaps.extend(shard.losses.drain(..).map(|loss| loss.gap()));
            let before = self.given.shards.get(id);
            let (here, from) = (&shard.position, before.map_or(Place::Start, |before| before.place.clone()));
            let is_noted = before.is_some_and(|before| {
                before.place == here.place
                    && before.closed == here.closed
                    && here.complete_to_ms - before.complete_to_ms < QUIET_NOTE_PERIOD_MS
            });
            if !is_noted {
                let records =
                    taken.iter().filter(|taken| taken.shard == *id).map(|taken| taken.records().count() as u64);
                let changed = ShardRange {
                    from,
                    to: here.place.clone(),
                    records: records.sum(),
                    closed: here.closed,
                    complete_to_ms: here.complete_to_ms,
                };
                range.shards.insert(id.clone(), changed);
            }
        }
        range.forgotten = lineage::forgettable(&self.listed, &self.given.shards);
        range
    }
}

#[async_trait]
impl StreamReader for Reader {
    async fn replay(&mut self, range: &SliceRange) -> Result<Slice> {
        let mut range: StreamRange = from_json("range", &range.0)?;
        let given = self.given.advanced(&range)?;
        let again =
            Replay { stream: &self.stream, options: &self.options, position: &self.given, listed: &self.listed };
        let (taken, gaps) = again.read(&range).await?;
        let rows = batches(self.stream.name(), &taken)?;
        for gap in gaps {
            if !range.gaps.contains(&gap) {
                range.gaps.push(gap);
            }
        }
        let slice = Slice {
            gaps: range.gaps.clone(),
            range: SliceRange(to_json(&range)?),
            content: Content::Rows(rows),
            more: true,
        };
        self.given = given;
        self.take_up_position();
        Ok(slice)
    }

    async fn next(&mut self, limits: &SliceLimits, wait: Duration) -> Result<Next> {
        self.begin().await?;
        let deadline = Instant::now() + wait;
        loop {
            self.take_arrivals()?;
            self.follow_lineage().await?;
            if self.has_pending() {
                return Ok(Next::Slice(self.slice(limits)?));
            }
            let is_at_end = self.options.available_now && self.is_at_end();
            let is_over = Instant::now() >= deadline;
            if (is_at_end || is_over) && self.has_been_quiet() {
                return Ok(Next::Slice(self.slice(limits)?));
            }
            if is_at_end {
                return Ok(Next::End);
            }
            if is_over {
                return Ok(Next::Idle);
            }
            let until = self.next_look.map_or(deadline, |look| look.min(deadline));
            match timeout_at(until, self.arrivals.recv()).await {
                Ok(Some(arrival)) => self.take_arrival(arrival)?,
                // Cannot happen, since the reader itself has a sender. It would only wait.
                Ok(None) => sleep_until(until).await,
                Err(_) => {}
            }
        }
    }

    /// Does nothing: Kinesis stores no positions of readers.
    async fn acknowledge(&mut self, _range: &SliceRange) -> Result<()> {
        Ok(())
    }

    fn lag(&self) -> Vec<Lag> {
        let now_ms = self.stream.contact().now_ms();
        let open = self.shards.iter().filter(|(_, shard)| !shard.position.closed);
        open.map(|(id, shard)| {
            let first = shard.pending.front().and_then(|piece| piece.chunk.records.get(piece.next));
            let behind = match first {
                Some(first) => {
                    let behind_ms = now_ms - first.arrival_us.div_euclid(1_000);
                    Some(Duration::from_millis(u64::try_from(behind_ms).unwrap_or(0)))
                }
                None => shard.idle.behind(),
            };
            Lag { partition: id.clone(), records: None, behind }
        })
        .collect()
    }
}
