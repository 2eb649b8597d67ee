//! Limits and errors of this machine: a read-only folder, a full disk, too little memory.
//!
//! Permissions do not limit root, and in many places the tests run as root. Filling a real disk is not acceptable
//! either. So each run mounts a separate file system over its warehouse, in a namespace that ends with the run.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::environment::TestEnvironment;
use crate::raw;

/// Remounts the folder read-only, then starts the program.
const READ_ONLY: &str = r#"mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@""#;
/// Mounts an empty disk of one megabyte over the folder, starts the program, then prints how many data files it leaves
/// there.
const SMALL_DISK: &str = r#"
mount -t tmpfs -o size=1m tmpfs "$0" || exit 99
"$@"
code=$?
find "$0" -name "*.parquet" | wc -l > "$0.left"
exit $code
"#;
const MEBIBYTE: u64 = 1 << 20;

/// The start of a command line that runs the rest with the mount of `script` over `folder`.
fn mounted<'a>(script: &'a str, folder: &'a str) -> Vec<&'a str> {
    let mut line = vec!["unshare", "--mount"];
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        line.push("--map-root-user");
    }
    line.extend(["sh", "-c", script, folder]);
    line
}

fn select(raw: &str) -> String {
    format!("SELECT * FROM read_files('{raw}', format => 'json', schema => 'id BIGINT, payload STRING')")
}

#[test]
fn a_read_only_warehouse_can_be_read_but_not_written() {
    let environment = TestEnvironment::new();
    let query = select(&environment.write("raw/records.json", raw::numbered(0, 10)));
    environment.run_sql(&format!("CREATE TABLE kept AS {query}")).output().success();
    let read_only = mounted(READ_ONLY, environment.warehouse());

    for statement in ["CREATE TABLE new AS", "CREATE OR REPLACE TABLE kept AS", "INSERT INTO kept"] {
        let run = environment.run_sql(&format!("{statement} {query}")).wrapped(&read_only);
        run.output().failure(1, &[&["read-only", "cannot be written", "not writable"], &[environment.warehouse()]]);
    }
    let count = environment.pinsql(&["-c", "SELECT count(*) AS rows FROM kept", "--format", "ndjson"]);
    assert_eq!(count.wrapped(&read_only).output().success().rows()[0]["rows"], 10);
}

#[test]
fn a_full_disk_is_an_error_and_is_cleaned_up() {
    let environment = TestEnvironment::new();
    // Random hexadecimal digits, so that compression cannot make the data fit.
    let payload = || format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let lines: String = (0..100_000).map(|id| format!("{{\"id\": {id}, \"payload\": \"{}\"}}\n", payload())).collect();
    let query = select(&environment.write("raw/records.json", lines));
    fs::create_dir(environment.warehouse()).unwrap();
    let run = environment.run_sql(&format!("CREATE TABLE big AS {query}"));
    let output = run.wrapped(&mounted(SMALL_DISK, environment.warehouse())).output();
    output.failure(3, &[&["no space left", "disk is full"]]);
    let left = fs::read_to_string(format!("{}.left", environment.warehouse())).unwrap();
    assert_eq!(left.trim(), "0", "data files of a failed write are left on a full disk");
}

#[test]
fn low_memory_causes_spilling_or_a_clear_error() {
    const RECORDS: u64 = 200_000;
    let environment = TestEnvironment::new();
    let lines: String = (0..RECORDS).map(|id| format!("{{\"id\": {id}, \"payload\": \"{id:0>200}\"}}\n")).collect();
    let query = select(&environment.write("raw/records.json", lines));
    let sql = format!("CREATE TABLE distinct_records AS SELECT DISTINCT * FROM ({query})");
    let output = environment.run_sql(&sql).arguments(&["--memory", "20MB"]).output();
    assert!(output.memory_max_bytes < 400 * MEBIBYTE, "{} bytes: {}", output.memory_max_bytes, output.describe());
    if output.status.success() {
        assert_eq!(environment.value("SELECT count(*) FROM distinct_records"), RECORDS);
    } else {
        output.failure(1, &[&["memory"], &["--memory"]]);
    }
}

#[test]
fn an_unfinished_command_changes_nothing() {
    let environment = TestEnvironment::new();
    let query = select(&environment.write("raw/records.json", raw::numbered(0, 10)));
    environment.run_sql(&format!("CREATE TABLE kept AS {query}")).output().success();
    // The second statement fails. The first is committed, the third is not started.
    let script = format!("INSERT INTO kept {query}; INSERT INTO kept SELECT nonsense FROM kept; DROP TABLE kept");
    environment.run_sql(&script).output().failure(1, &[&["nonsense"]]);
    assert_eq!(environment.value("SELECT count(*) FROM kept"), 20);
}
