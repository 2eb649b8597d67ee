//! The open files of a sink, one for each partition, and the closed files that wait for a batch.
//!
//! A file is a range of the offsets of one partition, and the records in it. Rows are copied from their slice, so that a file
//! uses memory only for its own records, and frees it when the file is taken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int32Type, Int64Type};
use tokio::time::Instant;

use super::Rotation;
use super::gather::has_name;
use pinsql_base::engine_error::arrow_error;
use pinsql_base::error::{Error, Result};
use pinsql_sources::stream::{Content, Gap, PartitionName, PartitionSpan, Partitioning, Slice};

/// The maximum number of small batches in a file before they are concatenated: a batch with one record uses some kilobytes.
const BATCHES_MAX: usize = 64;

/// Records of a future object.
#[derive(Debug)]
struct File {
    topic_id: Option<Arc<str>>,
    from: i64,
    to: i64,
    batches: Vec<RecordBatch>,
    records: u64,
    /// The size of the records as they were sent.
    size_bytes: u64,
    /// Their size in memory.
    held_bytes: u64,
    /// The time at which the first record arrived.
    since: Option<Instant>,
    /// The gaps before its first record.
    gaps: Vec<Gap>,
}

#[derive(Debug, Default)]
struct Partition {
    closed: VecDeque<File>,
    open: Option<File>,
}

/// A record of a slice that is being added.
#[derive(Debug, Clone, Copy)]
struct Row {
    batch: usize,
    row: u32,
    offset: i64,
    size_bytes: u64,
}

/// Complete files for the objects of one batch.
#[derive(Debug)]
pub(super) struct TakenFiles {
    pub(super) spans: Vec<PartitionSpan>,
    pub(super) rows: Vec<RecordBatch>,
    pub(super) gaps: Vec<Gap>,
}

/// All files of a sink.
#[derive(Debug)]
pub(super) struct Files {
    partitioning: Arc<dyn Partitioning>,
    rotation: Rotation,
    held_bytes_max: u64,
    partitions: BTreeMap<PartitionName, Partition>,
    /// Gaps of partitions from which no record has arrived since.
    loose_gaps: Vec<Gap>,
}

impl Files {
    pub(super) fn new(partitioning: Arc<dyn Partitioning>, rotation: Rotation, held_bytes_max: u64) -> Self {
        let (partitions, loose_gaps) = (BTreeMap::new(), Vec::new());
        Self { partitioning, rotation, held_bytes_max, partitions, loose_gaps }
    }

    /// Adds the records of a slice to the files of their partitions.
    pub(super) fn add(&mut self, slice: Slice, now: Instant) -> Result<()> {
        let Content::Rows(batches) = slice.content else {
            return Err(Error::internal("a stream of objects was given to a sink of objects"));
        };
        self.loose_gaps.extend(slice.gaps);
        let mut rows = self.by_partition(&batches)?;
        for span in self.partitioning.split(&slice.range)? {
            let rows = rows.remove(&span.name).unwrap_or_default();
            self.add_span(span, &rows, &batches, now)?;
        }
        match rows.into_keys().next() {
            Some(name) => Err(Error::internal(format!("a slice has records of {name}, and its range does not"))),
            None => Ok(()),
        }
    }

    fn by_partition(&self, batches: &[RecordBatch]) -> Result<BTreeMap<PartitionName, Vec<Row>>> {
        let [topic, partition, offset] = self.partitioning.columns();
        let mut by_partition: BTreeMap<PartitionName, Vec<Row>> = BTreeMap::new();
        for (index, batch) in batches.iter().enumerate() {
            let columns = || {
                Some((
                    batch.column(topic).as_string_opt::<i32>()?,
                    batch.column(partition).as_primitive_opt::<Int32Type>()?,
                    batch.column(offset).as_primitive_opt::<Int64Type>()?,
                ))
            };
            let (topics, partitions, offsets) =
                columns().ok_or_else(|| Error::internal("a slice has no topic, partition and offset"))?;
            // Consecutive records are mostly of one partition.
            let mut run: Option<(PartitionName, Vec<Row>)> = None;
            for row in 0..batch.num_rows() {
                let (topic, partition) = (topics.value(row), partitions.value(row));
                let place = Row {
                    batch: index,
                    row: row as u32,
                    offset: offsets.value(row),
                    size_bytes: self.partitioning.size_bytes(batch, row),
                };
                match &mut run {
                    Some((name, rows)) if name.partition == partition && name.topic.as_ref() == topic => {
                        rows.push(place)
                    }
                    _ => {
                        if let Some((name, rows)) =
                            run.replace((PartitionName { topic: topic.into(), partition }, vec![place]))
                        {
                            by_partition.entry(name).or_default().extend(rows);
                        }
                    }
                }
            }
            if let Some((name, rows)) = run {
                by_partition.entry(name).or_default().extend(rows);
            }
        }
        Ok(by_partition)
    }

