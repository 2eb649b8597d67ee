//! The progress of each partition of a table: how far it is read, given out in slices, and committed to the table.

use std::collections::HashMap;

use super::native::Message;
use super::offsets::{Offsets, Span, Spans, TopicPartition};
use crate::stream::Lag;

/// A partition counts as deleted after this many listings without it. A broker that has just started may not list all
/// partitions yet.
const ABSENT_LOOKS_MAX: u32 = 3;

/// The progress of one partition. All offsets are exclusive ends: the offset after the last one.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) place: TopicPartition,
    /// The next offset to read. At the end of the partition it is after the transaction markers that follow the last record.
    pub(super) next: i64,
    /// The end of the last slice.
    taken: i64,
    /// The end of the last slice that is committed to the table, since this reader was opened.
    acknowledged: Option<i64>,
    /// The last offset committed to the consumer group.
    committed: Option<i64>,
    /// Where reading ends. None: never.
    pub(super) end: Option<i64>,
    /// The end that the brokers returned last.
    known_end: i64,
    /// The number of listings in a row without this partition.
    absent_looks: u32,
    /// librdkafka no longer reads it, and only a new connection can.
    is_given_up: bool,
    /// Reading went back, so the next slice has this partition even without a record.
    is_rewound: bool,
}

impl Progress {
    pub(super) fn is_finished(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// Continues at another offset, without reading the records between.
    pub(super) fn jump(&mut self, next: i64) {
        self.next = next;
        self.taken = next;
    }

    /// Continues at an offset that may be smaller than the one before.
    pub(super) fn rewind(&mut self, next: i64) {
        self.jump(next);
        self.is_rewound = true;
    }

    /// Continues after a range of the checkpoint.
    pub(super) fn resume_after(&mut self, end: i64) {
        self.jump(end);
        self.is_rewound = false;
    }

    pub(super) fn passes(&mut self, offset: i64) {
        self.next = self.next.max(offset);
    }

    pub(super) fn sees_end(&mut self, end: i64) {
        self.known_end = end;
    }

    pub(super) fn give_up(&mut self) {
        self.is_given_up = true;
    }

    fn lag_records(&self) -> u64 {
        u64::try_from(self.known_end - self.next).unwrap_or(0)
    }
}

/// The effect of a listing on the partitions that are read.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// A partition that was absent or given up exists again, and needs a new connection.
    pub(super) is_back: bool,
    /// The first partition that counts as deleted, and its next offset.
    pub(super) gone: Option<(TopicPartition, i64)>,
}

/// The partitions of a table.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    all: Vec<Progress>,
    by_place: HashMap<TopicPartition, usize>,
    /// The topic, partition and index of the last message, as a cache: messages of a partition come in runs.
    last: Option<(usize, i32, usize)>,
}

impl Partitions {
    pub(super) fn contains(&self, place: &TopicPartition) -> bool {
        self.by_place.contains_key(place)
    }

    pub(super) fn add(&mut self, place: TopicPartition, next: i64, known_end: i64, end: Option<i64>) {
        self.by_place.insert(place.clone(), self.all.len());
        self.all.push(Progress {
            place,
            next,
            taken: next,
            acknowledged: None,
            committed: None,
            end,
            known_end,
            absent_looks: 0,
            is_given_up: false,
            is_rewound: false,
        });
    }

    pub(super) fn get_mut(&mut self, place: &TopicPartition) -> Option<&mut Progress> {
        self.by_place.get(place).and_then(|index| self.all.get_mut(*index))
    }

    /// The partition of a message.
    pub(super) fn of(&mut self, message: &Message<'_>) -> Option<&mut Progress> {
        let (topic, partition) = (message.topic_identity(), message.partition());
        let index = match self.last {
            Some((last_topic, last_partition, index)) if (last_topic, last_partition) == (topic, partition) => index,
            _ => {
                let index = *self.by_place.get(&TopicPartition::new(&message.topic(), partition))?;
                self.last = Some((topic, partition, index));
                index
            }
        };
        self.all.get_mut(index)
    }

    /// Must be called for a new connection, where topics have other identities.
    pub(super) fn forget_identities(&mut self) {
        self.last = None;
    }

    /// The next offsets of the partitions that still have to be read.
    pub(super) fn unfinished(&mut self) -> Offsets {
        let unfinished = self.all.iter_mut().filter(|one| !one.is_finished() && one.absent_looks < ABSENT_LOOKS_MAX);
        let places = unfinished.map(|one| {
            one.is_given_up = false;
            (one.place.clone(), one.next)
        });
        places.collect()
    }

    pub(super) fn are_finished(&self) -> bool {
        self.all.iter().all(Progress::is_finished)
    }

    /// True if the brokers have unread records, as far as is known.
    pub(super) fn are_behind(&self) -> bool {
        self.all.iter().any(|one| one.next < one.known_end && !one.is_finished())
    }

