//! Detects records that the stream's retention deleted before they were read.
//!
//! Kinesis does not report deleted records: an iterator at a deleted record starts with the oldest one that is left. And if the
//! last record that was read is gone, it is possible that no other record arrived since. So a position also has the time up to
//! which it is complete. A loss is possible if the horizon of the stream (now minus its retention) is after that time. The number
//! of lost records is unknown.

use super::shared::SharedStream;
use crate::stream::Gap;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The shortest retention of a stream is a day. Before that nothing can be lost, and no call is needed.
const RETENTION_MIN_MS: i64 = 24 * 3_600_000;
/// Closer to the horizon than this, records may be deleted before an open iterator reads them.
pub(super) const NEAR_HORIZON_MS: i64 = 600_000;

/// Records of one shard may be lost: all that arrived between two times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    shard: String,
    after: String,
    before: String,
    from_ms: i64,
    to_ms: i64,
}

/// A place where records may be missing: reading ended at `after` and continues at `before`.
#[derive(Debug)]
pub(super) struct Suspicion<'a> {
    pub shard: &'a str,
    pub after: String,
    pub before: String,
    pub complete_to_ms: i64,
    /// The arrival time of the first record that still exists.
    pub first_arrival_ms: Option<i64>,
    /// Whether the last record that was read is known to be gone.
    pub record_is_gone: bool,
}

impl Suspicion<'_> {
    pub(super) async fn examine(self, stream: &SharedStream) -> Result<Option<Loss>> {
        let now_ms = stream.contact().now_ms();
        if now_ms - self.complete_to_ms < RETENTION_MIN_MS {
            return Ok(None);
        }
        let horizon_ms = stream.describe().await?.map(|description| now_ms - description.retention_ms);
        Ok(self.judge(horizon_ms))
    }

    fn judge(self, horizon_ms: Option<i64>) -> Option<Loss> {
        let to_ms = match (horizon_ms, self.first_arrival_ms) {
            (Some(horizon_ms), Some(first_ms)) => horizon_ms.min(first_ms),
            (Some(horizon_ms), None) => horizon_ms,
            // The retention is unknown, but the record is gone, so the retention has passed it.
            (None, Some(first_ms)) if self.record_is_gone => first_ms,
            (None, _) => return None,
        };
        let Self { shard, after, before, complete_to_ms: from_ms, .. } = self;
        (to_ms > from_ms).then(|| Loss { shard: shard.to_owned(), after, before, from_ms, to_ms })
    }
}

impl Loss {
    pub(super) fn gap(&self) -> Gap {
        Gap {
            partition: self.shard.clone(),
            after: self.after.clone(),
            before: self.before.clone(),
            records: None,
            seconds: Some(self.seconds()),
            note: None,
        }
    }

    pub(super) fn error(&self, stream: &str) -> Error {
        let Self { shard, after, before, .. } = self;
        let time = in_words(self.seconds());
        Error::new(
            ErrorCode::StreamDataLoss,
            format!("the stream {stream} no longer has all unread records of {shard}"),
        )
        .caused_by(format!(
            "records that arrived in the {time} before {}, between {after} and {before}, are older than the retention",
            moment(self.to_ms)
        ))
        .with_hint("--allow-gap continues without them and records the gap")
    }

    fn seconds(&self) -> u64 {
        u64::try_from((self.to_ms - self.from_ms) / 1_000).unwrap_or(0).max(1)
    }
}

fn moment(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| format!("{ms} ms"), |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// The two largest units, the second one unless it is zero.
fn in_words(seconds: u64) -> String {
    let units = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = units.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown: Vec<String> = units[first..]
        .iter()
        .take(2)
        .enumerate()
        .filter(|(index, (count, _))| *index == 0 || *count > 0)
        .map(|(_, (count, unit))| format!("{count} {unit}"))
        .collect();
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn check(complete_to_h: i64, first_h: Option<i64>, gone: bool, horizon_h: Option<i64>, lost_h: Option<(i64, i64)>) {
        let suspicion = Suspicion {
            shard: "s",
            after: "a".into(),
            before: "b".into(),
            complete_to_ms: complete_to_h * HOUR_MS,
            first_arrival_ms: first_h.map(|hour| hour * HOUR_MS),
            record_is_gone: gone,
        };
        let loss = suspicion.judge(horizon_h.map(|hour| hour * HOUR_MS));
        let found = loss.map(|loss| (loss.from_ms / HOUR_MS, loss.to_ms / HOUR_MS));
        assert_eq!(found, lost_h);
    }

    #[test]
    fn a_loss_lasts_from_the_last_complete_time_to_the_horizon() {
        check(10, Some(20), true, Some(15), Some((10, 15)));
        check(10, Some(12), true, Some(15), Some((10, 12)));
        // The shard was quiet: read to its end after the horizon.
        check(16, Some(20), true, Some(15), None);
        check(16, None, true, Some(15), None);
        check(10, None, true, Some(15), Some((10, 15)));
        // The retention is unknown.
        check(10, Some(20), true, None, Some((10, 20)));
        check(10, Some(20), false, None, None);
        check(10, None, true, None, None);
    }

    #[test]
    fn the_length_of_a_gap_has_two_units() {
        assert_eq!(in_words(0), "0 s");
        assert_eq!(in_words(59), "59 s");
        assert_eq!(in_words(3_600), "1 h");
        assert_eq!(in_words(11_520), "3 h 12 min");
        assert_eq!(in_words(90_061), "1 d 1 h");
        assert_eq!(moment(0), "1970-01-01 00:00:00 UTC");
    }
}
