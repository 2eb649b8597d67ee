//! Old versions: finding them, RESTORE, and VACUUM.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::kept::kept;
use super::*;

const COUNT_AND_SUM: &str = "SELECT count(*) AS c, sum(n) AS s FROM t";
const DAY: Duration = Duration::from_secs(86_400);

fn set_age(path: &std::path::Path, age: Duration) {
    std::fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

impl Fixture {
    fn commit_file(&self, version: u64) -> PathBuf {
        self.folder.path().join(format!("t/_delta_log/{version:020}.json"))
    }

    async fn data_files(&self) -> Vec<PathBuf> {
        let table = self.location.open_existing().await.unwrap();
        let files = table.snapshot().unwrap().log_data().into_iter();
        files.map(|file| self.folder.path().join("t").join(file.path().as_ref())).collect()
    }

    async fn versions(&self) -> Versions {
        Versions::of(&self.location, &self.location.open_existing().await.unwrap()).await.unwrap()
    }
}

fn request(dry_run: bool) -> VacuumRequest {
    VacuumRequest { retention: None, checks_retention: true, dry_run }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_found_by_the_time_of_its_file() {
    let (fixture, handle) = kept().await;
    for version in 1..=3 {
        fixture.step(&handle, version).await.unwrap();
    }
    for (version, days) in [(0, 9), (1, 6), (2, 6), (3, 1)] {
        set_age(&fixture.commit_file(version), DAY * days);
    }
    let versions = fixture.versions().await;
    let last_us = versions.time_ms(3).unwrap() * 1_000;
    let at = |days: i64| versions.resolve(AsOf::Timestamp(last_us - (days - 1) * DAY.as_micros() as i64 + 999));
    assert_eq!((at(8).unwrap(), at(2).unwrap(), at(1).unwrap()), (0, 2, 3));
    assert!(at(10).unwrap_err().message.contains("before the first"));
    assert!(at(0).unwrap_err().message.contains("after the last"));
    // Two files with the same time are a millisecond apart, as in Delta.
    assert!(versions.time_ms(2).unwrap() > versions.time_ms(1).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_the_log_lost_is_not_there() {
    let fixture = Fixture::new();
    let sql = "SELECT CAST(0 AS BIGINT) AS n";
    let mut definition = fixture.definition_of(sql).await;
    definition.properties.insert("delta.checkpointInterval".into(), "10".into());
    fixture.write(WriteKind::Create(definition), sql).await.unwrap();
    for _ in 1..=9 {
        fixture.append("SELECT 1").await.unwrap();
    }
    assert!(fixture.commit_file(9).with_extension("checkpoint.parquet").exists());
    let latest = fixture.versions().await.latest();
    for version in 0..latest {
        std::fs::remove_file(fixture.commit_file(version)).unwrap();
    }
    let versions = fixture.versions().await;
    assert_eq!(versions.resolve(AsOf::Version(latest)).unwrap(), latest);
    let gone = versions.resolve(AsOf::Version(3)).unwrap_err();
    assert!(gone.hint.unwrap().starts_with(&format!("there is version {latest} (")), "{}", gone.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_after_a_restore_and_writes_nothing_twice() {
    let (fixture, handle) = kept().await;
    for version in 1..=5 {
        fixture.step(&handle, version).await.unwrap();
    }
    let restored = restore(&fixture.location, AsOf::Version(2)).await.unwrap();
    assert_eq!((restored.version, restored.files_after, restored.removed_files, restored.restored_files), (6, 3, 3, 0));
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 3 | 3 |"));
    // Batches 3 to 5 landed once and RESTORE removed them: the stream does not write them again.
    assert_eq!(TableHandle::new(fixture.location.clone()).landed("app").await.unwrap(), Some(5));
    assert!(fixture.step(&handle, 5).await.is_err());
    fixture.step(&handle, 6).await.unwrap();
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 4 | 9 |"));
    // And back again, with the definition.
    let again = restore(&fixture.location, AsOf::Version(5)).await.unwrap();
    assert_eq!((again.restored_files, again.removed_files), (3, 1));
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 6 | 15 |"));
    let adds = fixture.actions(again.version, "add");
    assert!(adds.iter().all(|add| add["dataChange"] == true && add["stats"].as_str().unwrap().contains("numRecords")));
    let info = &fixture.actions(again.version, "commitInfo")[0];
    assert_eq!((&info["operation"], &info["operationParameters"]["version"]), (&"RESTORE".into(), &"5".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_brings_the_definition_back() {
    let fixture = Fixture::new();
    fixture.create_as("SELECT CAST(0 AS BIGINT) AS n").await.unwrap();
    fixture.replace_as("SELECT 'x' AS s").await.unwrap();
    restore(&fixture.location, AsOf::Version(0)).await.unwrap();
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 1 | 0 |"));
    assert_eq!(fixture.actions(2, "metaData"), fixture.actions(0, "metaData"));
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_takes_what_is_old_and_in_no_version() {
    let fixture = Fixture::new();
    let sql = "SELECT CAST(0 AS BIGINT) AS n, 'a/b %é' AS p";
    let mut definition = fixture.definition_of(sql).await;
    definition.partition_columns = vec!["p".into()];
    fixture.write(WriteKind::Create(definition), sql).await.unwrap();
    fixture.append("SELECT 1, 'a/b %é'").await.unwrap();
    let in_flight = fixture.folder.path().join("t/part-in-flight.parquet");
    let orphan = fixture.folder.path().join("t/p=left/part-orphan.parquet");
    let checkpoint = fixture.folder.path().join("t/_pinsql_checkpoint/state.json");
    for path in [&in_flight, &orphan, &checkpoint] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    set_age(&orphan, DAY * 8);
    set_age(&checkpoint, DAY * 8);
    fixture.data_files().await.iter().for_each(|path| set_age(path, DAY * 30));
    let listed = vacuum(&fixture.location, &request(true)).await.unwrap();
    assert_eq!(listed.paths.len(), 1, "{:?}", listed.paths);
    assert!(listed.paths[0].ends_with("/t/p=left/part-orphan.parquet"));
    assert!(orphan.exists());

    // Files that left the table a moment ago are needed until their retention ends.
    fixture.write(WriteKind::Overwrite, "SELECT 2, 'c'").await.unwrap();
    let vacuumed = vacuum(&fixture.location, &request(false)).await.unwrap();
    assert_eq!((vacuumed.files, orphan.exists(), in_flight.exists(), checkpoint.exists()), (1, false, true, true));
    let old = fixture.location.open_version(1).await.unwrap();
    assert!(fixture.query_table(&old, COUNT_AND_SUM).await.contains("| 2 | 1 |"));
    let operations: Vec<Value> = (3..=4).map(|version| fixture.actions(version, "commitInfo").remove(0)).collect();
    assert_eq!(operations[0]["operation"], "VACUUM START");
    assert_eq!(operations[0]["operationMetrics"]["numFilesToDelete"], "1");
    assert_eq!(
        (&operations[1]["operation"], &operations[1]["operationParameters"]["status"]),
        (&"VACUUM END".into(), &"COMPLETED".into())
    );

    let at_once = VacuumRequest { retention: Some(Duration::ZERO), ..request(false) };
    let refused = vacuum(&fixture.location, &at_once).await.unwrap_err();
    assert!(refused.message.contains("RETAIN 0 HOURS is less than the 168 hours"), "{}", refused.message);
    let vacuumed = vacuum(&fixture.location, &VacuumRequest { checks_retention: false, ..at_once }).await.unwrap();
    assert_eq!((vacuumed.files, fixture.files_on_disk()), (3, 1));
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 1 | 2 |"));
    let gone = restore(&fixture.location, AsOf::Version(1)).await.unwrap_err();
    assert!(gone.message.contains("2 of the 2 files that would come back are gone"), "{}", gone.message);
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 1 | 2 |"));
}
