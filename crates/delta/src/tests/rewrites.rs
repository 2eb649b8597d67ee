//! Statements that change rows: the files that they touch, and their conflicts with other writers.

use datafusion::execution::TaskContext;

use super::*;
use pinsql_base::error::ErrorKind;

/// Three files: 0 to 9, 10 to 19, 20 to 29.
async fn fixture(isolation: &str) -> Fixture {
    let fixture = Fixture::new();
    let rows = |from: u32| format!("SELECT value AS n FROM generate_series({from}, {})", from + 9);
    let mut definition = fixture.definition_of(&rows(0)).await;
    definition.properties.insert("delta.isolationLevel".into(), isolation.into());
    fixture.write(WriteKind::Create(definition), &rows(0)).await.unwrap();
    for from in [10, 20] {
        fixture.append(&rows(from)).await.unwrap();
    }
    fixture
}

/// The plan and the run of a DELETE, before its commit.
pub(super) async fn deleting(fixture: &Fixture, condition: &str) -> PreparedWrite {
    let target = RewriteTarget::open(fixture.location.clone()).await.unwrap();
    let session = SessionContext::new_with_state(fixture.session.state());
    // A fixture deletes more than once.
    session.deregister_table("rows").unwrap();
    session.register_table("rows", target.rows()).unwrap();
    let sql = format!(
        "SELECT \"{FILE_COLUMN}\", \"{ROW_COLUMN}\", CAST(0 AS INT) FROM rows WHERE {condition} \
         ORDER BY \"{FILE_COLUMN}\" NULLS LAST, \"{ROW_COLUMN}\""
    );
    let input = session.sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
    let changes = RowChanges {
        input,
        assigned: Vec::new(),
        actions: vec![RowAction::Delete],
        is_not_matched: vec![false],
        allows_repeats: true,
        condition_of_new: None,
        covered: None,
    };
    let operation = Operation { kind: OperationKind::Delete, parameters: vec![("predicate", condition.to_owned())] };
    let context: Arc<TaskContext> = session.task_ctx();
    target.run(changes, operation, None, &session.state(), &context).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_with_such_rows_are_written_again() {
    let fixture = fixture("WriteSerializable").await;
    let prepared = deleting(&fixture, "n = 13 OR n = 25").await;
    let done = prepared.rewritten().unwrap();
    assert_eq!((done.deleted, done.copied, done.files_removed, done.files_added), (2, 18, 2, 1));
    let landed = prepared.commit(None).await.unwrap();
    let removed = fixture.actions(landed.version, "remove");
    assert_eq!(removed.len(), 2);
    let info = &fixture.actions(landed.version, "commitInfo")[0];
    assert_eq!(info["operation"], "DELETE");
    assert_eq!(info["operationMetrics"]["numDeletedRows"], "2");
    assert_eq!(info["operationMetrics"]["numCopiedRows"], "18");
    assert_eq!(info["isBlindAppend"], false);
    assert!(fixture.query("SELECT count(*) AS c, sum(n) AS s FROM t").await.contains("| 28 | 397 |"));
}

/// A commit of another writer between the read and the commit of the statement.
enum Rival {
    Append(&'static str),
    Delete(&'static str),
    Overwrite,
    Replace,
    Compact,
}

impl Rival {
    async fn act(&self, fixture: &Fixture) {
        match self {
            Self::Append(sql) => drop(fixture.append(sql).await.unwrap()),
            Self::Delete(condition) => drop(deleting(fixture, condition).await.commit(None).await.unwrap()),
            Self::Overwrite => {
                drop(fixture.write(WriteKind::Overwrite, "SELECT CAST(13 AS BIGINT)").await.unwrap());
            }
            Self::Replace => drop(fixture.replace_as("SELECT CAST(13 AS BIGINT) AS n").await.unwrap()),
            Self::Compact => {
                let handle = TableHandle::new(fixture.location.clone());
                assert!(compact(&handle, &fixture.session.task_ctx()).await.unwrap().is_some());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_follows_commits_that_do_not_conflict() {
    const REWRITES: Option<&str> = Some("removed files that this statement rewrites");
    const ADDED: Option<&str> = Some("added rows that this statement would have read");
    let near = "SELECT CAST(14 AS BIGINT)";
    let far = "SELECT CAST(500 AS BIGINT)";
    let cases = [
        // A blind append counts as a later commit, unless the table is Serializable.
        ("WriteSerializable", "n = 13", Rival::Append(near), None),
        ("Serializable", "n BETWEEN 13 AND 15", Rival::Append(near), ADDED),
        ("Serializable", "n = 13", Rival::Append(far), None),
        // The same file, another file, rows that come back in a file of their own.
        ("WriteSerializable", "n = 13", Rival::Delete("n = 14"), REWRITES),
        ("WriteSerializable", "n = 13", Rival::Delete("n = 24"), None),
        ("WriteSerializable", "n >= 13 AND n <> 25 AND n < 14 OR n > 28", Rival::Delete("n = 3"), None),
        ("WriteSerializable", "n = 13", Rival::Overwrite, REWRITES),
        ("WriteSerializable", "n = 13", Rival::Replace, REWRITES),
        // Merging files changes no row, but removes the file that the statement rewrites.
        ("WriteSerializable", "n = 13", Rival::Compact, REWRITES),
    ];
    for (number, (isolation, condition, rival, conflict)) in cases.into_iter().enumerate() {
        let fixture = fixture(isolation).await;
        if matches!(rival, Rival::Compact) {
            // Files are merged when there are many of them.
            for n in 100..120 {
                fixture.append(&format!("SELECT CAST({n} AS BIGINT)")).await.unwrap();
            }
        }
        let prepared = deleting(&fixture, condition).await;
        rival.act(&fixture).await;
        match (prepared.commit(None).await, conflict) {
            (Ok(_), None) => {}
            (Err(error), Some(why)) => {
                assert!(error.message.ends_with(why), "case {number}: {error}");
                assert_eq!(error.kind(), ErrorKind::Service, "case {number}");
            }
            (outcome, _) => panic!("case {number}: {outcome:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_lost_leaves_no_file() {
    let fixture = fixture("WriteSerializable").await;
    let prepared = deleting(&fixture, "n = 13").await;
    deleting(&fixture, "n = 14").await.commit(None).await.unwrap();
    let before = fixture.files_on_disk();
    prepared.commit(None).await.unwrap_err();
    assert_eq!(fixture.files_on_disk(), before - 1);
}
