//! Records that an expression fails on are rejected, and all others continue.

use arrow::datatypes::{DataType, Field};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Stream, messages};
use pinsql_base::error::ErrorKind;

const CAST: &str = "SELECT CAST(data AS INT) AS n FROM `stream s`";

#[tokio::test]
async fn a_bad_record_is_rejected_alone() {
    let stream = Stream::new().await;
    let outcome = stream.run(CAST, &messages(&["1", "x", "3", "", "5", "6", "7", "8"])).await.unwrap();
    assert_eq!(outcome.rows, ["1", "3", "5", "6", "7", "8"]);
    assert_eq!(
        outcome.rejects,
        [
            "number 2: cannot cast the string 'x' to INT, in the column n",
            "number 4: cannot cast the string '' to INT, in the column n",
        ]
    );
    assert_eq!(outcome.raw, ["x", ""]);
    let ledger = outcome.ledger;
    assert_eq!((ledger.read, ledger.rejected, ledger.sources[0].rejected), (8, 2, 2));
    assert_eq!(ledger.sources[0].source, "messages");
}

#[tokio::test]
async fn all_kinds_of_failures_are_found_wherever_they_are() {
    let stream = Stream::new().await;
    let check = async |sql: &str, texts: &[&str], rows: &[&str], rejects: &[&str]| {
        let outcome = stream.run(sql, &messages(texts)).await.unwrap();
        assert_eq!(outcome.rows, rows, "{sql}");
        assert_eq!(outcome.rejects, rejects, "{sql}");
    };
    check(
        "SELECT data FROM `stream s` WHERE CAST(data AS INT) > 1",
        &["1", "x", "3"],
        &["3"],
        &["number 2: cannot cast the string 'x' to INT"],
    )
    .await;
    check(
        "SELECT 10 / CAST(data AS INT) AS ten FROM `stream s`",
        &["5", "0", "2"],
        &["2.0", "5.0"],
        &["number 2: division by zero, in the column ten"],
    )
    .await;
    // A failure on a row that another condition excludes does not count, at any place in the batch. As in Spark's filters, a
    // condition that is NULL excludes the row too, if it stands before the other.
    check(
        "SELECT data FROM `stream s` WHERE length < 2 AND CAST(data AS INT) > 0 AND data <> '9'",
        &["1", "xx", "0", "9", "2", "yy"],
        &["1", "2"],
        &[],
    )
    .await;
    check(
        "SELECT data FROM `stream s` WHERE data LIKE '%1%' AND CAST(data AS INT) > 0 AND length < 3",
        &["1", "xx", "12", "y1", "1y3"],
        &["1", "12"],
        &["number 4: cannot cast the string 'y1' to INT"],
    )
    .await;
    // Common subexpressions are evaluated before the conditions, and still fail only on rows that no condition excludes.
    check(
        "SELECT data FROM `stream s` WHERE data LIKE '%1%' AND CAST(data AS INT) > 0 AND CAST(data AS INT) < 100 AND length < 3",
        &["1", "xx", "12", "y1", "1y3", "100", "0"],
        &["1", "12"],
        &["number 4: cannot cast the string 'y1' to INT"],
    )
    .await;
    check(
        "SELECT data FROM `stream s` WHERE NULLIF(length, 2) < 2 AND CAST(data AS INT) > 0",
        &["1", "xx", "12", "yyy"],
        &["1"],
        &[],
    )
    .await;
    check(
        "SELECT data FROM `stream s` WHERE length < 2 AND CAST(data AS INT) > 0",
        &["1", "xx", "0", "y"],
        &["1"],
        &["number 4: cannot cast the string 'y' to INT"],
    )
    .await;
    check(
        "SELECT CASE WHEN data = 'x' THEN NULL ELSE CAST(data AS INT) END AS n FROM `stream s`",
        &["1", "x", "2"],
        &["1", "2", "NULL"],
        &[],
    )
    .await;
    check(
        "SELECT n + CAST(1 AS INT) AS m FROM (SELECT CAST(data AS INT) AS n FROM `stream s` WHERE data <> 'no') AS inner_query WHERE n > 1",
        &["1", "2", "no", "bad", "2147483647"],
        &["3"],
        &[
            "number 4: cannot cast the string 'bad' to INT",
            "number 5: Overflow happened on: 2147483647 + 1, in the column m",
        ],
    )
    .await;
    check("SELECT 1 AS one FROM `stream s`", &["a", "b"], &["1", "1"], &[]).await;
    check("SELECT * FROM `stream s`", &["a"], &["a|1|NULL"], &[]).await;
}

#[tokio::test]
async fn the_statements_own_fault_is_no_records() {
    let stream = Stream::new().await;
    let error =
        stream.run("SELECT CAST('x' AS INT) AS n, data FROM `stream s`", &messages(&["1", "2"])).await.unwrap_err();
    assert_eq!((error.kind(), error.message.as_str()), (ErrorKind::Data, "cannot cast the string 'x' to INT"));
}

