//! Tests which records a file gets, and when it is closed.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use serde_json::json;

use super::*;
use pinsql_sources::stream::SliceRange;

/// A record has ten bytes, and its batch has only topic, partition and offset.
#[derive(Debug)]
struct TenBytes;

impl Partitioning for TenBytes {
    fn split(&self, range: &SliceRange) -> Result<Vec<PartitionSpan>> {
        let spans = range.0.as_array().unwrap().iter().map(|span| {
            let number = |at: usize| span[at].as_i64().unwrap();
            PartitionSpan {
                name: name(number(0) as i32),
                topic_id: None,
                from: number(1),
                to: number(2),
                cuts: Vec::new(),
            }
        });
        Ok(spans.collect())
    }

    fn join(&self, _spans: &[PartitionSpan]) -> Result<SliceRange> {
        unreachable!("files do not join spans")
    }

    fn columns(&self) -> [usize; 3] {
        [0, 1, 2]
    }

    fn size_bytes(&self, _batch: &RecordBatch, _row: usize) -> u64 {
        10
    }
}

fn name(partition: i32) -> PartitionName {
    PartitionName { topic: "pins".into(), partition }
}

fn files(rotation: Rotation) -> Files {
    Files::new(Arc::new(TenBytes), rotation, u64::MAX)
}

fn rotation(records_max: u64) -> Rotation {
    Rotation { records_max, ..Rotation::default() }
}

/// A slice of (partition, offset), with spans of (partition, from, to).
fn slice(rows: &[(i32, i64)], spans: serde_json::Value, gaps: Vec<Gap>) -> Slice {
    let topics = StringArray::from_iter_values(rows.iter().map(|_| "pins"));
    let partitions = Int32Array::from_iter_values(rows.iter().map(|row| row.0));
    let offsets = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
    let batch = RecordBatch::try_from_iter([
        ("topic", Arc::new(topics) as Arc<dyn Array>),
        ("partition", Arc::new(partitions)),
        ("offset", Arc::new(offsets)),
    ]);
    Slice { range: SliceRange(spans), content: Content::Rows(vec![batch.unwrap()]), gaps, more: false }
}

/// The span of a partition: from, to, and the cuts.
type Span = (i32, i64, i64, Vec<i64>);

/// The result of `take`: the span of each partition, and then all offsets in order.
fn taken(files: &mut Files) -> Option<(Vec<Span>, Vec<i64>)> {
    let taken = files.take(u64::MAX, usize::MAX)?;
    let spans = taken.spans.into_iter().map(|span| (span.name.partition, span.from, span.to, span.cuts));
    let offsets = taken.rows.iter().flat_map(|batch| batch.column(2).as_primitive::<Int64Type>().values().to_vec());
    Some((spans.collect(), offsets.collect()))
}

#[test]
fn a_full_file_is_closed_and_the_rest_starts_another_one() {
    let mut files = files(rotation(3));
    let rows: Vec<(i32, i64)> = (0..8).map(|offset| (0, offset)).chain([(1, 5)]).collect();
    files.add(slice(&rows, json!([[0, 0, 8], [1, 4, 6]]), Vec::new()), Instant::now()).unwrap();
    assert_eq!(taken(&mut files), Some((vec![(0, 0, 6, vec![3])], vec![0, 1, 2, 3, 4, 5])));
    assert_eq!(taken(&mut files), None);
    files.add(slice(&[(0, 8), (0, 9)], json!([[0, 8, 12]]), Vec::new()), Instant::now()).unwrap();
    // Offsets after its last record belong to the next file.
    assert_eq!(taken(&mut files), Some((vec![(0, 6, 9, vec![])], vec![6, 7, 8])));
    files.close_all();
    assert_eq!(taken(&mut files), Some((vec![(0, 9, 12, vec![]), (1, 4, 6, vec![])], vec![9, 5])));
}

#[test]
fn a_file_is_closed_before_the_record_that_exceeds_its_size() {
    let mut files = files(Rotation { bytes_max: 25, ..rotation(100) });
    files.add(slice(&[(0, 0), (0, 3), (0, 7)], json!([[0, 0, 8]]), Vec::new()), Instant::now()).unwrap();
    assert_eq!(taken(&mut files), Some((vec![(0, 0, 7, vec![])], vec![0, 3])));
    let mut small = self::files(Rotation { bytes_max: 5, ..rotation(100) });
    small.add(slice(&[(0, 0), (0, 1)], json!([[0, 0, 2]]), Vec::new()), Instant::now()).unwrap();
    assert_eq!(taken(&mut small), Some((vec![(0, 0, 2, vec![1])], vec![0, 1])), "a record larger than the size");
}