    fn add_span(&mut self, span: PartitionSpan, rows: &[Row], batches: &[RecordBatch], now: Instant) -> Result<()> {
        let partition = self.partitions.entry(span.name.clone()).or_default();
        // After a gap a new file starts, so that no object seems to contain the lost records.
        let mut gaps = Vec::new();
        if partition.open.as_ref().is_some_and(|open| open.to != span.from)
            && let Some(open) = partition.open.take()
        {
            match open.records {
                0 => gaps = open.gaps,
                _ => partition.closed.push_back(open),
            }
        }
        gaps.extend(self.loose_gaps.extract_if(.., |gap| has_name(&span.name, &gap.partition)));
        let mut left = rows;
        let mut from = span.from;
        loop {
            let mut file = partition.open.take().unwrap_or_else(|| File::new(span.topic_id.clone(), from));
            file.gaps.append(&mut gaps);
            let fitting = file.fitting(left, &self.rotation);
            let (now_in, rest) = left.split_at(fitting);
            file.append(now_in, batches, now)?;
            file.to = rest.first().map_or(span.to, |next| next.offset);
            from = file.to;
            left = rest;
            if file.is_full(&self.rotation) || !left.is_empty() {
                partition.closed.push_back(file);
            } else {
                partition.open = Some(file);
            }
            if left.is_empty() {
                return Ok(());
            }
        }
    }

    /// Closes the files whose first record has waited long enough. If too much memory is used, also closes the largest files.
    pub(super) fn close_due(&mut self, now: Instant) {
        let age_max = self.rotation.age_max;
        for partition in self.partitions.values_mut() {
            partition.close_if(|open| open.since.is_some_and(|since| now >= since + age_max));
        }
        if self.held_bytes() < self.held_bytes_max {
            return;
        }
        let open = self.partitions.values().filter_map(|partition| partition.open.as_ref());
        let mut open_bytes: u64 = open.map(|file| file.held_bytes).sum();
        let mut largest: Vec<&mut Partition> =
            self.partitions.values_mut().filter(|partition| partition.open.is_some()).collect();
        largest.sort_by_key(|partition| partition.open.as_ref().map_or(0, |open| u64::MAX - open.held_bytes));
        for partition in largest {
            if open_bytes <= self.held_bytes_max / 2 {
                return;
            }
            open_bytes -= partition.open.as_ref().map_or(0, |open| open.held_bytes);
            partition.close_if(|_| true);
        }
    }

    /// Closes all files with records.
    pub(super) fn close_all(&mut self) {
        self.partitions.values_mut().for_each(|partition| partition.close_if(|_| true));
    }

    /// The time at which the next file is old enough to be closed.
    pub(super) fn due(&self) -> Option<Instant> {
        let since = self.partitions.values().filter_map(|partition| partition.open.as_ref()?.since);
        since.min().map(|since| since + self.rotation.age_max)
    }

    fn held_bytes(&self) -> u64 {
        let files = self.partitions.values().flat_map(|partition| partition.closed.iter().chain(&partition.open));
        files.map(|file| file.held_bytes).sum()
    }

