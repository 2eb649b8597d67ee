//! DISTINCT over a stream: across batches, restarts, and with a watermark.

use std::sync::Arc;

use pinsql_sources::operators::{SeenRows, StateOptions};

use super::{Message, Stream, messages};
use pinsql_base::error::{ErrorKind, Result};

const SQL: &str = "SELECT DISTINCT data FROM `stream s`";

#[tokio::test]
async fn the_first_of_equal_rows_wins_across_batches() {
    let stream = Stream::new().await;
    let outcome = stream.batch(0, SQL, &messages(&["a", "b", "a", "c", "b", "a"])).await.unwrap();
    assert_eq!((outcome.rows, outcome.ledger.duplicates), (vec!["a".to_owned(), "b".into(), "c".into()], 3));
    let outcome = stream.batch(1, SQL, &messages(&["c", "d", "d"])).await.unwrap();
    assert_eq!((outcome.rows, outcome.ledger.duplicates), (vec!["d".to_owned()], 2));
    assert_eq!(stream.seen.rows(), 4);
}

#[tokio::test]
async fn a_batch_that_did_not_land_was_not_seen() {
    let stream = Stream::new().await;
    stream.batch(0, SQL, &messages(&["a"])).await.unwrap();
    stream.seen.begin(1);
    assert_eq!(stream.run(SQL, &messages(&["a", "b"])).await.unwrap().rows, ["b"]);
    stream.seen.discard();
    assert_eq!(stream.seen.rows(), 1);
    assert_eq!(stream.batch(1, SQL, &messages(&["a", "b"])).await.unwrap().rows, ["b"]);
}

#[tokio::test]
async fn bad_records_are_isolated_below_and_above() {
    let stream = Stream::new().await;
    let sql = "SELECT CAST(d AS INT) AS n FROM (SELECT DISTINCT substring(data, 1, CAST(length AS INT) / CAST(length AS INT)) AS d \
               FROM `stream s`) WHERE d <> '7'";
    let outcome = stream.batch(0, sql, &messages(&["1", "12", "x", "xy", "", "7", "3"])).await.unwrap();
    assert_eq!(outcome.rows, ["1", "3"]);
    assert_eq!(outcome.rejects.len(), 2, "{:?}", outcome.rejects);
    let ledger = outcome.ledger;
    assert_eq!((ledger.read, ledger.duplicates, ledger.filtered, ledger.rejected), (7, 2, 1, 2));
}

#[tokio::test]
async fn two_distincts_do_not_mix() {
    let stream = Stream::new().await;
    let sql = "SELECT DISTINCT short FROM (SELECT DISTINCT data, substring(data, 1, 1) AS short FROM `stream s`)";
    let outcome = stream.batch(0, sql, &messages(&["aa", "ab", "aa", "ba"])).await.unwrap();
    assert_eq!((outcome.rows, outcome.ledger.duplicates), (vec!["a".to_owned(), "b".into()], 2));
    assert_eq!(stream.seen.rows(), 5);
}

#[tokio::test]
async fn the_state_comes_back_from_its_files() {
    let stream = Stream::new().await;
    let mut files = Vec::new();
    for (number, texts) in [["a", "b"], ["b", "c"]].iter().enumerate() {
        stream.seen.begin(number as u64);
        stream.run(SQL, &messages(texts)).await.unwrap();
        files.push(stream.seen.pending_bytes().unwrap());
        stream.seen.commit().unwrap();
    }
    let mut snapshot = stream.seen.snapshot(1, 0).unwrap();
    let snapshot = snapshot.next_piece().unwrap().unwrap();
    for files in [vec![snapshot.clone()], files, vec![snapshot.clone(), snapshot.clone()]] {
        let mut again = Stream::new().await;
        again.seen = Arc::new(SeenRows::new(&again.pool(), StateOptions::default()));
        files.iter().for_each(|file| load(&again.seen, file).unwrap());
        assert_eq!(again.seen.rows(), 3);
        assert_eq!(again.batch(2, SQL, &messages(&["a", "b", "c", "d"])).await.unwrap().rows, ["d"]);
    }
    let mut damaged = snapshot.to_vec();
    damaged[50] ^= 1;
    for file in [&damaged[..], &snapshot[..40], &snapshot[..10], b""] {
        assert_eq!(load(&stream.seen, file).unwrap_err().kind(), ErrorKind::Data);
    }
}

fn load(seen: &SeenRows, file: &[u8]) -> Result<()> {
    let mut loading = seen.load(file.len() as u64);
    loading.push(file)?;
    loading.end()
}

