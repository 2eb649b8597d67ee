//! A stream of objects: bad records are rejected by the reader and by the operators.

use super::Stream;

#[tokio::test]
async fn records_of_objects_are_isolated_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.json"), "{\"a\": \"1\"}\n{\"a\": \"x\"}\nbad\n{\"a\": \"2\"}\n").unwrap();
    std::fs::write(folder.path().join("b.json"), "{\"a\": \"2\"}\n{\"a\": \"y\"}\n").unwrap();
    let stream = Stream::new().await;
    let sql = "SELECT DISTINCT CAST(a AS INT) AS n FROM `stream s`";
    stream.seen.begin(0);
    let outcome = stream.run_files(sql, folder.path(), &[("schema", "a STRING")]).await.unwrap();
    assert_eq!(outcome.rows, ["1", "2"]);
    assert_eq!(outcome.rejects.len(), 3, "{:?}", outcome.rejects);
    assert_eq!(
        outcome.rejects.iter().filter(|reject| reject.starts_with("line 2: cannot cast the string")).count(),
        2,
        "{:?}",
        outcome.rejects
    );
    assert!(outcome.raw.iter().any(|raw| raw == "{\"a\": \"y\"}"));
    let ledger = outcome.ledger;
    assert_eq!((ledger.read, ledger.duplicates, ledger.rejected, ledger.sources.len()), (6, 1, 3, 1));
    assert_eq!(ledger.sources[0].rejected, 3);
}

#[tokio::test]
async fn records_of_csv_are_isolated_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "a,b\n1,one\nx,two\n").unwrap();
    let stream = Stream::new().await;
    let sql = "SELECT CAST(a AS INT) AS n FROM `stream s`";
    let options = [("format", "csv"), ("header", "true"), ("schema", "a STRING, b STRING")];
    let outcome = stream.run_files(sql, folder.path(), &options).await.unwrap();
    assert_eq!(outcome.rows, ["1"]);
    assert_eq!(outcome.rejects, ["line 3: cannot cast the string 'x' to INT, in the column n"]);
    assert_eq!(outcome.raw, ["x,two"]);
}
