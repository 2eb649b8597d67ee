//! Distributes objects over partitions.
//!
//! A topic often has thousands of objects with one record each, and sometimes one object of gigabytes. So the unit of work is a
//! [`Bundle`], a sequence of pieces in the order of their paths. A bundle has many small objects, so that they are fetched
//! together. A large plain object is cut into byte ranges, so that every core reads a part of it. Compressed objects and
//! documents that span lines cannot be cut.

use std::ops::Range;
use std::sync::Arc;

use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use object_store::ObjectMeta;
use object_store::path::Path;

/// An object and its compression.
#[derive(Debug, Clone)]
pub(super) struct DataObject {
    pub meta: ObjectMeta,
    pub compression: FileCompressionType,
}

/// The part of an object that one bundle reads: the records that start within `range`, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub object: Arc<DataObject>,
    pub range: Range<u64>,
}

/// The pieces to read, as the typed extension of a `PartitionedFile`.
#[derive(Debug, Clone)]
pub(super) struct Bundle(pub Arc<[Piece]>);

#[derive(Debug, Clone)]
pub(super) struct Packing {
    pub target_partitions: usize,
    /// A plain object larger than this is cut, if its records allow it.
    pub split_bytes_min: u64,
    /// The approximate size of a bundle, so that a partition that finishes early can take another one.
    pub bundle_bytes_max: u64,
}

impl Packing {
    pub(super) fn new(target_partitions: usize) -> Self {
        Self { target_partitions: target_partitions.max(1), split_bytes_min: 8 << 20, bundle_bytes_max: 128 << 20 }
    }
}

/// The cost of opening an object, as the number of bytes that could be read in the same time.
const OPENING_COST_BYTES: u64 = 64 << 10;

fn cost_bytes(piece: &Piece) -> u64 {
    OPENING_COST_BYTES + piece.range.end - piece.range.start
}

/// The bundles, in path order, in at most `target_partitions` groups. Empty objects have no record and are left out.
pub(super) fn pack(objects: &[Arc<DataObject>], packing: &Packing, splittable: bool) -> Vec<FileGroup> {
    let partitions = packing.target_partitions as u64;
    let total_bytes: u64 = objects.iter().map(|object| object.meta.size).sum();
    let split_bytes =
        total_bytes.div_ceil(partitions).clamp(packing.split_bytes_min.max(1), packing.bundle_bytes_max.max(1));
    let mut pieces: Vec<Piece> = Vec::with_capacity(objects.len());
    for object in objects {
        let parts = match object.meta.size {
            0 => 0,
            size if splittable && !object.compression.is_compressed() => size.div_ceil(split_bytes),
            _ => 1,
        };
        let cut = |part: u64| (u128::from(object.meta.size) * u128::from(part) / u128::from(parts.max(1))) as u64;
        pieces.extend((0..parts).map(|part| Piece { object: object.clone(), range: cut(part)..cut(part + 1) }));
    }
    group(&pieces, packing)
}

fn group(pieces: &[Piece], packing: &Packing) -> Vec<FileGroup> {
    let partitions = packing.target_partitions as u64;
    let total: u64 = pieces.iter().map(cost_bytes).sum();
    let share = total.div_ceil(partitions).min(packing.bundle_bytes_max).max(1);
    let mut groups: Vec<Vec<PartitionedFile>> = vec![vec![]; packing.target_partitions];
    let mut done = 0;
    let mut start = 0;
    while start < pieces.len() {
        let mut cost = 0;
        let mut end = start;
        // A piece that crosses the limit of the share belongs to the side with the larger part of it.
        while end < pieces.len() && (end == start || cost + cost_bytes(&pieces[end]) / 2 <= share) {
            cost += cost_bytes(&pieces[end]);
            end += 1;
        }
        let middle = u128::from(done) + u128::from(cost / 2);
        let group = (middle * u128::from(partitions) / u128::from(total.max(1))) as usize;
        groups[group.min(packing.target_partitions - 1)].push(bundle_file(&pieces[start..end]));
        done += cost;
        start = end;
    }
    groups.into_iter().filter(|files| !files.is_empty()).map(FileGroup::new).collect()
}

/// A bundle as a file of DataFusion. The name is only for `EXPLAIN`; the extension has what is read.
fn bundle_file(pieces: &[Piece]) -> PartitionedFile {
    let first = &pieces[0];
    let location = match pieces.len() {
        1 => first.object.meta.location.clone(),
        count => Path::from(format!("{} and {} more", first.object.meta.location, count - 1)),
    };
    let size = pieces.iter().map(|piece| piece.range.end - piece.range.start).sum();
    let meta = ObjectMeta { location, size, e_tag: None, version: None, ..first.object.meta.clone() };
    PartitionedFile::new_from_meta(meta).with_extension(Bundle(pieces.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(sizes_bytes: &[u64]) -> Vec<Arc<DataObject>> {
        let object = |(index, size): (usize, &u64)| {
            let mut meta = PartitionedFile::new(format!("o{index:04}"), *size).object_meta;
            meta.size = *size;
            Arc::new(DataObject { meta, compression: FileCompressionType::UNCOMPRESSED })
        };
        sizes_bytes.iter().enumerate().map(object).collect()
    }

    fn pieces(groups: &[FileGroup]) -> Vec<Vec<Piece>> {
        let of_file = |file: &PartitionedFile| file.extension::<Bundle>().unwrap().0.to_vec();
        groups.iter().map(|group| group.iter().flat_map(of_file).collect()).collect()
    }

    #[test]
    fn small_objects_share_bundles_evenly() {
        let groups = pack(&objects(&[1000; 2019]), &Packing::new(4), true);
        assert_eq!(groups.iter().map(FileGroup::len).collect::<Vec<_>>(), [1, 1, 1, 1]);
        let counts: Vec<usize> = pieces(&groups).iter().map(Vec::len).collect();
        assert_eq!(counts.iter().sum::<usize>(), 2019);
        assert!(counts.iter().all(|count| (504..=506).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_large_object_is_cut_without_gaps() {
        for partitions in 1..=8 {
            let groups = pack(&objects(&[10, 1 << 30, 0, 7]), &Packing::new(partitions), true);
            assert_eq!(groups.len(), partitions);
            let ranges: Vec<_> = pieces(&groups).concat();
            let large: Vec<_> = ranges.iter().filter(|piece| piece.object.meta.size == 1 << 30).collect();
            assert!(large.len() >= partitions);
            assert_eq!((large[0].range.start, large[large.len() - 1].range.end), (0, 1 << 30));
            assert!(large.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
            assert_eq!(ranges.len() - large.len(), 2, "the empty object is left out");
        }
    }

    #[test]
    fn objects_that_cannot_be_cut_stay_whole() {
        let groups = pack(&objects(&[1 << 30]), &Packing::new(4), false);
        assert!(pieces(&groups).concat().iter().all(|piece| piece.range == (0..1 << 30)));
        assert!(pack(&objects(&[0, 0]), &Packing::new(4), true).is_empty());
    }
}
