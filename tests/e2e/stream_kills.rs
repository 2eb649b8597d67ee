//! A stream that is killed again and again, at random moments, while records keep coming.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::environment::TestEnvironment;
use crate::stream::write_files;

const KILLS: usize = 60;
/// A process lives this long: from before its first batch to after many.
const LIFE_MS: std::ops::Range<u64> = 50..900;
const TRIGGER: &str = "50ms";

#[test]
fn a_stream_over_files_survives_kills() {
    let environment = TestEnvironment::new();
    let folder = environment.path("raw");
    fs::create_dir_all(&folder).unwrap();
    let statement = "CREATE OR REFRESH STREAMING TABLE killed AS
        SELECT * FROM STREAM read_files(:raw, format => 'json', schema => 'serial BIGINT, payload STRING', maxFilesPerTrigger => 7)";
    let file = environment.write("stream.sql", statement);
    let raw = folder.to_str().unwrap().to_owned();
    let over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let producer = scope.spawn(|| write_files(&folder, &over));
        survive(&environment, &file, &raw);
        over.store(true, Ordering::Relaxed);
        producer.join().unwrap()
    });
    environment.pinsql(&["run", &file]).parameter("raw", &raw).output().success();
    println!("{} records", sent.count());
    sent.assert_arrived(&environment, "killed");
}

fn survive(environment: &TestEnvironment, file: &str, raw: &str) {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..KILLS {
        let life = Duration::from_millis(random.random_range(LIFE_MS));
        let run = environment.pinsql(&["stream", file, "--trigger", TRIGGER]).parameter("raw", raw);
        let output = run.start().kill_after(life);
        assert!(output.status.code().is_none(), "ended by itself: {}", output.describe());
    }
}
