//! The output of the generator never changes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use super::{BadKinds, Kind, Messages, Population, Random, Recipe, Topic};

const RECIPE: Recipe = Recipe {
    seed: 100,
    population: Population { records: 100, people: 100 },
    duplicates_percent: 5.0,
    bad_percent: 5.0,
    bad_kinds: BadKinds::All,
};

fn take(recipe: Recipe, topic: Topic, records: u64, mut with: impl FnMut(Kind, &[u8], &mut Random)) {
    let mut messages = Messages::new(topic, recipe);
    for _ in 0..records {
        let Ok(()) = messages.next::<Infallible>(|kind, message, random| {
            with(kind, message, random);
            Ok(())
        });
    }
}

fn messages(recipe: Recipe, topic: Topic, records: u64) -> Vec<(Kind, Vec<u8>)> {
    let mut all = Vec::new();
    take(recipe, topic, records, |kind, message, _| all.push((kind, message.to_vec())));
    all
}

/// The content of all objects of a partition, in the order of their names. That is also the order of their offsets.
fn contents(folder: &Path) -> Vec<u8> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().flat_map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn the_example_data_comes_out_byte_for_byte() {
    for topic in Topic::ALL {
        let mut partitions: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        take(RECIPE, topic, 100, |_, message, random| {
            let partition = partitions.entry(random.below(3)).or_default();
            partition.extend_from_slice(message);
            partition.push(b'\n');
        });
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/data/topics/example.{}", topic.name()));
        assert_eq!(partitions.len(), 3);
        for (partition, made) in partitions {
            let kept = contents(&folder.join(format!("partition={partition}")));
            assert!(made == kept, "partition {partition} of {} differs", topic.name());
        }
    }
}

#[test]
fn a_seed_gives_the_same_messages_and_another_gives_others() {
    for topic in Topic::ALL {
        let first = messages(RECIPE, topic, 500);
        assert_eq!(first, messages(RECIPE, topic, 500));
        assert_ne!(first, messages(Recipe { seed: 101, ..RECIPE }, topic, 500));
    }
}

#[test]
fn shares_are_kept_and_indexes_do_not_repeat() {
    let recipe = Recipe { population: Population { records: 1 << 28, people: 1_000 }, ..RECIPE };
    let all = messages(recipe, Topic::Geo, 2_000);
    let count = |wanted| all.iter().filter(|(kind, _)| *kind == wanted).count();
    assert_eq!((count(Kind::Record), count(Kind::Duplicate), count(Kind::Bad)), (2_000, 100, 100));
    let records = all.iter().filter(|(kind, _)| *kind == Kind::Record);
    let mut indexes: Vec<u64> = records
        .map(|(_, message)| serde_json::from_slice::<serde_json::Value>(message).unwrap()["ind"].as_u64().unwrap())
        .collect();
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len(), 2_000);
    assert!(indexes.iter().all(|index| i32::try_from(*index).is_ok()));
}

#[test]
fn malformed_messages_for_an_api_are_objects() {
    let recipe = Recipe { bad_percent: 100.0, bad_kinds: BadKinds::Objects, ..RECIPE };
    for topic in Topic::ALL {
        let all = messages(recipe, topic, 50);
        let bad: Vec<_> = all.iter().filter(|(kind, _)| *kind == Kind::Bad).collect();
        assert_eq!(bad.len(), 50);
        for (_, message) in bad {
            assert!(serde_json::from_slice::<serde_json::Value>(message).unwrap().is_object());
        }
    }
    let all = messages(Recipe { bad_percent: 100.0, ..RECIPE }, Topic::Pin, 50);
    let unreadable = all.iter().filter(|(_, message)| serde_json::from_slice::<serde_json::Value>(message).is_err());
    assert!(unreadable.count() > 0, "some of the other kinds must be invalid JSON");
}
