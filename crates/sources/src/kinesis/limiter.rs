//! The pace at which one shard may be asked: what Kinesis allows, kept here, so that throttling is rare.
//!
//! The service allows five calls and two megabytes a second for each shard. After a large answer it throttles until the answer
//! is paid for, so an answer's bytes push the next call away.

use std::time::Duration;

use tokio::time::Instant;

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

    /// The call gave this much.
    pub(super) fn answered(&mut self, now: Instant, bytes: u64) {
        let paid_ms = bytes.saturating_mul(1000) / self.bytes_per_second.max(1);
        self.next = self.next.max(now + Duration::from_millis(paid_ms));
    }
}

/// How long to wait before the next try: random, twice as long with each failure in a row, and never above a bound.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

impl Backoff {
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure. The wait is between half its bound and the bound: readers that failed together come back apart.
    pub fn failed(&mut self) -> Duration {
        let bound = BACKOFF_MIN.saturating_mul(1 << self.failures.min(10)).min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(0.5 + 0.5 * random_fraction())
    }
}

/// From 0 to 1. The random numbers that name things do for jitter as well.
fn random_fraction() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from((high >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_paced_and_bytes_are_paid_for() {
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

    #[test]
    fn waits_grow_to_a_bound_and_start_again() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..50).map(|_| backoff.failed()).collect();
        assert!(waits[0] <= BACKOFF_MIN && waits[0] >= BACKOFF_MIN / 2);
        assert!(waits.iter().all(|wait| *wait <= BACKOFF_MAX));
        assert!(waits[49] >= BACKOFF_MAX / 2);
        assert_eq!(backoff.failures(), 50);
        backoff.succeeded();
        assert!(backoff.failed() <= BACKOFF_MIN);
    }
}