#[tokio::test]
async fn too_many_rejects_stop_it() {
    let stream = Stream::new().await;
    let many: Vec<String> = (0..50).map(|number| format!("x{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let outcome = stream.run(CAST, &messages(&many)).await.unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejects.len()), (0, 50));
}

/// For random sets of bad records: the rows are exactly the good ones, the rejects exactly the bad ones.
#[tokio::test]
async fn exactly_the_bad_records_are_rejected() {
    let mut random = StdRng::seed_from_u64(17);
    for partitions in [1, 2, 5] {
        for batch_rows in [1, 7, 64, 1000] {
            let stream = Stream::with(partitions, batch_rows).await;
            for share in [0.0, 0.01, 0.3, 1.0] {
                let texts: Vec<String> = (0..300)
                    .map(|number| if random.random_bool(share) { format!("bad {number}") } else { number.to_string() })
                    .collect();
                let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
                let sql = "SELECT n * 2 AS m, d FROM (SELECT CAST(data AS INT) AS n, data AS d FROM `stream s` \
                           WHERE data <> '7') WHERE n % 3 <> 0";
                let outcome = stream.run(sql, &messages(&refs)).await.unwrap();
                let good = texts.iter().filter_map(|text| text.parse::<i64>().ok());
                let mut rows: Vec<String> =
                    good.filter(|n| n % 3 != 0 && *n != 7).map(|n| format!("{}|{n}", n * 2)).collect();
                rows.sort();
                let bad: Vec<&String> = texts.iter().filter(|text| text.starts_with("bad")).collect();
                assert_eq!(outcome.rows, rows, "{partitions} partitions, {batch_rows} rows, {share}");
                assert_eq!(outcome.raw, bad, "{partitions} partitions, {batch_rows} rows, {share}");
                assert_eq!(outcome.ledger.rejected, bad.len() as u64);
            }
        }
    }
}

#[tokio::test]
async fn above_a_join_the_reject_has_the_values_of_the_row() {
    let stream = Stream::new().await;
    let sql = "SELECT CAST(word AS INT) AS n FROM `stream s` JOIN words ON key = data";
    let outcome = stream.run(sql, &messages(&["1", "2", "3"])).await.unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejects.len()), (0, 3));
    assert!(
        outcome.raw.iter().any(|raw| raw == "{\"data\":\"2\",\"key\":\"2\",\"word\":\"zwei\"}"),
        "{:?}",
        outcome.raw
    );
    // Below the join, records are isolated as usual.
    let sql = "SELECT n, word FROM (SELECT CAST(data AS INT) AS n, data FROM `stream s`) LEFT JOIN words ON key = data";
    let outcome = stream.run(sql, &messages(&["2", "x", "3"])).await.unwrap();
    assert_eq!(outcome.rows, ["2|two", "2|zwei", "3|NULL"]);
    assert_eq!(outcome.rejects, ["number 2: cannot cast the string 'x' to INT, in the column n"]);
}

#[tokio::test]
async fn above_a_generator_the_reject_has_the_values_of_the_generated_row() {
    let stream = Stream::new().await;
    let sql = "SELECT CAST(d AS INT) AS n FROM (SELECT unnest(array(data, '7')) AS d FROM `stream s`)";
    let outcome = stream.run(sql, &messages(&["1", "x"])).await.unwrap();
    assert_eq!(outcome.rows, ["1", "7", "7"]);
    // The engine names the column of `unnest` itself.
    assert!(matches!(outcome.raw.as_slice(), [raw] if raw.ends_with(b":\"x\"}")), "{:?}", outcome.raw);
    assert_eq!((outcome.ledger.read, outcome.ledger.rejected, outcome.ledger.combined), (2, 1, true));
    // Below the generator, the reject is the record.
    let sql = "SELECT unnest(array(n, n + 1)) AS m FROM (SELECT CAST(data AS INT) AS n FROM `stream s`)";
    let outcome = stream.run(sql, &messages(&["1", "x"])).await.unwrap();
    assert_eq!((outcome.rows, outcome.raw), (vec!["1".to_owned(), "2".to_owned()], vec!["x".into()]));
}

#[tokio::test]
async fn a_value_that_the_tables_column_cannot_hold_rejects_its_record() {
    let columns = vec![Field::new("N", DataType::Int8, true), Field::new("text", DataType::Utf8, true)];
    let stream = Stream::new().await.into_columns(columns);
    let sql = "SELECT CAST(data AS BIGINT) AS n, length FROM `stream s`";
    let outcome = stream.run(sql, &messages(&["1", "300", "127"])).await.unwrap();
    assert_eq!(outcome.rows, ["127|3", "1|1"]);
    assert_eq!(outcome.rejects, ["number 2: cannot cast 300 to TINYINT: it is out of range, in the column N"]);
}
