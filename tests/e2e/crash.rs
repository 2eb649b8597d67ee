//! A killed process leaves the old table or the new one, and the table can always be read.
//!
//! The kills are spread over the whole duration of a run. The run is divided into as many equal intervals as there are
//! kills, and each kill is at a random time in its interval. The seed is printed, so that a failure can be reproduced.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::environment::{Run, TestEnvironment};
use crate::raw;
use crate::readers;
use crate::s3::{self, Identity};

const FILES: u64 = 20;
const RECORDS_PER_FILE: u64 = 500;
const RECORDS: u64 = FILES * RECORDS_PER_FILE;

/// Some kills must come after the run has ended. The table must be new then.
const PAST_THE_END: f64 = 1.3;
const SLOWER: f64 = 1.2;

#[test]
fn a_killed_run_leaves_the_old_table_or_the_new_one() {
    let environment = TestEnvironment::new();
    let raw = write_records(&environment);
    survive(&environment, raw.to_str().unwrap(), 60);
    let versions = readers::versions(environment.table("crash").to_str().unwrap(), &[]);
    assert_versions_readable(&versions);
}

#[test]
fn a_killed_run_leaves_the_old_table_or_the_new_one_in_s3() {
    let server = s3::server();
    let prefix = server.prefix("crash");
    let environment = TestEnvironment::new()
        .with_variables(server.variables(Identity::Owner))
        .with_warehouse(server.url(&format!("{prefix}/warehouse")));
    let raw = server.upload(&write_records(&environment), &format!("{prefix}/raw"));
    survive(&environment, &raw, 24);
    let table = format!("{}/default/crash", environment.warehouse());
    let versions = readers::versions(&table, &server.variables(Identity::Owner));
    assert_versions_readable(&versions);
}

fn write_records(environment: &TestEnvironment) -> std::path::PathBuf {
    for file in 0..FILES {
        environment.write(&format!("raw/{file:03}.json"), raw::numbered(file * RECORDS_PER_FILE, RECORDS_PER_FILE));
    }
    environment.path("raw")
}

/// The number of rows of each generation in the table. A generation is a run that landed.
type Generations = Vec<(u64, u64)>;

fn survive(environment: &TestEnvironment, raw: &str, kills: usize) {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut full_run = (0..3).map(|_| replace(environment, raw, 0).output().success().elapsed).max().unwrap();
    let mut table: Generations = vec![(0, RECORDS)];
    assert_eq!(generations(environment), table);

    let mut moments: Vec<f64> = (0..kills).map(|kill| kill as f64 + random.random::<f64>()).collect();
    moments.shuffle(&mut random);
    let (mut landed, mut lost) = (0, 0);
    for (generation, moment) in (1..).zip(moments) {
        let delay = full_run.mul_f64(moment / kills as f64 * PAST_THE_END);
        let (run, new) = if generation % 2 == 0 {
            (replace(environment, raw, generation), vec![(generation, RECORDS)])
        } else {
            let appended = table.iter().copied().chain([(generation, RECORDS)]).collect();
            (append(environment, raw, generation), appended)
        };
        let output = run.start().kill_after(delay);
        let found = generations(environment);
        let what = format!("killed after {delay:?}, seed {seed}: {}", output.describe());
        if found == new {
            landed += 1;
            table = new;
        } else {
            assert_eq!(found, table, "neither the old table nor the new one; {what}");
            assert!(!output.status.success(), "the run said that it was done, and the table is the old one; {what}");
            lost += 1;
            // A full run has ended by then. The machine is slower than before because of other tests.
            if delay > full_run {
                full_run = delay.mul_f64(SLOWER);
            }
        }
    }
    println!("a full run takes {full_run:?}; {landed} of {kills} landed, {lost} were lost");
    assert!(landed > 0 && lost > 0, "{landed} of {kills} landed: one side was not tested");

    // Files of killed runs do not disturb the next run.
    replace(environment, raw, 1_000_000).output().success();
    assert_eq!(generations(environment), [(1_000_000, RECORDS)]);
}

fn replace(environment: &TestEnvironment, raw: &str, generation: u64) -> Run {
    write(environment, "CREATE OR REPLACE TABLE crash AS", raw, generation)
}

fn append(environment: &TestEnvironment, raw: &str, generation: u64) -> Run {
    write(environment, "INSERT INTO crash", raw, generation)
}

fn write(environment: &TestEnvironment, statement: &str, raw: &str, generation: u64) -> Run {
    let query = "SELECT id, payload, CAST(:generation AS BIGINT) AS generation
        FROM read_files(:raw, format => 'json', schema => 'id BIGINT, payload STRING')";
    let run = environment.run_sql(&format!("{statement} {query}"));
    run.parameter("raw", raw).parameter("generation", generation.to_string())
}

fn generations(environment: &TestEnvironment) -> Generations {
    let query = "SELECT generation, count(*) AS rows, count(DISTINCT id) AS ids
        FROM crash GROUP BY generation ORDER BY generation";
    let rows = environment.query(query);
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap();
    let generation = |row| {
        assert_eq!(number(row, "rows"), number(row, "ids"), "records twice: {row}");
        (number(row, "generation"), number(row, "rows"))
    };
    rows.iter().map(generation).collect()
}

/// Asserts that every committed version is complete, and that none is missing.
fn assert_versions_readable(versions: &Value) {
    let versions = versions.as_array().unwrap();
    for (number, version) in versions.iter().enumerate() {
        assert_eq!(version["version"], number, "{versions:?}");
        let rows = version["rows"].as_u64().unwrap();
        assert!(rows > 0 && rows.is_multiple_of(RECORDS), "version {number} has {rows} rows");
    }
    assert!(versions.len() > 1, "{versions:?}");
}
