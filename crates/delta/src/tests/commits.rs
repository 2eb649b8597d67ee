//! Commits: conflicts, lost answers, failures before the end.

use futures::TryStreamExt;
use object_store::memory::InMemory;

use super::*;
use crate::testing::{Fault, FaultyStore};
use pinsql_base::error::ErrorKind;

const COUNT_AND_SUM: &str = "SELECT count(*) AS c, sum(n) AS s FROM t";

async fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.create_as("SELECT CAST(0 AS BIGINT) AS n").await.unwrap();
    fixture
}

/// A table with version 0, on a store that is about to fail.
async fn faulty() -> (Arc<FaultyStore>, Fixture) {
    let store = Arc::new(FaultyStore::new());
    let fixture = Fixture::over(store.clone());
    fixture.create_as("SELECT CAST(0 AS BIGINT) AS n").await.unwrap();
    (store, fixture)
}

async fn newest(fixture: &Fixture) -> Option<u64> {
    fixture.location.open_existing().await.unwrap().version()
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_by_many_writers_all_land() {
    let fixture = fixture().await;
    let mut prepared = Vec::new();
    for n in 1..=8 {
        prepared.push(fixture.prepare(WriteKind::Append, &format!("SELECT CAST({n} AS BIGINT)")).await.unwrap());
    }
    let commits = prepared.into_iter().map(|write| tokio::spawn(async move { write.commit(None).await }));
    let versions = futures::future::join_all(commits).await;
    let mut versions: Vec<u64> = versions.into_iter().map(|commit| commit.unwrap().unwrap().version).collect();
    versions.sort();
    assert_eq!(versions, (1..=8).collect::<Vec<u64>>());
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 9 | 36 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_creations_one_wins() {
    let fixture = Fixture::new();
    let definition = fixture.definition_of("SELECT 1 AS n").await;
    let first = fixture.prepare(WriteKind::Create(definition.clone()), "SELECT 1 AS n").await.unwrap();
    let second = fixture.prepare(WriteKind::Create(definition.clone()), "SELECT 2 AS n").await.unwrap();
    let third = fixture.prepare(WriteKind::CreateOrReplace(definition), "SELECT 3 AS n").await.unwrap();
    first.commit(None).await.unwrap();
    let lost = second.commit(None).await.unwrap_err();
    assert_eq!((lost.kind(), lost.message.as_str()), (ErrorKind::Sql, "the table default.t already exists"));
    assert_eq!(fixture.files_on_disk(), 2, "the loser's file is gone");
    assert_eq!(third.commit(None).await.unwrap().version, 1, "OR REPLACE replaces what came first");
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 1 | 3 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_does_not_follow_a_replacement() {
    let fixture = fixture().await;
    let append = fixture.prepare(WriteKind::Append, "SELECT CAST(1 AS BIGINT)").await.unwrap();
    fixture.replace_as("SELECT 'x' AS other").await.unwrap();
    let lost = append.commit(None).await.unwrap_err();
    assert_eq!(
        lost.message,
        "another writer was faster on default.t: its version 1 (CREATE OR REPLACE TABLE AS SELECT) replaced or altered \
         the table"
    );
    assert!(lost.kind().is_retryable());
    assert_eq!(fixture.files_on_disk(), 2, "only the two that were committed");
    assert_eq!(newest(&fixture).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn blind_writes_follow_one_another() {
    let fixture = fixture().await;
    let overwrite = fixture.prepare(WriteKind::Overwrite, "SELECT CAST(10 AS BIGINT)").await.unwrap();
    let append = fixture.prepare(WriteKind::Append, "SELECT CAST(1 AS BIGINT)").await.unwrap();
    fixture.append("SELECT CAST(2 AS BIGINT)").await.unwrap();
    assert_eq!(overwrite.commit(None).await.unwrap().version, 2);
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 1 | 10 |"), "it removed what came in between, too");
    assert_eq!(append.commit(None).await.unwrap().version, 3);
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 2 | 11 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replacements_follow_one_another() {
    let fixture = fixture().await;
    let definition = fixture.definition_of("SELECT 'a' AS other").await;
    let first = fixture.prepare(WriteKind::CreateOrReplace(definition), "SELECT 'a' AS other").await.unwrap();
    fixture.replace_as("SELECT 5 AS n").await.unwrap();
    assert_eq!(first.commit(None).await.unwrap().version, 2);
    assert!(fixture.query("SELECT other FROM t").await.contains("| a     |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_read_its_table_does_not_follow_a_change() {
    let fixture = fixture().await;
    let mut request = WriteRequest::new(fixture.location.clone(), WriteKind::Overwrite);
    request.read_version = Some(0);
    let plan = fixture.plan_request(request, "SELECT CAST(7 AS BIGINT)").await.unwrap();
    fixture.append("SELECT CAST(1 AS BIGINT)").await.unwrap();
    let lost = plan.run(fixture.session.task_ctx()).await.unwrap().commit(None).await.unwrap_err();
    assert!(
        lost.message.ends_with("its version 1 (WRITE) changed rows that this statement had read"),
        "{}",
        lost.message
    );
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 2 | 1 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_seen_before_the_commit() {
    let fixture = fixture().await;
    let definition = fixture.definition_of("SELECT 'a' AS other").await;
    let prepared = fixture.prepare(WriteKind::CreateOrReplace(definition), "SELECT 'a' AS other").await.unwrap();
    assert_eq!((prepared.rows(), prepared.files(), fixture.files_on_disk()), (1, 1, 2));
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 1 | 0 |"));
    // A write that is dropped deletes its files, and a process that is killed drops nothing.
    std::mem::forget(prepared);
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 1 | 0 |"), "as after a kill: an orphan and the old table");

    let prepared = fixture.prepare(WriteKind::Append, "SELECT CAST(1 AS BIGINT)").await.unwrap();
    prepared.abandon().await;
    assert_eq!((fixture.files_on_disk(), newest(&fixture).await), (2, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_exactly_one_commit() {
    for fault in [Fault::AnswerLost, Fault::AnswerLostThenExists] {
        let (store, fixture) = faulty().await;
        store.inject("00001.json", fault, 1);
        let landed = fixture.append("SELECT CAST(1 AS BIGINT)").await.unwrap();
        assert_eq!((landed.version, newest(&fixture).await), (1, Some(1)), "{fault:?}");
        assert!(fixture.query(COUNT_AND_SUM).await.contains("| 2 | 1 |"));

        let fresh = Arc::new(FaultyStore::new());
        fresh.inject("00000.json", fault, 1);
        let fixture = Fixture::over(fresh);
        assert_eq!(fixture.create_as("SELECT 1 AS n").await.unwrap().version, 0, "{fault:?}");
        assert_eq!(newest(&fixture).await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_recovers_costs_nothing() {
    let (store, fixture) = faulty().await;
    store.inject("00001.json", Fault::Unavailable, 2);
    assert_eq!(fixture.append("SELECT CAST(1 AS BIGINT)").await.unwrap().version, 1);
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 2 | 1 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_storage_that_stays_away_leaves_the_files() {
    let store = Arc::new(FaultyStore::over(InMemory::new()));
    let url = Url::parse("s3://bucket/t").unwrap();
    let location = TableLocation::with_store("default.t", &url, store.clone()).unwrap();
    let fixture = Fixture { location, ..Fixture::new() };
    fixture.create_as("SELECT CAST(0 AS BIGINT) AS n").await.unwrap();
    store.inject("00001.json", Fault::Unavailable, usize::MAX);
    let unknown = fixture.append("SELECT CAST(1 AS BIGINT)").await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Service);
    assert!(unknown.message.ends_with("it is not known whether it landed"), "{}", unknown.message);
    let files = store.list(None).try_collect::<Vec<_>>().await.unwrap();
    let data_files = files.iter().filter(|file| file.location.as_ref().ends_with(".parquet")).count();
    assert_eq!(data_files, 2, "a late commit would need them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_disk_that_stays_away_leaves_nothing() {
    let (store, fixture) = faulty().await;
    store.inject("00001.json", Fault::Unavailable, usize::MAX);
    let failed = fixture.append("SELECT CAST(1 AS BIGINT)").await.unwrap_err();
    assert_eq!(
        (failed.kind(), failed.message.as_str()),
        (ErrorKind::Service, "cannot write the table default.t: the storage failed")
    );
    assert_eq!((fixture.files_on_disk(), newest(&fixture).await), (1, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_forbids_leaves_nothing() {
    let (store, fixture) = faulty().await;
    store.inject("00001.json", Fault::Forbidden, usize::MAX);
    let refused = fixture.append("SELECT CAST(1 AS BIGINT)").await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.message.as_str()),
        (ErrorKind::Config, "cannot write the table default.t: permission is denied")
    );
    assert_eq!((fixture.files_on_disk(), newest(&fixture).await), (1, Some(0)));

    store.inject(".parquet", Fault::Forbidden, usize::MAX);
    let refused = fixture.append("SELECT CAST(1 AS BIGINT)").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_fails_is_a_warning() {
    let (store, fixture) = faulty().await;
    let mut definition = fixture.definition_of("SELECT 1 AS n").await;
    definition.properties.insert("delta.checkpointInterval".into(), "2".into());
    store.inject(".checkpoint.parquet", Fault::Unavailable, usize::MAX);
    store.inject("_last_checkpoint", Fault::Unavailable, usize::MAX);
    fixture.write(WriteKind::CreateOrReplace(definition), "SELECT 1 AS n").await.unwrap();
    fixture.append("SELECT 2").await.unwrap();
    let landed = fixture.append("SELECT 3").await.unwrap();
    assert_eq!((landed.version, landed.warnings.len()), (3, 1));
    assert!(landed.warnings[0].starts_with("version 3 of default.t is committed, but its checkpoint failed"));
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 3 | 6 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_written_and_read() {
    let fixture = fixture().await;
    let mut definition = fixture.definition_of("SELECT 1 AS n").await;
    definition.properties.insert("delta.checkpointInterval".into(), "3".into());
    fixture.write(WriteKind::CreateOrReplace(definition), "SELECT 1 AS n").await.unwrap();
    for n in 2..=4 {
        let landed = fixture.append(&format!("SELECT {n}")).await.unwrap();
        assert_eq!(landed.warnings, Vec::<String>::new());
    }
    let log = fixture.folder.path().join("t/_delta_log");
    assert!(log.join("00000000000000000002.checkpoint.parquet").exists());
    assert!(log.join("_last_checkpoint").exists());
    std::fs::remove_file(log.join("00000000000000000000.json")).unwrap();
    std::fs::remove_file(log.join("00000000000000000001.json")).unwrap();
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 4 | 10 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_an_application_lands_once() {
    let fixture = fixture().await;
    let request = |version| {
        let mut request = WriteRequest::new(fixture.location.clone(), WriteKind::Append);
        let application_id = "stream-1".to_owned();
        request.transaction = Some(ApplicationTransaction { application_id, version });
        request
    };
    let sql = "SELECT CAST(1 AS BIGINT)";
    let first = fixture.plan_request(request(1), sql).await.unwrap().run(fixture.session.task_ctx()).await.unwrap();
    let rival = fixture.plan_request(request(1), sql).await.unwrap().run(fixture.session.task_ctx()).await.unwrap();
    first.commit(None).await.unwrap();
    let info = &fixture.actions(1, "commitInfo")[0];
    assert_eq!(info["operation"], "STREAMING UPDATE");
    let batch = serde_json::json!({"outputMode": "Append", "queryId": "stream-1", "epochId": "1"});
    assert_eq!(info["operationParameters"], batch);
    assert_eq!(info["operationMetrics"]["numAddedFiles"], "1");
    let lost = rival.commit(None).await.unwrap_err();
    assert!(lost.message.ends_with("came from the same stream or job"), "{}", lost.message);
    let table = fixture.location.open_existing().await.unwrap();
    assert_eq!(transaction_version(&table, "stream-1").await.unwrap(), Some(1));
    assert_eq!(transaction_version(&table, "stream-2").await.unwrap(), None);
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 2 | 1 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_where_the_folder_should_be_is_a_matter_of_configuration() {
    let fixture = Fixture::new();
    std::fs::write(fixture.folder.path().join("t"), "not a folder").unwrap();
    let error = fixture.create_as("SELECT 1 AS n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}
