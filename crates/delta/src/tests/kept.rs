//! Appends through a handle: their cost, and conflicts with other writers.

use std::collections::BTreeMap;

use object_store::memory::InMemory;

use super::*;
use crate::testing::{Fault, FaultyStore};
use pinsql_base::error::ErrorKind;

const COUNT_AND_SUM: &str = "SELECT count(*) AS c, sum(n) AS s FROM t";

impl Fixture {
    /// One step of the stream `app`: a row with its number.
    pub(super) async fn step(&self, handle: &Arc<TableHandle>, version: i64) -> Result<Committed> {
        self.prepared_step(handle, version).await?.commit(None).await
    }

    pub(super) async fn prepared_step(&self, handle: &Arc<TableHandle>, version: i64) -> Result<PreparedWrite> {
        let step = ApplicationTransaction { application_id: "app".into(), version };
        let request = WriteRequest::append_to(handle, Some(step));
        let write = self.plan_request(request, &format!("SELECT CAST({version} AS BIGINT) AS n")).await?;
        write.run(self.session.task_ctx()).await
    }
}

pub(super) async fn kept() -> (Fixture, Arc<TableHandle>) {
    let fixture = Fixture::new();
    fixture.create_as("SELECT CAST(0 AS BIGINT) AS n").await.unwrap();
    let handle = TableHandle::new(fixture.location.clone());
    (fixture, handle)
}

