//! The pace of calls for one shard. It stays within the limits of Kinesis, so that throttling is rare.
//!
//! The service allows five calls and two megabytes a second for each shard. After a large answer it throttles until the average
//! is within the limit again. So the bytes of an answer delay the next call.

use std::time::Duration;

use pinsql_base::retry::Backoff;
use tokio::time::Instant;

/// When the next call for a shard is allowed.
#[derive(Debug)]
pub(super) struct Limiter {
    period: Duration,
    bytes_per_second: u64,
    next: Instant,
}

impl Limiter {
    pub(super) fn new(period: Duration, bytes_per_second: u64) -> Self {
        Self { period, bytes_per_second, next: Instant::now() }
    }

    /// When the next call may be made.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// A call is made.
    pub(super) fn called(&mut self, now: Instant) {
        self.next = now + self.period;
    }

    /// The call returned this many bytes.
    pub(super) fn answered(&mut self, now: Instant, bytes: u64) {
        let paid_ms = bytes.saturating_mul(1000) / self.bytes_per_second.max(1);
        self.next = self.next.max(now + Duration::from_millis(paid_ms));
    }
}

/// The delays after failed calls, of readers and of writers.
pub const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_wait_for_the_period_and_for_the_bytes_before() {
        let start = Instant::now();
        let mut limiter = Limiter::new(Duration::from_millis(200), 2 << 20);
        for _ in 0..10 {
            let now = limiter.next().max(start);
            limiter.called(now);
            limiter.answered(now, 100);
        }
        let now = limiter.next();
        assert!(now - start >= Duration::from_secs(2) && now - start < Duration::from_millis(2_100));
        limiter.called(now);
        limiter.answered(now, 10 << 20);
        assert_eq!(limiter.next() - now, Duration::from_secs(5));
    }
}
