//! Rejects, DESCRIBE, and DROP TABLE.

use arrow::datatypes::DataType;
use bytes::Bytes;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::*;
use crate::testing::{Fault, FaultyStore};
use pinsql_base::error::ErrorCode;
use pinsql_base::rejects::{Fault as RecordFault, Reject, Rejects};

fn reject(line: usize) -> Reject {
    Reject {
        source: "s3://raw/pins/1.json".into(),
        position: format!("line {line}"),
        fault: RecordFault::new(ErrorCode::InvalidRecord, "not JSON"),
        raw: Bytes::from_static(b"{\xff"),
    }
}

/// Rejects `count` records in one statement.
async fn reject_many(fixture: &Fixture, count: usize, mode: RejectsMode) -> Result<Option<Committed>> {
    let (rejects, receiver) = Rejects::channel();
    let table = RejectsTable::start(receiver, fixture.location.clone(), "run-1", &fixture.session.task_ctx()).unwrap();
    for line in 0..count {
        rejects.push(reject(line)).await.unwrap();
    }
    // The sender is still open: a plan may hold it for longer than its statement runs.
    table.finish(mode, None, Some("{}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_are_kept_as_the_statement_says() {
    let fixture = Fixture::new();
    assert!(reject_many(&fixture, 0, RejectsMode::Append).await.unwrap().is_none());
    assert!(reject_many(&fixture, 0, RejectsMode::Replace).await.unwrap().is_none(), "no rejects, no table");

    let first = reject_many(&fixture, 3_000, RejectsMode::Append).await.unwrap().unwrap();
    assert_eq!((first.version, first.rows, first.files), (0, 3_000, 1));
    reject_many(&fixture, 2, RejectsMode::Append).await.unwrap().unwrap();
    let rows = fixture.query("SELECT count(*) AS n, max(encode(raw, 'hex')) AS raw, max(run_id) AS run FROM t").await;
    assert!(rows.contains("| 3002 | 7bff | run-1 |"), "{rows}");

    reject_many(&fixture, 1, RejectsMode::Replace).await.unwrap().unwrap();
    let rows = fixture.query("SELECT source, position, reason FROM t").await;
    assert!(rows.contains("| s3://raw/pins/1.json | line 0   | not JSON |"), "{rows}");
    let emptied = reject_many(&fixture, 0, RejectsMode::Replace).await.unwrap().unwrap();
    assert_eq!((emptied.version, emptied.rows), (3, 0));
    assert!(fixture.query("SELECT count(*) AS n FROM t").await.contains("| 0 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_run_again_rejects_once() {
    let fixture = Fixture::new();
    let handle = TableHandle::new(fixture.location.clone());
    let reject_in = async |version: i64, handle: Option<&Arc<TableHandle>>, count: usize| {
        let (rejects, receiver) = Rejects::channel();
        let context = fixture.session.task_ctx();
        let table = match handle {
            Some(handle) => RejectsTable::start_on(handle, receiver, "run-1", &context).unwrap(),
            None => RejectsTable::start(receiver, fixture.location.clone(), "run-1", &context).unwrap(),
        };
        for line in 0..count {
            rejects.push(reject(line)).await.unwrap();
        }
        let step = ApplicationTransaction { application_id: "app".into(), version };
        table.finish(RejectsMode::Append, Some(step), None).await.unwrap().map(|landed| (landed.version, landed.rows))
    };
    let handle = Some(&handle);
    assert_eq!(reject_in(1, handle, 0).await, None);
    assert!(!fixture.location.exists().await.unwrap());
    assert_eq!(reject_in(2, handle, 3).await, Some((0, 3)), "the table is made");
    assert_eq!(reject_in(2, handle, 3).await, None);
    assert_eq!(reject_in(2, None, 3).await, None);
    assert_eq!(reject_in(3, handle, 0).await, None);
    assert_eq!(reject_in(4, handle, 2).await, Some((1, 2)));
    assert_eq!(reject_in(4, handle, 2).await, None);
    assert_eq!(reject_in(5, None, 1).await, Some((2, 1)));
    assert_eq!(reject_in(5, handle, 1).await, None, "another process did it");
    assert_eq!(fixture.files_on_disk(), 3);
    assert!(fixture.query("SELECT count(*) AS n FROM t").await.contains("| 6 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_other_columns_is_not_used_for_rejects() {
    let fixture = Fixture::new();
    fixture.create_as("SELECT 1 AS mine").await.unwrap();
    for mode in [RejectsMode::Append, RejectsMode::Replace] {
        let error = reject_many(&fixture, 1, mode).await.unwrap_err();
        assert!(error.message.contains("has other columns than a table of rejects"), "{}", error.message);
    }
    assert_eq!((fixture.files_on_disk(), fixture.query("SELECT mine FROM t").await.contains("| 1    |")), (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejects_table_of_an_older_version_gets_the_new_columns() {
    let old = "SELECT CAST(NULL AS TIMESTAMP) AS rejected_at, 'run-0' AS run_id, 'a' AS source, 'line 1' AS position, \
               'old' AS reason, CAST('{' AS BYTEA) AS raw";
    for mode in [RejectsMode::Append, RejectsMode::Replace] {
        let fixture = Fixture::new();
        let definition = TableDefinition { columns: rejects_definition().columns[..6].to_vec(), ..Default::default() };
        fixture.write(WriteKind::Create(definition), old).await.unwrap();
        reject_many(&fixture, 1, mode).await.unwrap().unwrap();
        reject_many(&fixture, 1, RejectsMode::Append).await.unwrap().unwrap();
        let rows = fixture.query("SELECT reason, class, value FROM t WHERE run_id = 'run-1'").await;
        assert_eq!(rows.matches("| not JSON | INVALID_RECORD |").count(), 2, "{rows}");
        let kept = fixture.query("SELECT count(*) AS n FROM t WHERE class IS NULL AND reason = 'old'").await;
        assert!(kept.contains(if mode == RejectsMode::Append { "| 1 |" } else { "| 0 |" }), "{kept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_rejects_leave_nothing() {
    let fixture = Fixture::new();
    let (rejects, receiver) = Rejects::channel();
    let table = RejectsTable::start(receiver, fixture.location.clone(), "run-1", &fixture.session.task_ctx()).unwrap();
    for line in 0..2_000 {
        rejects.push(reject(line)).await.unwrap();
    }
    assert!(table.abandon().await.is_none());
    assert_eq!(fixture.files_on_disk(), 0);
    assert!(!fixture.location.exists().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_learns_why_its_rejects_could_not_be_kept() {
    let store = Arc::new(FaultyStore::new());
    store.inject(".parquet", Fault::Forbidden, usize::MAX);
    let fixture = Fixture::over(store);
    let (rejects, receiver) = Rejects::channel();
    // Without memory each batch is uploaded at once, and large ones in parts.
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(1, 1.0).build_arc().unwrap();
    let context = TaskContext::default().with_runtime(runtime);
    let table = RejectsTable::start(receiver, fixture.location.clone(), "run-1", &context).unwrap();
    let mut raw = vec![0; 256 << 10];
    for line in 0.. {
        rand::fill(&mut raw[..]);
        if rejects.push(Reject { raw: raw.clone().into(), ..reject(line) }).await.is_err() {
            break;
        }
        assert!(line < 400, "the store forbids it, and the writer goes on");
    }
    let why = table.abandon().await.unwrap();
    assert_eq!(why.message, "cannot write the table default.t: permission is denied");
    assert_eq!(fixture.files_on_disk(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_describes_itself() {
    let fixture = Fixture::new();
    let sql = "SELECT CAST(1 AS BIGINT) AS n, 'a' AS p, make_array(1.5) AS list";
    let mut wanted = fixture.definition_of(sql).await;
    wanted.partition_columns = vec!["p".into()];
    wanted.comment = Some("about pins".into());
    wanted.columns[0].comment = Some("the number".into());
    wanted.properties.insert("quality".into(), "gold".into());
    fixture.write(WriteKind::Create(wanted), sql).await.unwrap();
    fixture.append("SELECT 2, 'b', make_array(2.5)").await.unwrap();

    let entries = history(&fixture.location, None).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(entries[0].operation.as_deref(), Some("WRITE"));
    assert_eq!(entries[0].operation_parameters["mode"], "Append");
    assert_eq!((entries[0].read_version, entries[0].is_blind_append), (Some(0), Some(true)));
    assert_eq!(entries[0].operation_metrics["numOutputRows"], "1");
    assert_eq!(entries[1].operation_parameters["partitionBy"], r#"["p"]"#);
    assert_eq!(entries[1].user_metadata.as_deref(), Some(r#"{"read":1}"#));
    assert!(entries[1].engine_info.as_deref().unwrap().starts_with("pinsql/"));
    assert_eq!(history(&fixture.location, Some(1)).await.unwrap().len(), 1);

    let table = fixture.location.open_existing().await.unwrap();
    let detail = detail(&fixture.location, &table).unwrap();
    assert_eq!((detail.version, detail.files, detail.partition_columns.as_slice()), (1, 2, &["p".to_owned()][..]));
    assert_eq!((detail.min_reader_version, detail.min_writer_version), (1, 2));
    assert_eq!(detail.description.as_deref(), Some("about pins"));
    assert!(detail.bytes > 0 && detail.created_at_ms.is_some());
    assert!(detail.location.starts_with("file:///") && detail.location.ends_with("/t"));

    let said = definition(&fixture.location, &table).unwrap();
    assert_eq!(said.columns[0].comment.as_deref(), Some("the number"));
    assert_eq!(said.columns[0].data_type, DataType::Int64);
    assert_eq!(sql_name(&said.columns[2].data_type), "ARRAY<DOUBLE>");
    assert_eq!(said.properties["quality"], "gold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_table_is_gone() {
    let fixture = Fixture::new();
    fixture.create_as("SELECT 1 AS n").await.unwrap();
    drop_table(&fixture.location).await.unwrap();
    assert!(!fixture.location.exists().await.unwrap());
    assert!(!fixture.folder.path().join("t").exists());
    drop_table(&fixture.location).await.unwrap();
    assert_eq!(fixture.create_as("SELECT 2 AS n").await.unwrap().version, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_an_object_store_is_dropped_too() {
    let store: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let url = Url::parse("s3://bucket/warehouse/default/t").unwrap();
    let fixture = Fixture::new();
    let location = TableLocation::with_store("default.t", &url, store.clone()).unwrap();
    let fixture = Fixture { location, ..fixture };
    fixture.create_as("SELECT 1 AS n").await.unwrap();
    fixture.append("SELECT 2").await.unwrap();
    assert_eq!(history(&fixture.location, None).await.unwrap().len(), 2);
    drop_table(&fixture.location).await.unwrap();
    assert!(!fixture.location.exists().await.unwrap());
    use futures::StreamExt;
    assert_eq!(store.list(None).count().await, 0);
}

fn in_object_store(store: Arc<dyn ObjectStore>) -> Fixture {
    let url = Url::parse("s3://bucket/warehouse/default/t").unwrap();
    let location = TableLocation::with_store("default.t", &url, store.clone()).unwrap();
    let fixture = Fixture { location, ..Fixture::new() };
    fixture.session.register_object_store(&url, store);
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_table_comes_back() {
    for fixture in [Fixture::new(), in_object_store(Arc::new(object_store::memory::InMemory::new()))] {
        let location = &fixture.location;
        fixture.create_as("SELECT 1 AS n").await.unwrap();
        fixture.append("SELECT 2").await.unwrap();
        assert!(!undrop_table(location, &["_beside"]).await.unwrap(), "nothing is dropped");
        set_aside(location, &["_beside"]).await.unwrap();
        assert_eq!((location.exists().await.unwrap(), has_dropped(location).await.unwrap()), (false, true));
        assert!(undrop_table(location, &["_beside"]).await.unwrap());
        assert!(!has_dropped(location).await.unwrap());
        assert_eq!(history(location, None).await.unwrap().len(), 2);
        assert!(fixture.query("SELECT sum(n) AS n FROM t").await.contains("| 3 |"));

        // A new table of the same name is not replaced by the old one.
        set_aside(location, &[]).await.unwrap();
        assert_eq!(fixture.create_as("SELECT 7 AS m").await.unwrap().version, 0);
        let there = undrop_table(location, &[]).await.unwrap_err();
        assert_eq!(there.message, "there is a new table default.t");
        set_aside(location, &[]).await.unwrap();
        assert!(undrop_table(location, &[]).await.unwrap());
        assert!(fixture.query("SELECT m FROM t").await.contains("| 7 |"), "the last one comes back");

        let request = VacuumRequest { retention: None, checks_retention: true, dry_run: false };
        vacuum(location, &request).await.unwrap();
        assert!(!has_dropped(location).await.unwrap(), "VACUUM deletes what was dropped");
        assert!(fixture.query("SELECT m FROM t").await.contains("| 7 |"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_drop_is_finished_by_the_next_one() {
    let store = Arc::new(FaultyStore::over(object_store::memory::InMemory::new()));
    let fixture = in_object_store(store.clone());
    let location = &fixture.location;
    fixture.create_as("SELECT 1 AS n").await.unwrap();
    fixture.append("SELECT 2").await.unwrap();
    let log = Path::from("warehouse/default/t/_delta_log");
    let first = log.clone().join("00000000000000000000.json");
    let commit = store.get(&first).await.unwrap().bytes().await.unwrap();
    set_aside(location, &[]).await.unwrap();

    // A part of the log is left, as after a crash among the deletions: the newest commit.
    let place = store.list_with_delimiter(Some(&Path::from("warehouse/default/t/_dropped"))).await.unwrap();
    let place = place.common_prefixes[0].clone().join("_delta_log");
    let second = "00000000000000000001.json";
    let newest = store.get(&place.clone().join(second)).await.unwrap().bytes().await.unwrap();
    store.put(&log.clone().join(second), newest.into()).await.unwrap();
    set_aside(location, &[]).await.unwrap();
    let places = store.list_with_delimiter(Some(&Path::from("warehouse/default/t/_dropped"))).await.unwrap();
    assert_eq!(places.common_prefixes.len(), 1, "the second DROP takes the place of the first");

    // The same for UNDROP: a part of the log is back.
    let newest = store.get(&place.clone().join(second)).await.unwrap().bytes().await.unwrap();
    store.put(&log.join(second), newest.into()).await.unwrap();
    assert!(undrop_table(location, &[]).await.unwrap());
    assert_eq!(store.get(&first).await.unwrap().bytes().await.unwrap(), commit);
    assert!(fixture.query("SELECT sum(n) AS n FROM t").await.contains("| 3 |"));
}
