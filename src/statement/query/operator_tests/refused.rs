//! Queries that cannot run over a stream are refused by their SQL names.

use super::{Stream, messages};
use pinsql_base::error::ErrorKind;

#[tokio::test]
async fn operations_over_several_batches_are_refused() {
    let stream = Stream::new().await;
    for (sql, what) in [
        ("SELECT count(*) FROM `stream s`", "the aggregate count"),
        ("SELECT data FROM `stream s` GROUP BY data", "GROUP BY"),
        ("SELECT row_number() OVER (ORDER BY data) FROM `stream s`", "a window function (OVER)"),
        ("SELECT data FROM `stream s` ORDER BY data", "ORDER BY"),
        ("SELECT data FROM `stream s` LIMIT 3", "LIMIT"),
        ("SELECT data FROM `stream s` UNION ALL SELECT key FROM words", "UNION"),
        ("SELECT DISTINCT ON (data) data, length FROM `stream s`", "DISTINCT ON"),
        ("SELECT key FROM words WHERE key IN (SELECT data FROM `stream s`)", "a subquery"),
        ("SELECT key FROM words LEFT JOIN `stream s` ON key = data", "LEFT JOIN with the stream on its right side"),
        ("SELECT data FROM `stream s` FULL JOIN words ON key = data", "FULL JOIN"),
        (
            "SELECT key FROM words LEFT SEMI JOIN `stream s` ON key = data",
            "SEMI JOIN with the stream on the side that is looked into",
        ),
    ] {
        let error = stream.run(sql, &messages(&["1"])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Sql, "{sql}");
        assert!(error.message.starts_with(what), "{sql}: {}", error.message);
        assert!(error.message.ends_with("over a stream is not supported"), "{sql}: {}", error.message);
    }
    let error = stream.run("SELECT * FROM words", &messages(&[])).await.unwrap_err();
    assert_eq!(error.message, "a streaming table reads a stream, and this query reads none");
    let twice = "SELECT a.data FROM `stream s` AS a JOIN `stream s` AS b ON a.data = b.data";
    assert_eq!(
        stream.run(twice, &messages(&[])).await.unwrap_err().message,
        "a join of streams over a stream is not supported"
    );
    let never = "SELECT data FROM `stream s` WHERE 1 = 2";
    assert_eq!(stream.run(never, &messages(&["1"])).await.unwrap_err().message, "this query never returns a row");
}

#[tokio::test]
async fn row_by_row_queries_run() {
    let stream = Stream::new().await;
    for (sql, rows) in [
        ("SELECT data FROM `stream s` WHERE data IN (SELECT key FROM words)", vec!["2"]),
        ("SELECT data FROM `stream s` WHERE data NOT IN (SELECT key FROM words)", vec!["x"]),
        ("SELECT data, (SELECT max(word) FROM words) AS w FROM `stream s`", vec!["2|zwei", "x|zwei"]),
        ("SELECT unnest(array(data, 'b')) AS d FROM `stream s`", vec!["2", "b", "b", "x"]),
        ("SELECT data, word FROM words RIGHT JOIN `stream s` ON key = data", vec!["2|two", "2|zwei", "x|NULL"]),
        ("WITH cleaned AS (SELECT upper(data) AS d FROM `stream s`) SELECT d FROM cleaned WHERE d <> '2'", vec!["X"]),
    ] {
        let outcome = stream.run(sql, &messages(&["2", "x"])).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(outcome.rows, rows, "{sql}");
    }
}
