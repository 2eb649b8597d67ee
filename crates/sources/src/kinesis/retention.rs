//! What a stream no longer had when it was read.
//!
//! Kinesis does not say that it has dropped records: an iterator at a dropped one begins with the oldest that is left. That the
//! last record read is gone does not mean that any was missed, either: nothing may have arrived since. So a position also keeps the
//! moment up to which it is complete, and a loss is possible if the stream's horizon (now less its retention)
//! has passed that moment. How many records there were, nobody can tell.

use super::shared::SharedStream;
use crate::stream::Gap;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The shortest retention of a stream is a day: before that nothing can be lost, and nobody needs to be asked.
const RETENTION_MIN_MS: i64 = 24 * 3_600_000;
/// Nearer to the horizon than this, an iterator in use can be overtaken by it.
pub(super) const NEAR_HORIZON_MS: i64 = 600_000;

/// Records may have been lost: all that arrived at one shard between two moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    shard: String,
    after: String,
    before: String,
    from_ms: i64,
    to_ms: i64,
}

/// Reading ended at `after`, and goes on at `before`.
#[derive(Debug)]
pub(super) struct Suspicion<'a> {
    pub shard: &'a str,
    pub after: String,
    pub before: String,
    pub complete_to_ms: i64,
    /// When the first record arrived that is there now.
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
            // The service does not tell its retention: what is gone tells that it has passed.
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
        }
    }

    pub(super) fn error(&self, stream: &str) -> Error {
        let Self { shard, after, before, .. } = self;
        let time = in_words(self.seconds());
        Error::new(
            ErrorCode::StreamDataLoss,
            format!("the stream {stream} no longer has all that was not yet read of {shard}"),
        )
        .caused_by(format!(
            "what arrived in {time} up to {}, between {after} and {before}, has passed the stream's retention",
            moment(self.to_ms)
        ))
        .with_hint("--allow-gap goes on without it, and puts the gap in the ledger")
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
    fn a_loss_is_what_arrived_between_the_last_reading_and_the_horizon() {
        check(10, Some(20), true, Some(15), Some((10, 15)));
        check(10, Some(12), true, Some(15), Some((10, 12)));
        // The shard was quiet: read to its end after the horizon.
        check(16, Some(20), true, Some(15), None);
        check(16, None, true, Some(15), None);
        check(10, None, true, Some(15), Some((10, 15)));
        // Nobody knows the retention.
        check(10, Some(20), true, None, Some((10, 20)));
        check(10, Some(20), false, None, None);
        check(10, None, true, None, None);
    }

    #[test]
    fn the_size_is_told_in_words() {
        assert_eq!(in_words(0), "0 s");
        assert_eq!(in_words(59), "59 s");
        assert_eq!(in_words(3_600), "1 h");
        assert_eq!(in_words(11_520), "3 h 12 min");
        assert_eq!(in_words(90_061), "1 d 1 h");
        assert_eq!(moment(0), "1970-01-01 00:00:00 UTC");
    }
}
