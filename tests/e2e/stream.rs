//! Records that a stream must write to its table exactly once. The test stores the sent records and compares them with
//! the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::environment::TestEnvironment;

/// Every tenth record is broken and must be in the rejects.
const BROKEN_EVERY: u64 = 10;

/// All records that were sent so far, numbered without a gap.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    count: u64,
}

impl Sent {
    /// The next record to send: one line of JSON, or a broken line.
    pub(crate) fn next(&mut self) -> String {
        let serial = self.count;
        self.count += 1;
        record(serial)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Asserts that each sent record is once in `table` or once in its rejects, and that there are no other records.
    pub(crate) fn assert_arrived(&self, environment: &TestEnvironment, table: &str) {
        let good = (0..self.count).filter(|serial| !is_broken(*serial));
        assert_once(
            good.map(|serial| serial.to_string()),
            &column(environment, &format!("SELECT serial FROM {table}")),
        );
        let broken = (0..self.count).filter(|serial| is_broken(*serial));
        if self.count > BROKEN_EVERY {
            let raw = format!("SELECT CAST(raw AS STRING) AS raw FROM {table}_rejects");
            assert_once(broken.map(record), &column(environment, &raw));
        }
    }
}

/// Writes files of a few records until `over` is set. Each file appears in one step.
pub(crate) fn write_files(folder: &Path, over: &AtomicBool) -> Sent {
    let mut sent = Sent::default();
    let mut random = StdRng::seed_from_u64(1);
    for number in 0_u64.. {
        let lines: Vec<String> = (0..random.random_range(1..20)).map(|_| sent.next()).collect();
        let hidden = folder.join(format!(".{number:06}.json"));
        fs::write(&hidden, lines.join("\n")).unwrap();
        fs::rename(&hidden, folder.join(format!("{number:06}.json"))).unwrap();
        thread::sleep(Duration::from_millis(random.random_range(5..40)));
        if over.load(Ordering::Relaxed) {
            break;
        }
    }
    sent
}

pub(crate) fn is_broken(serial: u64) -> bool {
    serial % BROKEN_EVERY == BROKEN_EVERY - 1
}

fn record(serial: u64) -> String {
    match is_broken(serial) {
        true => format!(r#"{{"serial": {serial}, "payload": "this record breaks off"#),
        false => format!(r#"{{"serial": {serial}, "payload": "payload of record {serial}"}}"#),
    }
}

fn assert_once(expected: impl Iterator<Item = String>, found: &[String]) {
    let expected: BTreeSet<String> = expected.collect();
    let distinct: BTreeSet<String> = found.iter().cloned().collect();
    let lost: Vec<_> = expected.difference(&distinct).take(5).collect();
    let made_up: Vec<_> = distinct.difference(&expected).take(5).collect();
    assert!(lost.is_empty() && made_up.is_empty(), "lost {lost:?}, made up {made_up:?}");
    assert_eq!(found.len(), distinct.len(), "some are there more than once");
}

/// The values of a query with one column, as text.
fn column(environment: &TestEnvironment, sql: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows = environment.query(sql);
    rows.iter().map(|row| text(row.as_object().unwrap().values().next().unwrap())).collect()
}