/// Seconds as event times.
fn at(messages: &[(&'static str, i64)]) -> Vec<Message<'static>> {
    messages.iter().map(|(text, seconds)| (*text, Some(*seconds))).collect()
}

#[tokio::test]
async fn a_watermark_forgets_and_rejects_what_is_late() {
    let stream = Stream::new().await.watermark("sent", 10);
    let sql = "SELECT DISTINCT data, sent FROM `stream s`";
    // The first batch has no watermark.
    let outcome = stream.batch(0, sql, &at(&[("a", 100), ("b", 50), ("a", 100)])).await.unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejects.len()), (2, 0));
    // Now the watermark is 90. Earlier messages are late, and their state is removed.
    assert_eq!((stream.seen.rows(), stream.seen.watermark()), (1, Some(90_000_000)));
    let outcome = stream.batch(1, sql, &at(&[("b", 50), ("c", 90), ("d", 91), ("a", 100), ("e", 200)])).await.unwrap();
    assert_eq!(outcome.rows, ["d|1970-01-01T00:01:31Z", "e|1970-01-01T00:03:20Z"]);
    assert_eq!(
        outcome.rejects,
        [
            "number 1: arrived later than the watermark: its event time is 1970-01-01 00:00:50, \
             the watermark 1970-01-01 00:01:30",
            "number 2: arrived later than the watermark: its event time is 1970-01-01 00:01:30, \
             the watermark 1970-01-01 00:01:30",
        ]
    );
    assert_eq!((outcome.ledger.duplicates, outcome.ledger.rejected, outcome.ledger.late), (1, 2, 2));
    assert_eq!(stream.seen.rows(), 1);
    // A row without an event time is never late, and its state is never removed.
    let outcome = stream.batch(2, sql, &[("n", None), ("n", None)]).await.unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejects.len()), (1, 0));
}

#[tokio::test]
async fn rows_without_their_event_time_are_kept_for_the_delay() {
    let stream = Stream::new().await.watermark("sent", 10);
    let sql = "SELECT DISTINCT upper(data) AS d FROM `stream s`";
    assert_eq!(stream.batch(0, sql, &at(&[("a", 100)])).await.unwrap().rows, ["A"]);
    // Within ten seconds of the first it is a duplicate, although the watermark has reached the time of the first.
    assert_eq!(stream.batch(1, sql, &at(&[("z", 111)])).await.unwrap().rows, ["Z"]);
    assert_eq!(stream.batch(2, sql, &at(&[("a", 109)])).await.unwrap().rows.len(), 0);
    assert_eq!(stream.batch(3, sql, &at(&[("y", 130)])).await.unwrap().rows, ["Y"]);
    assert_eq!(stream.batch(4, sql, &at(&[("a", 131)])).await.unwrap().rows, ["A"]);
}

#[tokio::test]
async fn a_watermark_follows_a_column_of_a_subquery() {
    let stream = Stream::new().await.watermark("event_time", 10);
    let sql = "SELECT DISTINCT data, event_time FROM (SELECT data, to_timestamp(length) AS event_time FROM `stream s`)";
    assert_eq!(stream.batch(0, sql, &messages(&["aaaaaaaaaaaaaaaaaaaa"])).await.unwrap().rows.len(), 1);
    assert_eq!(stream.seen.watermark(), Some(10_000_000));
    let outcome = stream.batch(1, sql, &messages(&["a", "bbbbbbbbbbb"])).await.unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejects.len()), (1, 1));
    let error = Stream::new().await.watermark("sentt", 1).run(SQL, &messages(&[])).await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `sent`?"));
    let error = Stream::new().await.watermark("length", 1).run(SQL, &messages(&[])).await.unwrap_err();
    assert_eq!(error.message, "a watermark follows a TIMESTAMP, and `length` is BIGINT");
}

#[tokio::test]
async fn a_watermark_holds_above_generated_rows() {
    let stream = Stream::new().await.watermark("sent", 10);
    let sql = "SELECT DISTINCT d, sent FROM (SELECT unnest(array(data, 'x')) AS d, sent FROM `stream s`)";
    let outcome = stream.batch(0, sql, &at(&[("a", 100), ("a", 100)])).await.unwrap();
    assert_eq!((outcome.rows.len(), outcome.ledger.duplicates, outcome.ledger.combined), (2, 2, true));
    let outcome = stream.batch(1, sql, &at(&[("b", 50), ("c", 200)])).await.unwrap();
    assert_eq!((outcome.rows.len(), outcome.ledger.late), (2, 2));
    // The rows at 100 s are forgotten.
    assert_eq!(stream.seen.rows(), 2);
}

#[tokio::test]
async fn a_clock_that_is_ahead_does_not_move_the_watermark() {
    let stream = Stream::new().await.watermark("sent", 10);
    let sql = "SELECT DISTINCT data, sent FROM `stream s`";
    let now = chrono::Utc::now().timestamp();
    let outcome = stream.batch(0, sql, &at(&[("a", now), ("b", now + 86_400), ("c", now + 30)])).await.unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejects.len(), outcome.ledger.ahead), (3, 0, 1));
    assert_eq!(stream.seen.watermark(), Some((now + 20) * 1_000_000));
    let outcome = stream.batch(1, sql, &at(&[("d", now + 25), ("b", now + 86_400)])).await.unwrap();
    assert_eq!((outcome.rows.len(), outcome.ledger.duplicates, outcome.ledger.rejected), (1, 1, 0));
    assert_eq!(outcome.ledger.ahead, 1);
}