    /// True if a file can be closed or taken.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.has_closed() || self.held_bytes() >= self.held_bytes_max || self.due().is_some_and(|due| due <= now)
    }

    pub(super) fn has_closed(&self) -> bool {
        self.partitions.values().any(|partition| !partition.closed.is_empty())
    }

    /// The number of waiting records of each partition.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&PartitionName, u64)> {
        self.partitions.iter().map(|(name, partition)| {
            (name, partition.closed.iter().chain(&partition.open).map(|file| file.records).sum())
        })
    }

    /// Takes closed files: at least one, and then as many as fit within the limits. None if no file is closed.
    pub(super) fn take(&mut self, size_bytes_max: u64, files_max: usize) -> Option<TakenFiles> {
        let mut taken = TakenFiles { spans: Vec::new(), rows: Vec::new(), gaps: Vec::new() };
        let (mut count, mut size_bytes) = (0, 0);
        for (name, partition) in &mut self.partitions {
            let mut span: Option<PartitionSpan> = None;
            while let Some(next) = partition.closed.front() {
                let is_too_much = count > 0 && (count >= files_max || size_bytes + next.size_bytes > size_bytes_max);
                // A range has no hole: files after a gap belong to another batch.
                let is_behind_gap = span.as_ref().is_some_and(|span| span.to != next.from);
                if is_too_much || is_behind_gap {
                    break;
                }
                let Some(file) = partition.closed.pop_front() else { break };
                count += 1;
                size_bytes += file.size_bytes;
                taken.rows.extend(file.batches);
                taken.gaps.extend(file.gaps);
                match &mut span {
                    None => {
                        let (name, topic_id) = (name.clone(), file.topic_id);
                        span = Some(PartitionSpan { name, topic_id, from: file.from, to: file.to, cuts: Vec::new() });
                    }
                    Some(span) => {
                        span.cuts.push(file.from);
                        span.to = file.to;
                    }
                }
            }
            taken.spans.extend(span);
        }
        (count > 0).then_some(taken)
    }
}

impl Partition {
    fn close_if(&mut self, is_due: impl Fn(&File) -> bool) {
        if self.open.as_ref().is_some_and(|open| open.records > 0 && is_due(open)) {
            self.closed.extend(self.open.take());
        }
    }
}

impl File {
    fn new(topic_id: Option<Arc<str>>, from: i64) -> Self {
        Self {
            topic_id,
            from,
            to: from,
            batches: Vec::new(),
            records: 0,
            size_bytes: 0,
            held_bytes: 0,
            since: None,
            gaps: Vec::new(),
        }
    }

    fn is_full(&self, rotation: &Rotation) -> bool {
        self.records >= rotation.records_max || self.size_bytes >= rotation.bytes_max
    }

    /// The number of `rows` that fit into the file. The first record always fits into an empty file.
    fn fitting(&self, rows: &[Row], rotation: &Rotation) -> usize {
        let (mut records, mut size_bytes) = (self.records, self.size_bytes);
        let fits = |row: &&Row| {
            let has_room = records < rotation.records_max && size_bytes + row.size_bytes <= rotation.bytes_max;
            let fits = records == 0 || has_room;
            records += 1;
            size_bytes += row.size_bytes;
            fits
        };
        rows.iter().take_while(fits).count()
    }

    /// Copies `rows` into the file.
    fn append(&mut self, rows: &[Row], batches: &[RecordBatch], now: Instant) -> Result<()> {
        for of_batch in rows.chunk_by(|one, other| one.batch == other.batch) {
            let Some(first) = of_batch.first() else { continue };
            let indices = UInt32Array::from_iter_values(of_batch.iter().map(|row| row.row));
            self.batches.push(take_record_batch(&batches[first.batch], &indices).map_err(arrow_error)?);
            self.since.get_or_insert(now);
        }
        self.records += rows.len() as u64;
        self.size_bytes += rows.iter().map(|row| row.size_bytes).sum::<u64>();
        if self.batches.len() > BATCHES_MAX {
            let all = concat_batches(self.batches[0].schema_ref(), &self.batches).map_err(arrow_error)?;
            self.batches = vec![all];
        }
        self.held_bytes = self.batches.iter().map(|batch| batch.get_array_memory_size() as u64).sum();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
