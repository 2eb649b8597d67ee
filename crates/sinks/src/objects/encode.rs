//! Turns the rows of a batch into objects, with names and optional compression. The lines of an object are in the order of their
//! offsets.
//!
//! Rows may come from several partitions of the plan, and with the partitions of the topic in any order. But the rows of one
//! partition of the topic within one batch must be in order. The offset of a row decides its object.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

use arrow::array::{Array, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use bytes::Bytes;
use flate2::{Compression as Level, GzBuilder};

use super::options::{Compression, Definition};
use pinsql_base::error::{Error, Result};
use pinsql_sources::stream::PartitionSpan;

/// The default of gzip. It must not change, so that the bytes of an object are always the same.
const GZIP_LEVEL: u32 = 6;

/// An object that is not written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The name relative to the destination.
    pub name: String,
    /// The content, compressed if the sink compresses.
    pub content: Bytes,
    /// The number of records in it.
    pub records: u64,
}

/// The columns of a batch: the line, and the topic, partition and offset of its record.
struct Rows<'a> {
    lines: &'a BinaryArray,
    topics: &'a StringArray,
    partitions: &'a Int32Array,
    offsets: &'a Int64Array,
}

/// The index of a span, and the number of the object in the span.
type ObjectIndex = (usize, usize);

/// Rows of one batch that belong to one object.
#[derive(Debug)]
struct Piece {
    first_offset: i64,
    batch: usize,
    rows: Vec<usize>,
}

/// Makes the objects of `batches`, whose records are in `spans`. An object without rows is not made. Fails, as a fault of pinsql,
/// if rows are out of order or outside of the spans.
pub fn encode(definition: &Definition, spans: &[PartitionSpan], batches: &[RecordBatch]) -> Result<Vec<Object>> {
    let batches = batches.iter().map(Rows::of).collect::<Result<Vec<_>>>()?;
    let objects = place(spans, &batches)?;
    let objects = objects.into_iter().map(|((span, _), mut pieces)| {
        pieces.sort_by_key(|piece| piece.first_offset);
        object(definition, &spans[span], &pieces, &batches)
    });
    objects.collect()
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        let columns = || {
            let [lines, topics, partitions, offsets] = batch.columns() else { return None };
            Some(Self {
                lines: lines.as_binary_opt()?,
                topics: topics.as_string_opt()?,
                partitions: partitions.as_primitive_opt::<Int32Type>()?,
                offsets: offsets.as_primitive_opt::<Int64Type>()?,
            })
        };
        columns().ok_or_else(|| Error::internal("a sink's rows have other columns than its objects need"))
    }
}