    /// Applies a listing. `end_of` returns None for a partition that is not listed, and Some(None) for one whose end is unknown.
    pub(super) fn look(&mut self, end_of: impl Fn(&TopicPartition) -> Option<Option<i64>>) -> Change {
        let mut change = Change::default();
        for one in &mut self.all {
            match end_of(&one.place) {
                Some(end) => {
                    change.is_back |= one.is_given_up || one.absent_looks >= ABSENT_LOOKS_MAX;
                    one.absent_looks = 0;
                    one.known_end = end.unwrap_or(one.known_end);
                }
                None => {
                    one.absent_looks = one.absent_looks.saturating_add(1);
                    if one.absent_looks == ABSENT_LOOKS_MAX && change.gone.is_none() {
                        change.gone = Some((one.place.clone(), one.next));
                    }
                }
            }
        }
        change
    }

    /// True if the next slice has a partition that may have no record.
    pub(super) fn are_rewound(&self) -> bool {
        self.all.iter().any(|one| one.is_rewound)
    }

    /// Takes the ranges that were read since the last call.
    pub(super) fn take(&mut self) -> Spans {
        let moved = self.all.iter_mut().filter(|one| one.next > one.taken || one.is_rewound);
        let spans = moved.map(|one| {
            let span = Span { from: one.taken, to: one.next };
            one.taken = one.next;
            one.is_rewound = false;
            (one.place.clone(), span)
        });
        spans.collect()
    }

    /// Marks ranges as committed to the table. Returns the offsets to commit to the consumer group.
    pub(super) fn acknowledge(&mut self, spans: &Spans) -> Offsets {
        for (place, span) in spans {
            if let Some(one) = self.get_mut(place) {
                one.acknowledged = Some(span.to);
            }
        }
        self.uncommitted()
    }

    /// The offsets that are not yet committed to the consumer group. If all slices of a partition are in the table, the offset is
    /// after the transaction markers too, which no slice has.
    pub(super) fn uncommitted(&mut self) -> Offsets {
        let mut offsets = Offsets::new();
        for one in &mut self.all {
            let Some(acknowledged) = one.acknowledged else { continue };
            let done = if acknowledged == one.taken { one.next } else { acknowledged };
            if one.committed != Some(done) {
                one.committed = Some(done);
                offsets.insert(one.place.clone(), done);
            }
        }
        offsets
    }

    pub(super) fn lag(&self) -> Vec<Lag> {
        let lag =
            |one: &Progress| Lag { partition: one.place.to_string(), records: Some(one.lag_records()), behind: None };
        self.all.iter().map(lag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: i32) -> TopicPartition {
        TopicPartition::new("pins", partition)
    }

    fn partitions() -> Partitions {
        let mut partitions = Partitions::default();
        partitions.add(place(0), 10, 20, None);
        partitions.add(place(1), 0, 0, None);
        partitions
    }

    #[test]
    fn ranges_have_no_holes_between_them_and_include_markers() {
        let mut partitions = partitions();
        partitions.get_mut(&place(0)).unwrap().passes(15);
        assert_eq!(partitions.take(), Spans::from([(place(0), Span { from: 10, to: 15 })]));
        assert_eq!(partitions.take(), Spans::new());
        // Two markers, then a record.
        partitions.get_mut(&place(0)).unwrap().passes(17);
        partitions.get_mut(&place(0)).unwrap().passes(18);
        assert_eq!(partitions.take(), Spans::from([(place(0), Span { from: 15, to: 18 })]));
        assert_eq!(partitions.lag()[0].records, Some(2));
        assert!(partitions.are_behind());
    }

    #[test]
    fn markers_are_committed_to_the_group_only_after_all_records_before_them() {
        let mut partitions = partitions();
        partitions.get_mut(&place(0)).unwrap().passes(15);
        let first = partitions.take();
        partitions.get_mut(&place(0)).unwrap().passes(18);
        let second = partitions.take();
        partitions.get_mut(&place(0)).unwrap().passes(20); // markers
        assert_eq!(partitions.acknowledge(&first), Offsets::from([(place(0), 15)]));
        assert_eq!(partitions.acknowledge(&second), Offsets::from([(place(0), 20)]));
        assert_eq!(partitions.uncommitted(), Offsets::new());
        partitions.get_mut(&place(0)).unwrap().passes(22); // more markers
        assert_eq!(partitions.uncommitted(), Offsets::from([(place(0), 22)]));
    }

    #[test]
    fn a_rewound_partition_is_in_the_next_range_also_without_a_record() {
        let mut partitions = partitions();
        partitions.get_mut(&place(0)).unwrap().rewind(3);
        assert!(partitions.are_rewound());
        assert_eq!(partitions.take(), Spans::from([(place(0), Span { from: 3, to: 3 })]));
        assert!(!partitions.are_rewound());
        assert_eq!(partitions.take(), Spans::new());
    }

    #[test]
    fn a_partition_counts_as_deleted_after_several_listings_and_may_come_back() {
        let mut partitions = partitions();
        let without_zero = |place: &TopicPartition| (place.partition == 1).then_some(Some(7));
        assert!(partitions.look(without_zero).gone.is_none());
        assert!(partitions.look(without_zero).gone.is_none());
        assert_eq!(partitions.look(without_zero).gone, Some((place(0), 10)));
        assert!(partitions.look(without_zero).gone.is_none());
        assert_eq!(partitions.unfinished(), Offsets::from([(place(1), 0)]));
        assert!(partitions.look(|_| Some(None)).is_back);
        assert_eq!(partitions.unfinished().len(), 2);
        assert_eq!(partitions.lag()[1].records, Some(7));
    }
}