#[test]
fn an_old_file_is_closed_and_its_age_counts_from_its_first_record() {
    let mut files = files(rotation(100));
    let start = Instant::now();
    files.add(slice(&[], json!([[0, 0, 2]]), Vec::new()), start).unwrap();
    assert_eq!(files.due(), None, "a marker is no record");
    let later = start + Duration::from_secs(10);
    files.add(slice(&[(0, 2)], json!([[0, 2, 3]]), Vec::new()), later).unwrap();
    files.add(slice(&[(0, 3)], json!([[0, 3, 4]]), Vec::new()), later + Duration::from_secs(30)).unwrap();
    assert_eq!(files.due(), Some(later + Duration::from_secs(60)));
    files.close_due(later + Duration::from_secs(59));
    assert_eq!(taken(&mut files), None);
    files.close_due(later + Duration::from_secs(60));
    assert_eq!(taken(&mut files), Some((vec![(0, 0, 4, vec![])], vec![2, 3])));
}

#[test]
fn the_largest_files_are_closed_while_too_much_memory_is_used() {
    let mut files = files(rotation(1_000_000));
    let rows: Vec<(i32, i64)> = (0..5_000).map(|offset| (0, offset)).chain([(1, 0)]).collect();
    files.add(slice(&rows, json!([[0, 0, 5_000], [1, 0, 1]]), Vec::new()), Instant::now()).unwrap();
    files.held_bytes_max = files.held_bytes() + 1;
    files.close_due(Instant::now());
    assert!(!files.has_closed());
    files.held_bytes_max -= 1;
    assert!(files.is_due(Instant::now()));
    files.close_due(Instant::now());
    let (spans, _) = taken(&mut files).unwrap();
    assert_eq!(spans, [(0, 0, 5_000, vec![])], "the small one stays open");
    assert!(files.held_bytes() < files.held_bytes_max / 2);
}

#[test]
fn no_object_and_no_batch_spans_a_gap() {
    let gap = Gap {
        partition: "pins-0".into(),
        after: "1".into(),
        before: "50".into(),
        records: Some(48),
        seconds: None,
        note: None,
    };
    let mut files = files(rotation(100));
    files.add(slice(&[(0, 0), (0, 1)], json!([[0, 0, 2]]), Vec::new()), Instant::now()).unwrap();
    files.add(slice(&[(0, 50)], json!([[0, 50, 51]]), vec![gap.clone()]), Instant::now()).unwrap();
    files.close_all();
    let before = files.take(u64::MAX, usize::MAX).unwrap();
    assert_eq!((before.spans[0].from, before.spans[0].to, before.gaps), (0, 2, Vec::new()));
    let behind = files.take(u64::MAX, usize::MAX).unwrap();
    assert_eq!((behind.spans[0].from, behind.spans[0].to, behind.gaps), (50, 51, vec![gap]));
}

#[test]
fn a_batch_takes_files_only_up_to_its_limits() {
    let mut files = files(rotation(1));
    let rows: Vec<(i32, i64)> = (0..5).map(|offset| (0, offset)).collect();
    files.add(slice(&rows, json!([[0, 0, 5]]), Vec::new()), Instant::now()).unwrap();
    assert_eq!(files.waiting().map(|(_, records)| records).sum::<u64>(), 5);
    assert_eq!(files.take(u64::MAX, 2).unwrap().spans[0].cuts, [1]);
    assert_eq!(files.take(25, usize::MAX).unwrap().spans[0].to, 4);
    assert_eq!(files.take(1, usize::MAX).unwrap().spans[0].to, 5, "one file is taken even if it is too large");
}

#[test]
fn small_batches_are_concatenated() {
    let mut files = files(rotation(1_000));
    for offset in 0..200 {
        files.add(slice(&[(0, offset)], json!([[0, offset, offset + 1]]), Vec::new()), Instant::now()).unwrap();
    }
    files.close_all();
    let taken = files.take(u64::MAX, usize::MAX).unwrap();
    assert!(taken.rows.len() <= BATCHES_MAX, "{}", taken.rows.len());
    assert_eq!(taken.rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 200);
}