fn place(spans: &[PartitionSpan], batches: &[Rows<'_>]) -> Result<BTreeMap<ObjectIndex, Vec<Piece>>> {
    let by_name: HashMap<(&str, i32), usize> = spans
        .iter()
        .enumerate()
        .map(|(index, span)| ((span.name.topic.as_ref(), span.name.partition), index))
        .collect();
    let mut objects: BTreeMap<ObjectIndex, Vec<Piece>> = BTreeMap::new();
    for (at, batch) in batches.iter().enumerate() {
        let mut pieces: HashMap<ObjectIndex, Piece> = HashMap::new();
        for row in 0..batch.lines.len() {
            let (topic, partition, offset) =
                (batch.topics.value(row), batch.partitions.value(row), batch.offsets.value(row));
            let span = by_name.get(&(topic, partition)).copied();
            let span = span.filter(|span| (spans[*span].from..spans[*span].to).contains(&offset));
            let span = span.ok_or_else(|| {
                Error::internal(format!("the record {topic}-{partition}, offset {offset} is in no object's range"))
            })?;
            let number = spans[span].cuts.partition_point(|cut| *cut <= offset);
            let piece = pieces.entry((span, number)).or_insert_with(|| Piece {
                first_offset: offset,
                batch: at,
                rows: Vec::new(),
            });
            piece.rows.push(row);
        }
        pieces.into_iter().for_each(|(object, piece)| objects.entry(object).or_default().push(piece));
    }
    Ok(objects)
}

fn object(definition: &Definition, span: &PartitionSpan, pieces: &[Piece], batches: &[Rows<'_>]) -> Result<Object> {
    let rows = || pieces.iter().flat_map(|piece| piece.rows.iter().map(|row| (&batches[piece.batch], *row)));
    let length = rows().map(|(batch, row)| batch.lines.value(row).len() + 1).sum();
    let mut content = Vec::with_capacity(length);
    let (mut last, mut first, mut records) = (None, 0, 0);
    for (batch, row) in rows() {
        let offset = batch.offsets.value(row);
        if last.is_some_and(|last| last >= offset) {
            return Err(Error::internal(format!("the records of {} came out of order at offset {offset}", span.name)));
        }
        if last.is_none() {
            first = offset;
        }
        last = Some(offset);
        content.extend_from_slice(batch.lines.value(row));
        content.push(b'\n');
        records += 1;
    }
    let content = match definition.compression {
        Compression::None => content,
        Compression::Gzip => gzip(&content)?,
    };
    Ok(Object { name: name(definition, span, first), content: content.into(), records })
}

/// `topics/pins/partition=0/pins+0+0000000017.json`
fn name(definition: &Definition, span: &PartitionSpan, first_offset: i64) -> String {
    let (topic, partition) = (&span.name.topic, span.name.partition);
    let Definition { topics_dir, .. } = definition;
    let suffix = definition.suffix();
    format!("{topics_dir}/{topic}/partition={partition}/{topic}+{partition}+{first_offset:010}{suffix}")
}

/// Without name and time, so that the same content gives the same bytes.
fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let failed = |error| Error::internal("an object cannot be compressed").caused_by(error);
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Level::new(GZIP_LEVEL));
    encoder.write_all(content).map_err(failed)?;
    encoder.finish().map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use super::*;
    use pinsql_sources::stream::PartitionName;

    fn definition(compression: Compression) -> Definition {
        let definition = Definition::parse("s3://b", &[]).unwrap();
        Definition { compression, ..definition }
    }

    fn span(topic: &str, partition: i32, from: i64, to: i64, cuts: &[i64]) -> PartitionSpan {
        let name = PartitionName { topic: topic.into(), partition };
        PartitionSpan { name, topic_id: None, from, to, cuts: cuts.to_vec() }
    }

    fn batch(rows: &[(&str, &str, i32, i64)]) -> RecordBatch {
        let lines = BinaryArray::from_iter_values(rows.iter().map(|row| row.0.as_bytes()));
        let topics = StringArray::from_iter_values(rows.iter().map(|row| row.1));
        let partitions = Int32Array::from_iter_values(rows.iter().map(|row| row.2));
        let offsets = Int64Array::from_iter_values(rows.iter().map(|row| row.3));
        RecordBatch::try_from_iter([
            ("value", Arc::new(lines) as Arc<dyn Array>),
            ("topic", Arc::new(topics)),
            ("partition", Arc::new(partitions)),
            ("offset", Arc::new(offsets)),
        ])
        .unwrap()
    }

    fn encoded(spans: &[PartitionSpan], batches: &[RecordBatch]) -> Vec<(String, String)> {
        let objects = encode(&definition(Compression::None), spans, batches).unwrap();
        objects.into_iter().map(|object| (object.name, String::from_utf8(object.content.to_vec()).unwrap())).collect()
    }

    #[test]
    fn mixed_rows_are_assigned_to_their_objects() {
        let spans = [span("pins", 0, 10, 16, &[12, 14]), span("pins", 1, 0, 5, &[])];
        let late = batch(&[("e", "pins", 0, 13), ("x", "pins", 1, 3), ("f", "pins", 0, 15)]);
        let early = batch(&[("a", "pins", 0, 10), ("w", "pins", 1, 0), ("b", "pins", 0, 11), ("d", "pins", 0, 12)]);
        let expected = [
            ("topics/pins/partition=0/pins+0+0000000010.json", "a\nb\n"),
            ("topics/pins/partition=0/pins+0+0000000012.json", "d\ne\n"),
            ("topics/pins/partition=0/pins+0+0000000015.json", "f\n"),
            ("topics/pins/partition=1/pins+1+0000000000.json", "w\nx\n"),
        ];
        let expected = expected.map(|(name, content)| (name.to_owned(), content.to_owned()));
        assert_eq!(encoded(&spans, &[late.clone(), early.clone()]), expected);
        assert_eq!(encoded(&spans, &[early, late]), expected);
    }

    #[test]
    fn an_object_is_named_after_its_first_record_and_is_not_made_without_records() {
        let spans = [span("pins", 0, 10, 20, &[15])];
        let left = batch(&[("a", "pins", 0, 12)]);
        assert_eq!(encoded(&spans, &[left])[0].0, "topics/pins/partition=0/pins+0+0000000012.json");
        assert_eq!(encoded(&spans, &[]), []);
    }

    #[test]
    fn rows_out_of_order_or_range_are_a_fault() {
        let spans = [span("pins", 0, 10, 20, &[])];
        let fails = |rows: &[(&str, &str, i32, i64)]| {
            encode(&definition(Compression::None), &spans, &[batch(rows)]).unwrap_err().message
        };
        assert!(fails(&[("a", "pins", 0, 12), ("b", "pins", 0, 12)]).contains("out of order"));
        assert!(fails(&[("a", "pins", 0, 20)]).contains("no object's range"));
        assert!(fails(&[("a", "pins", 7, 12)]).contains("no object's range"));
    }

    #[test]
    fn compressed_objects_have_the_same_bytes_each_time() {
        let spans = [span("pins", 0, 0, 9, &[])];
        let rows: Vec<_> = (0..9).map(|offset| ("{\"a\": 1}", "pins", 0, offset)).collect();
        let object = |batches: &[RecordBatch]| encode(&definition(Compression::Gzip), &spans, batches).unwrap();
        let whole = object(&[batch(&rows)]);
        assert_eq!(object(&[batch(&rows[..4]), batch(&rows[4..])]), whole);
        assert_eq!(whole[0].name, "topics/pins/partition=0/pins+0+0000000000.json.gz");
        // No time (bytes 4 to 7), no name (a flag in byte 3).
        assert_eq!(whole[0].content[3..8], [0; 5]);
        let mut plain = String::new();
        flate2::read::GzDecoder::new(whole[0].content.as_ref()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, "{\"a\": 1}\n".repeat(9));
    }
}
