//! What becomes of commits: rivals, lost answers, failures half-way.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn appends_by_many_writers_all_land() {
    let fixture = Fixture::new();
    fixture.create_as("SELECT CAST(0 AS BIGINT) AS n").await.unwrap();
    let mut prepared = Vec::new();
    for n in 1..=8 {
        prepared.push(fixture.prepare(WriteKind::Append, &format!("SELECT CAST({n} AS BIGINT)")).await.unwrap());
    }
    let commits = prepared.into_iter().map(|write| tokio::spawn(async move { write.commit(None).await }));
    let versions = futures::future::join_all(commits).await;
    let mut versions: Vec<u64> = versions.into_iter().map(|commit| commit.unwrap().unwrap().version).collect();
    versions.sort();
    assert_eq!(versions, (1..=8).collect::<Vec<u64>>());
    assert!(fixture.query("SELECT sum(n) AS s, count(*) AS c FROM t").await.contains("| 36 | 9 |"));
}
