//! Compaction, checkpoints and clean-up, next to appends.

use std::collections::BTreeSet;

use super::kept::{in_memory, kept};
use super::*;
use crate::testing::Fault;

const COUNT_AND_SUM: &str = "SELECT count(*) AS c, sum(n) AS s FROM t";

async fn tended(fixture: &Fixture, handle: &Arc<TableHandle>) -> Maintained {
    let done = maintain(handle, &fixture.session.task_ctx()).await;
    assert_eq!(done.warnings, Vec::<String>::new());
    done
}

fn log_files(fixture: &Fixture) -> BTreeSet<String> {
    let entries = std::fs::read_dir(fixture.folder.path().join("t/_delta_log")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_are_merged_and_no_row_changes() {
    let (fixture, handle) = kept().await;
    for version in 1..=15 {
        fixture.step(&handle, version).await.unwrap();
    }
    let merged = compact(&handle, &fixture.session.task_ctx()).await.unwrap().unwrap();
    assert_eq!((merged.version, merged.files, merged.rows), (16, 1, 16));
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 16 | 120 |"));
    assert!(compact(&handle, &fixture.session.task_ctx()).await.unwrap().is_none());
    let status = handle.status().unwrap();
    assert_eq!((status.files, status.small_files, status.bytes), (1, 1, merged.bytes));

    let (adds, removes) = (fixture.actions(16, "add"), fixture.actions(16, "remove"));
    assert_eq!((adds.len(), removes.len()), (1, 16));
    assert!(adds.iter().chain(&removes).all(|action| action["dataChange"] == false));
    let statistics = &fixture.statistics(16)[0];
    assert_eq!(
        (&statistics["numRecords"], &statistics["minValues"]["n"], &statistics["maxValues"]["n"]),
        (&16.into(), &0.into(), &15.into())
    );
    let info = &fixture.actions(16, "commitInfo")[0];
    assert_eq!((&info["operation"], &info["operationMetrics"]["numRemovedFiles"]), (&"OPTIMIZE".into(), &"16".into()));
    assert_eq!(handle.landed("app").await.unwrap(), Some(15));
    assert_eq!(TableHandle::new(fixture.location.clone()).landed("app").await.unwrap(), Some(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_and_odd_values_are_kept_apart() {
    let fixture = Fixture::new();
    let sql = "SELECT CAST(0 AS BIGINT) AS n, 'a/b %' AS p, CAST(NULL AS DOUBLE) AS d";
    let mut definition = fixture.definition_of(sql).await;
    definition.partition_columns = vec!["p".into()];
    fixture.write(WriteKind::Create(definition), sql).await.unwrap();
    for n in 1..=15 {
        fixture.append(&format!("VALUES ({n}, 'a/b %', CAST('NaN' AS DOUBLE)), ({n}, NULL, 1.5)")).await.unwrap();
    }
    fixture.append("SELECT 16, NULL, 2.5").await.unwrap();
    let sql = "SELECT p, count(*) AS c, sum(n) AS s, count(d) AS d FROM t GROUP BY p ORDER BY p";
    let before = fixture.query(sql).await;
    let handle = TableHandle::new(fixture.location.clone());
    assert!(tended(&fixture, &handle).await.compactions.is_empty(), "not before it is used");
    assert!(handle.exists().await.unwrap());
    let done = tended(&fixture, &handle).await;
    assert_eq!(done.compactions.len(), 1);
    assert_eq!((done.compactions[0].files, done.compactions[0].rows), (2, 32));
    assert_eq!(fixture.query(sql).await, before);
    assert_eq!(handle.status().unwrap().files, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_and_compaction_go_on_beside_each_other() {
    let (fixture, handle) = kept().await;
    let fixture = Arc::new(fixture);
    let (worker, beside) = (Arc::clone(&fixture), Arc::clone(&handle));
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let upkeep = tokio::spawn(async move {
        let mut merges = 0;
        while stopped.try_recv().is_err() {
            merges += tended(&worker, &beside).await.compactions.len();
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        merges
    });
    for version in 1..=200 {
        fixture.step(&handle, version).await.unwrap();
    }
    stop.send(()).unwrap();
    assert!(upkeep.await.unwrap() >= 5);
    tended(&fixture, &handle).await;
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 201 | 20100 |"));
    let files = handle.status().unwrap().files;
    assert!(files < 32, "{files} files");
    let detail = detail(&fixture.location, &fixture.location.open_existing().await.unwrap()).unwrap();
    assert_eq!((detail.files as u64, detail.bytes), (files, handle.status().unwrap().bytes), "the handle counts right");
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_gives_way_to_who_removes_its_files() {
    let (fixture, handle) = kept().await;
    for version in 1..=15 {
        fixture.step(&handle, version).await.unwrap();
    }
    // The handle does not see the commit when it plans.
    fixture.write(WriteKind::Overwrite, "SELECT CAST(9 AS BIGINT)").await.unwrap();
    assert!(compact(&handle, &fixture.session.task_ctx()).await.unwrap().is_none());
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 1 | 9 |"));
    assert_eq!((handle.status().unwrap().files, fixture.files_on_disk()), (1, 17), "its own file is gone again");

    // An append of another writer is no conflict.
    for version in 16..=30 {
        fixture.step(&handle, version).await.unwrap();
    }
    fixture.append("SELECT CAST(1 AS BIGINT)").await.unwrap();
    assert_eq!(compact(&handle, &fixture.session.task_ctx()).await.unwrap().unwrap().version, 33);
    assert!(fixture.query("SELECT count(*) AS c FROM t").await.contains("| 17 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_differs_from_the_log_is_not_merged() {
    let (fixture, handle) = kept().await;
    for version in 1..=15 {
        fixture.step(&handle, version).await.unwrap();
    }
    let path = fixture.actions(7, "add")[0]["path"].as_str().unwrap().to_owned();
    std::fs::write(fixture.folder.path().join("t").join(&path), "no Parquet").unwrap();
    assert!(compact(&handle, &fixture.session.task_ctx()).await.unwrap().is_none());
    fixture.step(&handle, 16).await.unwrap();
    let merged = compact(&handle, &fixture.session.task_ctx()).await.unwrap().unwrap();
    assert_eq!((merged.rows, handle.status().unwrap().files), (16, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_checkpointed_and_old_files_are_deleted() {
    let fixture = Fixture::new();
    let sql = "SELECT CAST(0 AS BIGINT) AS n";
    let mut definition = fixture.definition_of(sql).await;
    for (key, value) in [
        ("delta.checkpointInterval", "10"),
        ("delta.logRetentionDuration", "interval 0 seconds"),
        ("delta.deletedFileRetentionDuration", "interval 0 seconds"),
    ] {
        definition.properties.insert(key.into(), value.into());
    }
    fixture.write(WriteKind::Create(definition), sql).await.unwrap();
    let handle = TableHandle::new(fixture.location.clone());
    for version in 1..=40 {
        fixture.step(&handle, version).await.unwrap();
    }
    let orphan = fixture.folder.path().join("t/part-of-an-append-in-flight.parquet");
    std::fs::write(&orphan, "").unwrap();
    let first = tended(&fixture, &handle).await;
    assert_eq!((first.compactions.len(), first.checkpoint), (1, Some(41)));
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let second = tended(&fixture, &handle).await;
    assert_eq!(first.data_files_deleted + second.data_files_deleted, 41);
    assert_eq!(first.log_files_deleted + second.log_files_deleted, 41);
    let log = log_files(&fixture);
    let wanted = ["00000000000000000041.checkpoint.parquet", "00000000000000000041.json", "_last_checkpoint"];
    assert_eq!(log, wanted.map(str::to_owned).into());
    let left = fixture.files_on_disk();
    assert_eq!((left, orphan.exists()), (3, true), "the merged, the checkpoint, and what no log names");
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 41 | 820 |"));
    fixture.step(&handle, 41).await.unwrap();
    assert_eq!(TableHandle::new(fixture.location.clone()).landed("app").await.unwrap(), Some(41));
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_files_of_an_earlier_process_are_deleted_unless_they_came_back() {
    let (fixture, handle) = kept().await;
    for version in 1..=15 {
        fixture.step(&handle, version).await.unwrap();
    }
    tended(&fixture, &handle).await;
    assert_eq!(fixture.files_on_disk(), 17, "seven days have not passed");
    // Other writers shorten the retention and restore one of the merged files.
    let back = fixture.actions(3, "add")[0].clone();
    let mut metadata = fixture.actions(0, "metaData")[0].clone();
    metadata["configuration"]["delta.deletedFileRetentionDuration"] = "interval 0 seconds".into();
    let lines = [serde_json::json!({"metaData": metadata}), serde_json::json!({"add": back})];
    let text = lines.map(|line| line.to_string()).join("\n");
    std::fs::write(fixture.folder.path().join("t/_delta_log/00000000000000000017.json"), text).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;

    let successor = TableHandle::new(fixture.location.clone());
    assert!(successor.exists().await.unwrap());
    assert_eq!(tended(&fixture, &successor).await.data_files_deleted, 15);
    handle.refresh().await.unwrap();
    for handle in [handle, successor] {
        tended(&fixture, &handle).await;
        assert_eq!(fixture.files_on_disk(), 2);
        assert!(fixture.query("SELECT count(*) AS c FROM t").await.contains("| 17 |"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_task_is_reported_once_a_minute_and_stops_no_other() {
    let (store, fixture) = in_memory().await;
    let handle = TableHandle::new(fixture.location.clone());
    for version in 1..=15 {
        fixture.step(&handle, version).await.unwrap();
    }
    store.inject("part-", Fault::Forbidden, 1);
    let failed = maintain(&handle, &fixture.session.task_ctx()).await.warnings;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].starts_with("the small files of default.t were not merged: "), "{failed:?}");
    assert!(tended(&fixture, &handle).await.compactions.is_empty());
    assert_eq!(fixture.step(&handle, 16).await.unwrap().version, 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_the_network_is_tended_with_few_requests() {
    let (store, fixture) = in_memory().await;
    let handle = TableHandle::new(fixture.location.clone());
    for version in 1..=15 {
        fixture.step(&handle, version).await.unwrap();
    }
    tended(&fixture, &handle).await;
    for version in 16..=30 {
        fixture.step(&handle, version).await.unwrap();
    }
    store.take_requests();
    assert_eq!(tended(&fixture, &handle).await.compactions.len(), 0);
    assert_eq!(store.take_requests().len(), 0, "nothing was due");
    fixture.step(&handle, 31).await.unwrap();
    store.take_requests();
    assert_eq!(tended(&fixture, &handle).await.compactions.len(), 1);
    let requests = store.take_requests();
    assert_eq!((requests.get("PUT"), requests.get("LIST")), (Some(&2), None), "{requests:?}");
}
