//! Posts from a real database: rows are unchanged, the three tables share one number, and server faults are errors of
//! the run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::emulate::{Arrived, Report, laid_down};
use crate::environment::{Output, TestEnvironment};
use crate::mariadb::{Database, PASSWORD, server};

/// Creates the pipeline's three tables with `rows` rows. Each `index` is three times the row number.
fn fill(database: &Database<'_>, rows: u64) {
    let numbers = format!("SELECT seq AS n FROM seq_0_to_{}", rows - 1);
    database.load(&format!(
        "CREATE TABLE pinterest_data (`index` INT PRIMARY KEY, unique_id TEXT, title TEXT, downloaded TINYINT(1));
         CREATE TABLE geolocation_data (ind INT PRIMARY KEY, timestamp DATETIME, latitude DOUBLE, longitude DECIMAL(9,4), country TEXT);
         CREATE TABLE user_data (ind INT PRIMARY KEY, first_name TEXT, age BIGINT, date_joined DATETIME(6));
         INSERT INTO pinterest_data SELECT n * 3, UUID(), CONCAT('it''s \"quoted\" ✨🎄 a\\\\b ', n), n % 2 FROM ({numbers}) AS n;
         INSERT INTO geolocation_data SELECT n * 3, '2018-03-27 05:24:10', -89.9787, 173.293, 'Viet Nam' FROM ({numbers}) AS n;
         INSERT INTO user_data SELECT n * 3, NULL, 20 + n % 60, '2015-10-21 11:37:56.000001' FROM ({numbers}) AS n;"
    ));
}

/// Runs with `--db` into a folder. Returns the output and the records in the folder.
fn post(environment: &TestEnvironment, database: &Database<'_>, more: &[&str]) -> (Output, Arrived) {
    let (raw, report) = (environment.path("raw"), environment.path("report.json"));
    let credentials = database.credentials_file();
    let fixed = ["emulate", "--db", "--credentials", &credentials, "--report", report.to_str().unwrap()];
    let to = ["--to", raw.to_str().unwrap(), "--batch", "1000"];
    let output = environment.pinsql(&[&fixed, &to[..], more].concat()).output();
    assert!(!output.stderr.contains(PASSWORD), "{}", output.describe());
    let arrived = if raw.exists() { laid_down(&raw) } else { Arrived::new() };
    (output, arrived)
}

fn parse(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_post_is_one_unchanged_row_of_each_table() {
    let database = server().database("emulate");
    fill(&database, 1_000);
    let environment = TestEnvironment::new();
    let (output, arrived) = post(&environment, &database, &["--count", "500", "--rate", "max"]);
    output.success();
    assert_eq!(Report::read(&environment).counts(environment.path("raw").to_str().unwrap()), (1_500, 1_500, 0));
    let (pins, geos, users) = (parse(&arrived["pin"]), parse(&arrived["geo"]), parse(&arrived["user"]));
    let ids: BTreeMap<String, String> = database
        .query("SELECT `index`, unique_id FROM pinterest_data")
        .iter()
        .map(|line| line.split_once('\t').map(|(index, id)| (index.to_owned(), id.to_owned())).unwrap())
        .collect();
    for ((pin, geo), user) in pins.iter().zip(&geos).zip(&users) {
        let index = pin["index"].as_i64().unwrap();
        assert_eq!((geo["ind"].as_i64(), user["ind"].as_i64()), (Some(index), Some(index)));
        let number = index / 3;
        assert_eq!(pin["unique_id"], *ids[&index.to_string()]);
        assert_eq!(pin["title"], format!("it's \"quoted\" ✨🎄 a\\b {number}"));
        assert_eq!(pin["downloaded"], number % 2);
        assert_eq!(geo["timestamp"], "2018-03-27T05:24:10");
        assert_eq!((&geo["latitude"], geo["longitude"].to_string()), (&(-89.9787).into(), "173.293".to_owned()));
        assert_eq!((&user["first_name"], &user["age"]), (&Value::Null, &(20 + number % 60).into()));
        assert_eq!(user["date_joined"], "2015-10-21T11:37:56.000001");
    }
    // Five hundred draws from a thousand rows: many different rows, some of them more than once.
    let drawn: BTreeSet<i64> = pins.iter().map(|pin| pin["index"].as_i64().unwrap()).collect();
    assert!((350..450).contains(&drawn.len()), "{} different rows", drawn.len());
}

#[test]
fn a_seed_draws_the_same_rows() {
    let database = server().database("emulate");
    fill(&database, 1_000);
    let draw = |seed: &str| {
        let environment = TestEnvironment::new();
        let (output, arrived) = post(&environment, &database, &["--count", "50", "--rate", "max", "--seed", seed]);
        output.success();
        arrived
    };
    assert_eq!(draw("100"), draw("100"));
    assert_ne!(draw("100"), draw("7"));
}

#[test]
fn a_database_without_the_needed_tables_or_rows_is_an_error_at_once() {
    let environment = TestEnvironment::new();
    let database = server().database("emulate");
    let post = |more: &[&str]| post(&environment, &database, &[&["--count", "5", "--rate", "max"], more].concat()).0;
    post(&[]).failure(1, &[&["there is no table"], &["pinterest_data"]]);
    database.load("CREATE TABLE pinterest_data (`index` INT)");
    post(&["--topics", "pin"]).failure(1, &[&["the table pinterest_data has no rows to draw from"]]);
    assert!(!environment.path("raw").join("topics").exists());
}
