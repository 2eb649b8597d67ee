//! How far each partition of a table has been read, given out, and put into the table.

use std::collections::HashMap;

use super::native::Message;
use super::offsets::{Offsets, Span, Spans, TopicPartition};
use crate::stream::Lag;

/// After how many looks at the topics a partition that is not seen any more is held to be gone. A broker that has just
/// started may not know of all partitions yet.
const ABSENT_LOOKS_MAX: u32 = 3;

#[derive(Debug)]
pub(super) struct Progress {
    pub(super) place: TopicPartition,
    /// The offset that comes next. Behind the last record it stands behind the transactions' markers that follow it.
    pub(super) next: i64,
    /// Up to where slices were given out.
    taken: i64,
    /// Up to where the table has it, as far as this reader was told.
    acknowledged: Option<i64>,
    /// What the consumer group was told.
    committed: Option<i64>,
    /// Where reading ends, if it does.
    pub(super) end: Option<i64>,
    /// The end that the brokers named last.
    known_end: i64,
    absent_looks: u32,
    /// librdkafka gave it up, and reading it needs a new connection.
    is_given_up: bool,
}

impl Progress {
    pub(super) fn is_finished(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// Reading goes on somewhere else, without having read what lies between.
    pub(super) fn jump(&mut self, next: i64) {
        self.next = next;
        self.taken = next;
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

/// What a look at the topics means for the partitions that are read.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) is_back: bool,
    /// The first partition that is gone.
    pub(super) gone: Option<(TopicPartition, i64)>,
}

/// The partitions of a table.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    all: Vec<Progress>,
    by_place: HashMap<TopicPartition, usize>,
    /// The last message's topic, partition and index: messages come in runs.
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

    /// Topics have other identities in a new connection.
    pub(super) fn forget_identities(&mut self) {
        self.last = None;
    }

    /// Where the partitions that are still read go on.
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

    /// Whether the brokers have more than was read, as far as is known.
    pub(super) fn are_behind(&self) -> bool {
        self.all.iter().any(|one| one.next < one.known_end && !one.is_finished())
    }

    /// Takes in a look at the topics: `end_of` gives what was seen of a partition that is there.
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

    /// Gives out what was read since the last time.
    pub(super) fn take(&mut self) -> Spans {
        let moved = self.all.iter_mut().filter(|one| one.next > one.taken);
        let spans = moved.map(|one| {
            let span = Span { from: one.taken, to: one.next };
            one.taken = one.next;
            (one.place.clone(), span)
        });
        spans.collect()
    }

    /// Notes what is in the table, and gives what the consumer group has to be told.
    pub(super) fn acknowledge(&mut self, spans: &Spans) -> Offsets {
        for (place, span) in spans {
            if let Some(one) = self.get_mut(place) {
                one.acknowledged = Some(span.to);
            }
        }
        self.uncommitted()
    }

    /// What the consumer group has not been told yet. When all that was given out is in the table, that includes the
    /// markers behind it, which no slice will ever hold.
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
    fn ranges_follow_one_another_and_hold_the_markers_between() {
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
    fn the_group_is_told_of_markers_only_when_all_before_them_is_in_the_table() {
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
    fn a_partition_is_gone_only_after_several_looks_and_may_come_back() {
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
