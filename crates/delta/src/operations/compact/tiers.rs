//! The choice of the files that compaction merges.
//!
//! As in a log-structured merge tree, files are sorted into classes. Each class is sixteen times as large as the one before it,
//! and sixteen files of a class make one file of the next class. So a row is rewritten once for each class, four or five times
//! until its file has the target size, however small the commits are. At most fifteen files of each class are left. The measure
//! is the number of rows: it adds up exactly, and the bytes of small files are mostly footers.
//!
//! A table that was never compacted has thousands of files in its lowest class. They are merged in one go.

use std::collections::BTreeMap;

use crate::table::live_files::SmallFile;

/// Files of a class that make one file of the next class.
const FAN_IN: usize = 16;
/// Files merged into one file at most.
const FILES_A_BIN_MAX: usize = 1_024;
/// Files made in one commit. A table can have thousands of partitions.
const BINS_A_COMMIT_MAX: usize = 64;
/// Bytes merged in one commit, as a multiple of the target size. This work is lost if another writer changes one of the files.
const TARGETS_A_COMMIT_MAX: u64 = 4;

/// Files of one partition that become one file.
pub(super) type Bin = Vec<SmallFile>;

/// The files to merge now, oldest first. Usually none.
pub(super) fn bins<'a>(files: impl Iterator<Item = &'a SmallFile>, target_bytes: u64) -> Vec<Bin> {
    let mut classes: BTreeMap<_, Vec<&SmallFile>> = BTreeMap::new();
    for file in files {
        classes.entry((&file.partition_values, class(file.rows))).or_default().push(file);
    }
    let mut budget_bytes = target_bytes.saturating_mul(TARGETS_A_COMMIT_MAX);
    let mut bins = Vec::new();
    for mut class in classes.into_values() {
        class.sort_by_key(|file| file.sequence);
        let mut rest = class.as_slice();
        while let Some(count) = first_bin(rest, target_bytes) {
            let (bin, behind) = rest.split_at(count);
            let bytes: u64 = bin.iter().map(|file| file.bytes).sum();
            if bytes > budget_bytes || bins.len() == BINS_A_COMMIT_MAX {
                return bins;
            }
            budget_bytes -= bytes;
            bins.push(bin.iter().copied().cloned().collect());
            rest = behind;
        }
    }
    bins
}

fn class(rows: u64) -> u32 {
    rows.max(1).ilog(FAN_IN as u64)
}

/// The number of the oldest files of a class to merge, if there are enough files.
fn first_bin(files: &[&SmallFile], target_bytes: u64) -> Option<usize> {
    let mut bytes = 0;
    let fitting = files.iter().take(FILES_A_BIN_MAX).take_while(|file| {
        bytes += file.bytes;
        bytes <= target_bytes
    });
    let count = fitting.count();
    let is_full = count < files.len();
    (count >= 2 && (count >= FAN_IN || is_full)).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(sequence: u64, rows: u64, bytes: u64, partition: &str) -> SmallFile {
        SmallFile {
            path: format!("{sequence}.parquet"),
            bytes,
            rows,
            partition_values: vec![("p".to_owned(), Some(partition.to_owned()))],
            sequence,
        }
    }

    fn sizes(files: &[SmallFile], target_bytes: u64) -> Vec<usize> {
        bins(files.iter(), target_bytes).iter().map(Vec::len).collect()
    }

    #[test]
    fn sixteen_of_a_class_and_a_partition_are_merged() {
        let mut files: Vec<_> = (0..15).map(|n| file(n, 1, 3_000, "a")).collect();
        files.push(file(15, 16, 3_500, "a"));
        files.push(file(16, 1, 3_000, "b"));
        assert_eq!(sizes(&files, 1 << 20), [0; 0], "fifteen, one of another class and one of another partition");
        files.push(file(17, 15, 3_500, "a"));
        let merged = bins(files.iter(), 1 << 20);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].iter().map(|file| file.sequence).collect::<Vec<_>>()[13..], [13, 14, 17]);
    }

    #[test]
    fn a_bin_is_full_at_the_target_size() {
        let files: Vec<_> = (0..7).map(|n| file(n, 1_000, 40, "a")).collect();
        assert_eq!(sizes(&files, 100), [2, 2, 2], "two of forty fit, and the last waits for its second");
        assert_eq!(sizes(&files, 300), [0; 0], "all would fit, and more will come");
    }

    #[test]
    fn a_neglected_table_is_merged_in_one_go_and_within_bounds() {
        let files: Vec<_> = (0..5_000).map(|n| file(n, 1, 100, "a")).collect();
        assert_eq!(sizes(&files, 1 << 20), [1_024, 1_024, 1_024, 1_024, 904]);
        assert_eq!(sizes(&files, 1_000), [10, 10, 10, 10], "at most four files of the target size in one commit");
    }

    /// A day of commits, one a second, of `rows` rows each: how often a row is rewritten, and the most files there are.
    fn a_day(rows: u64, bytes_a_row: u64, target_bytes: u64) -> (f64, usize) {
        let mut files: BTreeMap<u64, SmallFile> = BTreeMap::new();
        let (mut next, mut rewritten, mut files_max) = (0, 0, 0);
        for _ in 0..86_400 {
            files.insert(next, file(next, rows, 2_000 + rows * bytes_a_row, "a"));
            next += 1;
            let small = files.values().filter(|file| file.bytes < target_bytes / 2);
            for bin in bins(small, target_bytes) {
                let rows = bin.iter().map(|file| file.rows).sum::<u64>();
                bin.iter().for_each(|file| drop(files.remove(&file.sequence)));
                files.insert(next, file(next, rows, 2_000 + rows * bytes_a_row, "a"));
                next += 1;
                rewritten += rows;
            }
            files_max = files_max.max(files.len());
        }
        (rewritten as f64 / (86_400 * rows) as f64, files_max)
    }

    #[test]
    fn a_day_of_commits_rewrites_each_row_a_few_times() {
        for (rows, bytes_a_row) in [(1, 500), (20, 200), (1_000, 200)] {
            let (times, files_max) = a_day(rows, bytes_a_row, 128 << 20);
            assert!(times < 5.0, "{rows} rows a commit: each is rewritten {times} times");
            assert!(files_max < 300, "{rows} rows a commit: {files_max} files");
        }
    }
}
