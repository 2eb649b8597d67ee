//! The objects of a sink, read only by their names and bytes, and the rules that they must follow.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::kafka::Kafka;
use crate::raw;
use crate::s3::S3Server;

/// Objects by name, relative to the parent of the topics folder: `topics/pins/partition=0/pins+0+0000000000.json`.
pub(crate) type Objects = BTreeMap<String, Vec<u8>>;

pub(crate) fn objects_in_folder(folder: &Path) -> Objects {
    if !folder.exists() {
        return Objects::new();
    }
    let name = |file: &Path| file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    // An incomplete file has another suffix.
    let files = raw::files(folder).into_iter().filter(|file| !name(file).contains('#'));
    files.map(|file| (name(&file), fs::read(&file).unwrap())).collect()
}

pub(crate) fn objects_in_s3(server: &S3Server, prefix: &str) -> Objects {
    let name = |key: &str| key.strip_prefix(prefix).unwrap().trim_start_matches('/').to_owned();
    server.keys(prefix).into_iter().map(|key| (name(&key), server.get(&key))).collect()
}

/// Splits a name into topic, partition and first offset.
fn parse(name: &str) -> (String, i64, i64) {
    let [dir, topic, partition, file] = name.split('/').collect::<Vec<_>>()[..] else { panic!("{name}") };
    assert_eq!(dir, "topics");
    let stem = file.split_once(".json").unwrap().0;
    let [of, number, offset] = stem.split('+').collect::<Vec<_>>()[..] else { panic!("{name}") };
    assert_eq!((of, format!("partition={number}").as_str()), (topic, partition), "{name}");
    assert_eq!(offset.len(), 10, "{name}");
    (topic.to_owned(), number.parse().unwrap(), offset.parse().unwrap())
}

fn lines(name: &str, content: &[u8]) -> Vec<String> {
    let mut text = String::new();
    match name.ends_with(".gz") {
        true => drop(GzDecoder::new(content).read_to_string(&mut text).unwrap()),
        false => drop({ content }.read_to_string(&mut text).unwrap()),
    }
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{name} is torn");
    text.lines().map(str::to_owned).collect()
}

/// Asserts that the objects have every JSON record of the topic once, in the order of offsets. The name of each object
/// has its first offset, and the next object starts where it ends. Returns the number of records.
pub(crate) fn assert_has_topic(objects: &Objects, kafka: &Kafka, topic: &str) -> usize {
    let answers = kafka.client(&json!([{"do": "read_all", "topic": topic}]));
    let mut expected: BTreeMap<i64, Vec<(i64, String)>> = BTreeMap::new();
    for record in answers[0].as_array().unwrap() {
        let value = record[3].as_str().unwrap();
        if serde_json::from_str::<Value>(value).is_ok() {
            let place = (record[0].as_i64().unwrap(), record[1].as_i64().unwrap());
            expected.entry(place.0).or_default().push((place.1, value.to_owned()));
        }
    }
    let mut found: BTreeMap<i64, Vec<(i64, String)>> = BTreeMap::new();
    for (name, content) in objects {
        let (of, partition, first_offset) = parse(name);
        assert_eq!(of, topic);
        let known = expected.get(&partition).unwrap_or_else(|| panic!("{name}: no such partition has a record"));
        let before = found.entry(partition).or_default();
        let lines = lines(name, content);
        let at = before.len();
        assert_eq!(known.get(at).map(|record| record.0), Some(first_offset), "{name} begins somewhere else");
        let offsets = known[at..].iter().map(|record| record.0);
        before.extend(offsets.zip(lines.iter().cloned()));
        assert_eq!(before.len(), at + lines.len(), "{name} has more than there is");
    }
    for (partition, records) in &expected {
        let found = found.get(partition).map_or(&[][..], Vec::as_slice);
        assert_eq!(found.len(), records.len(), "partition {partition}");
        let wrong = found.iter().zip(records).find(|(found, sent)| found != sent);
        assert_eq!(wrong, None, "partition {partition}");
    }
    expected.values().map(Vec::len).sum()
}

/// Asserts that existing objects did not change by a byte.
pub(crate) fn assert_only_more(before: &Objects, now: &Objects) {
    for (name, content) in before {
        let now = now.get(name).unwrap_or_else(|| panic!("{name} is gone"));
        assert!(now == content, "{name} is another object now");
    }
}