/// A table in an object store that counts its requests.
pub(super) async fn in_memory() -> (Arc<FaultyStore>, Fixture) {
    let store = Arc::new(FaultyStore::over(InMemory::new()));
    let url = Url::parse("s3://bucket/t").unwrap();
    let location = TableLocation::with_store("default.t", &url, store.clone()).unwrap();
    let fixture = Fixture { location, ..Fixture::new() };
    fixture.create_as("SELECT CAST(0 AS BIGINT) AS n").await.unwrap();
    (store, fixture)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_commit_costs_the_same_requests() {
    let (store, fixture) = in_memory().await;
    let handle = TableHandle::new(fixture.location.clone());
    fixture.step(&handle, 1).await.unwrap();
    store.take_requests();
    for version in 2..=150 {
        let landed = fixture.step(&handle, version).await.unwrap();
        assert_eq!((landed.version, landed.warnings.len()), (version as u64, 0));
        assert_eq!(store.take_requests(), BTreeMap::from([("HEAD", 1), ("PUT", 2)]), "commit {version}");
    }
    assert_eq!(handle.landed("app").await.unwrap(), Some(150));
    assert_eq!(store.take_requests(), BTreeMap::from([("GET", 1), ("HEAD", 1)]), "only the next version is looked for");
    let status = handle.status().unwrap();
    assert_eq!((status.version, status.files), (150, 151));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_learns_what_others_commit() {
    let (fixture, handle) = kept().await;
    let other = TableHandle::new(fixture.location.clone());
    assert_eq!(handle.landed("app").await.unwrap(), None);
    fixture.step(&handle, 1).await.unwrap();
    fixture.append("SELECT CAST(100 AS BIGINT)").await.unwrap();
    assert_eq!(fixture.step(&handle, 2).await.unwrap().version, 3);
    assert_eq!(other.landed("app").await.unwrap(), Some(2));

    // Another process has committed the step: this one neither repeats it nor loses its place.
    let rival = fixture.step(&other, 3).await.unwrap();
    let lost = fixture.step(&handle, 3).await.unwrap_err();
    assert_eq!((rival.version, lost.kind()), (4, ErrorKind::Service));
    assert!(lost.message.ends_with("came from the same stream or job"), "{}", lost.message);
    assert_eq!(handle.landed("app").await.unwrap(), Some(3));
    let again = fixture.step(&handle, 3).await.unwrap_err();
    assert!(again.message.ends_with("it came from the same stream or job"), "{}", again.message);
    assert_eq!(fixture.step(&handle, 4).await.unwrap().version, 5);
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 6 | 110 |"));
    assert_eq!(fixture.files_on_disk(), 6, "what lost is deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_table_is_opened_anew() {
    let (fixture, handle) = kept().await;
    fixture.step(&handle, 1).await.unwrap();
    let planned = fixture.prepared_step(&handle, 2).await.unwrap();
    fixture.replace_as("SELECT CAST(7 AS BIGINT) AS m").await.unwrap();
    let lost = planned.commit(None).await.unwrap_err();
    assert!(lost.message.ends_with("replaced or altered the table"), "{}", lost.message);
    let refused = fixture.step(&handle, 2).await.unwrap_err();
    assert_eq!(refused.message, "the table default.t has no column `n`");
    assert_eq!(handle.landed("app").await.unwrap(), Some(1), "who replaces a table keeps its transactions");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_put_behind_a_log_that_moved_on() {
    let (_, fixture) = in_memory().await;
    let handle = TableHandle::new(fixture.location.clone());
    fixture.step(&handle, 1).await.unwrap();
    let planned = fixture.prepared_step(&handle, 2).await.unwrap();
    drop_table(&fixture.location).await.unwrap();
    fixture.create_as("SELECT CAST(50 AS BIGINT) AS n").await.unwrap();
    let lost = planned.commit(None).await.unwrap_err();
    assert!(lost.message.contains("no longer has the version"), "{}", lost.message);
    assert_eq!(fixture.step(&handle, 2).await.unwrap().version, 1, "the new table is taken as it is");
    assert_eq!(handle.landed("app").await.unwrap(), Some(2));

    drop_table(&fixture.location).await.unwrap();
    assert_eq!(handle.landed("app").await.unwrap(), None);
    let missing = fixture.step(&handle, 3).await.unwrap_err();
    assert_eq!((missing.kind(), missing.message.as_str()), (ErrorKind::Sql, "there is no table default.t"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_in_the_log() {
    for fault in [Fault::AnswerLost, Fault::AnswerLostThenExists] {
        let (store, fixture) = in_memory().await;
        let handle = TableHandle::new(fixture.location.clone());
        store.inject("00002.json", fault, 1);
        for version in 1..=3 {
            assert_eq!(fixture.step(&handle, version).await.unwrap().version, version as u64, "{fault:?}");
        }
        assert_eq!(handle.status().unwrap().files, 4);
    }
    let (store, fixture) = in_memory().await;
    let handle = TableHandle::new(fixture.location.clone());
    store.inject("00001.json", Fault::Unavailable, usize::MAX);
    let unknown = fixture.step(&handle, 1).await.unwrap_err();
    assert!(unknown.message.ends_with("it is not known whether it landed"), "{}", unknown.message);
    assert_eq!(handle.landed("app").await.unwrap(), None, "and so it is known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_far_behind_opens_the_table_anew() {
    let (fixture, handle) = kept().await;
    fixture.step(&handle, 1).await.unwrap();
    let other = TableHandle::new(fixture.location.clone());
    for version in 2..=300 {
        fixture.step(&other, version).await.unwrap();
    }
    assert_eq!(handle.landed("app").await.unwrap(), Some(300));
    assert_eq!(fixture.step(&handle, 301).await.unwrap().version, 301);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_matches_columns_by_name() {
    let (fixture, handle) = kept().await;
    fixture.step(&handle, 1).await.unwrap();
    let add = |name: &str, nullable: bool| {
        let data_type = arrow::datatypes::DataType::Utf8;
        let column = Column { name: name.to_owned(), data_type, nullable, comment: None };
        Alteration::AddColumns(vec![NewColumn { parents: Vec::new(), column, position: Some(ColumnPosition::First) }])
    };
    // Another writer adds a column before the files are written, and between the files and their commit.
    alter(&fixture.location, add("s", true), None).await.unwrap();
    handle.refresh().await.unwrap();
    fixture.step(&handle, 2).await.unwrap();
    let prepared = fixture.prepared_step(&handle, 3).await.unwrap();
    alter(&fixture.location, add("q", true), None).await.unwrap();
    let lost = prepared.commit(None).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Service, "{lost}");
    fixture.step(&handle, 3).await.unwrap();
    let rows = fixture.query("SELECT sum(n) AS n, count(s) AS s, count(q) AS q FROM t").await;
    assert!(rows.contains("| 6 | 0 | 0 |"), "{rows}");
    // A column of the query that the table does not have, and a NOT NULL column that the query does not have.
    let plan = |sql: &'static str| fixture.plan_request(WriteRequest::append_to(&handle, None), sql);
    let error = plan("SELECT 1 AS other").await.unwrap_err();
    assert_eq!(error.message, "the table default.t has no column `other`");
    alter(&fixture.location, Alteration::SetNullable { column: "n".to_owned(), nullable: false }, None).await.unwrap();
    handle.refresh().await.unwrap();
    let error = plan("SELECT 'a' AS S").await.unwrap_err();
    assert_eq!(error.message, "the column n of default.t is NOT NULL, and the query does not give it");
}
