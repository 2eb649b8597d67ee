//! The pipeline's main job: raw objects become three tables, and nine queries read them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::environment::{Output, TestEnvironment, file, repository};
use crate::oracle::Expected;
use crate::raw;
use crate::s3::{self, Identity};

const CLEANINGS: [&str; 3] = ["sql/clean_pin.sql", "sql/clean_geo.sql", "sql/clean_user.sql"];
const TABLES: [&str; 3] = ["pin_data", "geo_data", "user_data"];
pub(crate) const QUESTIONS: [&str; 9] = [
    "top_category_by_country",
    "top_category_by_year",
    "top_poster_by_country",
    "country_of_top_poster",
    "top_category_by_age_group",
    "median_followers_by_age_group",
    "users_joined_by_year",
    "median_followers_by_join_year",
    "median_followers_by_join_year_and_age_group",
];

#[test]
fn the_first_readme_command_cleans_the_example_data() {
    let environment = TestEnvironment::new();
    let report = environment.path("report.json");
    let arguments = ["run", "--report", report.to_str().unwrap(), CLEANINGS[0], CLEANINGS[1], CLEANINGS[2]];
    // No parameters, and only the configuration of the repository.
    let output = environment.pinsql(&arguments).folder(repository()).output().success();
    let tables = assert_ledgers(&environment, &output, &report);
    for table in &tables {
        assert!(count(table, "duplicates") > 0, "the example shows no duplicate: {table:#}");
        assert!(count(table, "rejected") > 0, "the example shows no reject: {table:#}");
    }
    assert_commits_keep_the_ledger(&environment, &tables);
    assert_answers(&environment, &Expected::of(&raw::examples()));
}

#[test]
fn real_records_in_a_folder() {
    let environment = TestEnvironment::new();
    let raw = raw::real(&environment);
    clean(&environment, raw.to_str().unwrap());
    assert_answers(&environment, &Expected::of(&raw));
}

#[test]
fn real_records_in_s3_give_the_same_tables_in_s3() {
    let server = s3::server();
    let prefix = server.prefix("real");
    let environment = TestEnvironment::new()
        .with_variables(server.variables(Identity::Owner))
        .with_warehouse(server.url(&format!("{prefix}/warehouse")));
    let raw = raw::real(&environment);
    let url = server.upload(&raw, &format!("{prefix}/raw"));
    clean(&environment, &url);
    assert_answers(&environment, &Expected::of(&raw));
}

#[test]
fn cleaning_again_replaces_the_tables_and_keeps_their_history() {
    let environment = TestEnvironment::new();
    let raw = raw::examples();
    clean(&environment, raw.to_str().unwrap());
    let first = environment.value("SELECT count(*) FROM pin_data");
    clean(&environment, raw.to_str().unwrap());
    assert_eq!(environment.value("SELECT count(*) FROM pin_data"), first);
    let history = environment.query("DESCRIBE HISTORY pin_data");
    assert_eq!(history.len(), 2, "{history:?}");
}

fn clean(environment: &TestEnvironment, raw: &str) {
    let report = environment.path("report.json");
    let [pin, geo, user] = CLEANINGS.map(file);
    let arguments = ["run", "--report", report.to_str().unwrap(), &pin, &geo, &user];
    let output = environment.pinsql(&arguments).parameter("raw", raw).output().success();
    assert_ledgers(environment, &output, &report);
}

/// Asserts that the report has all three tables in order, and that every ledger adds up, also per source. The output
/// for people has the same numbers, and the rejects table has each rejected record.
fn assert_ledgers(environment: &TestEnvironment, output: &Output, report: &Path) -> Vec<Value> {
    let report: Value = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    let tables = report["tables"].as_array().unwrap().clone();
    let names: Vec<&str> = tables.iter().map(|table| table["table"].as_str().unwrap()).collect();
    assert_eq!(names, TABLES.map(|name| format!("default.{name}")));
    for (table, name) in tables.iter().zip(TABLES) {
        let [read, written, filtered, duplicates, rejected] =
            ["read", "written", "filtered", "duplicates", "rejected"].map(|term| count(table, term));
        assert!(read > 0, "{table:#}");
        assert_eq!(read, written + filtered + duplicates + rejected, "{table:#}");
        let sources = table["sources"].as_array().unwrap();
        for (term, total) in [("read", read), ("rejected", rejected)] {
            assert_eq!(sources.iter().map(|source| count(source, term)).sum::<u64>(), total, "{term}: {table:#}");
        }
        let line = format!(
            "{name}: read {read} = written {written} + filtered {filtered} + duplicates {duplicates} + rejected {rejected}"
        );
        assert!(output.stderr.contains(&line), "no line `{line}`: {}", output.describe());
        assert_eq!(environment.value(&format!("SELECT count(*) FROM {name}")), written);
        if rejected > 0 {
            assert_eq!(environment.value(&format!("SELECT count(*) FROM {name}_rejects")), rejected);
        }
    }
    tables
}

fn assert_commits_keep_the_ledger(environment: &TestEnvironment, tables: &[Value]) {
    for (table, name) in tables.iter().zip(TABLES) {
        let log = environment.table(name).join("_delta_log/00000000000000000000.json");
        let actions: Vec<Value> =
            fs::read_to_string(log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let commit = actions.iter().find_map(|action| action.get("commitInfo")).unwrap();
        let metadata: Value = serde_json::from_str(commit["userMetadata"].as_str().unwrap()).unwrap();
        for term in ["read", "written", "filtered", "duplicates", "rejected"] {
            assert_eq!(metadata["pinsql"]["ledger"][term], table[term], "{term} in {metadata:#}");
        }
    }
}

fn assert_answers(environment: &TestEnvironment, expected: &Expected) {
    for table in TABLES {
        expected.assert_rows(table, &environment.query(&format!("SELECT * FROM {table}")));
    }
    for question in QUESTIONS {
        let query = file(&format!("sql/queries/{question}.sql"));
        let output = environment.pinsql(&["run", "--format", "ndjson", &query]).output().success();
        expected.assert_rows(question, &output.rows());
    }
}

fn count(entry: &Value, term: &str) -> u64 {
    entry[term].as_u64().unwrap_or_else(|| panic!("no count `{term}` in {entry:#}"))
}
