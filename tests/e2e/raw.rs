//! Raw records in the layout of the pipeline's connector: `topics/<topic>/partition=<n>/<topic>+<n>+<offset>.json`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::{TestEnvironment, repository};

const PARTITIONS: usize = 3;

/// Real records, one per object: those next to the repository if they exist, otherwise the example data.
pub(crate) fn real(environment: &TestEnvironment) -> PathBuf {
    let records = repository().join("../shared/realdata");
    let folder = environment.path("raw");
    for topic in ["pin", "geo", "user"] {
        match fs::read_to_string(records.join(format!("{topic}.ndjson"))) {
            Ok(lines) => lay(&folder, &format!("real.{topic}"), lines.lines().map(str::as_bytes)),
            Err(_) => return repository().join("examples/data"),
        }
    }
    folder
}

/// The example data in the repository: some hundred records per topic. Some are duplicates, some are broken.
pub(crate) fn examples() -> PathBuf {
    repository().join("examples/data")
}

/// Writes each record as a separate object.
pub(crate) fn lay<'a>(folder: &Path, topic: &str, records: impl IntoIterator<Item = &'a [u8]>) {
    for (index, record) in records.into_iter().enumerate() {
        let (partition, offset) = (index % PARTITIONS, index / PARTITIONS);
        let parent = folder.join(format!("topics/{topic}/partition={partition}"));
        if offset == 0 {
            fs::create_dir_all(&parent).unwrap();
        }
        fs::write(parent.join(format!("{topic}+{partition}+{offset:010}.json")), record).unwrap();
    }
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Returns `count` small records `{"id": n, "payload": "…"}` with ids from `first`, as the lines of one file.
pub(crate) fn numbered(first: u64, count: u64) -> String {
    (first..first + count).map(|id| format!("{{\"id\": {id}, \"payload\": \"payload of record {id}\"}}\n")).collect()
}
