//! Retries: exponential delays with jitter, and a loop that retries one operation.
//!
//! [`Retry`] is the loop. Code that has more to do between two attempts (look whether a commit landed, report the error, use the
//! delay that a server requests) writes its own loop around a [`Backoff`].
//!
//! The crate `backon` is not used, for two reasons. The loops above need single delays. And `delay_max` is a documented bound, so
//! jitter must shorten a delay and never extend it. `object_store` has its own retries, with settings in [`store`](crate::store).

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Delays that double with each failure. Each delay is random between half of its bound and its bound, so that clients that
/// failed at the same time do not come back at the same time.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    delay_min: Duration,
    delay_max: Duration,
    failures: u32,
    /// Returns a number from 0 to 1.
    random: fn() -> f64,
}

impl Backoff {
    /// The first delay is at most `delay_min`, and no delay is longer than `delay_max`.
    pub const fn new(delay_min: Duration, delay_max: Duration) -> Self {
        Self { delay_min, delay_max, failures: 0, random: rand::random }
    }

    /// Replaces the source of randomness. `random` returns a number from 0 (half of the bound) to 1 (the bound).
    pub const fn with_random(mut self, random: fn() -> f64) -> Self {
        self.random = random;
        self
    }

    /// Every delay is exactly its bound.
    pub const fn without_jitter(self) -> Self {
        self.with_random(|| 1.0)
    }

    /// The number of failures in a row, which is the number of calls of [`next_delay`](Self::next_delay) since the last reset.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The next delay is the first one again. Call this after a success.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure, and returns the time to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// The delay after `failures` earlier failures in a row. 0 gives the first delay. It does not count a failure.
    pub fn delay(&self, failures: u32) -> Duration {
        let factor = 2_u32.checked_pow(failures).unwrap_or(u32::MAX);
        let bound = self.delay_min.saturating_mul(factor).min(self.delay_max);
        bound.mul_f64(0.5 + 0.5 * (self.random)().clamp(0.0, 1.0))
    }
}

/// How one operation is retried. It ends at the first limit that it reaches.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    backoff: Backoff,
    attempts_max: u32,
    total_max: Duration,
}

impl Retry {
    /// Without limits: call at least one of the two methods below.
    pub const fn new(backoff: Backoff) -> Self {
        Self { backoff, attempts_max: u32::MAX, total_max: Duration::MAX }
    }

    /// Limits the attempts, with the first one.
    pub const fn attempts_max(mut self, attempts_max: u32) -> Self {
        self.attempts_max = attempts_max;
        self
    }

    /// Limits the time: no attempt starts later than this after the first one. An attempt itself has no time limit here.
    pub const fn total_max(mut self, total_max: Duration) -> Self {
        self.total_max = total_max;
        self
    }

    /// Runs `operation` until it succeeds, fails with an error that `is_retryable` rejects, or reaches a limit. Returns the
    /// error of the last attempt.
    pub async fn run<T, E>(
        mut self,
        is_retryable: impl Fn(&E) -> bool,
        mut operation: impl AsyncFnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        let started = Instant::now();
        loop {
            let error = match operation().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let delay = self.backoff.next_delay();
            let is_last = self.backoff.failures() >= self.attempts_max
                || started.elapsed().saturating_add(delay) >= self.total_max;
            if is_last || !is_retryable(&error) {
                return Err(error);
            }
            sleep(delay).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(10);
    const SHORT: Backoff = Backoff::new(Duration::from_micros(10), Duration::from_micros(50));

    fn delays_ms(mut backoff: Backoff) -> Vec<u128> {
        (0..9).map(|_| backoff.next_delay().as_millis()).collect()
    }

    #[test]
    fn delays_double_up_to_the_maximum() {
        let exact = Backoff::new(MIN, MAX).without_jitter();
        assert_eq!(delays_ms(exact), [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(exact.delay(u32::MAX), MAX);
    }

    #[test]
    fn jitter_takes_at_most_half_of_a_delay() {
        let shortest = Backoff::new(MIN, MAX).with_random(|| 0.0);
        assert_eq!(delays_ms(shortest), [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        let mut backoff = Backoff::new(MIN, MAX);
        let first: Vec<Duration> = (0..50).map(|_| backoff.delay(0)).collect();
        assert!(first.iter().all(|delay| (MIN / 2..=MIN).contains(delay)), "{first:?}");
        assert!(first.iter().any(|delay| *delay != first[0]), "{first:?}");
        for _ in 0..50 {
            assert!(backoff.next_delay() <= MAX);
        }
    }

    #[test]
    fn a_reset_starts_with_the_first_delay_again() {
        let mut backoff = Backoff::new(MIN, MAX).without_jitter();
        for _ in 0..5 {
            backoff.next_delay();
        }
        assert_eq!(backoff.failures(), 5);
        backoff.reset();
        assert_eq!((backoff.failures(), backoff.next_delay()), (0, MIN));
    }

    /// Runs an operation that succeeds at attempt `succeeds_at`. Returns the outcome and the number of attempts.
    async fn check(retry: Retry, succeeds_at: u32, is_retryable: bool) -> (Result<u32, u32>, u32) {
        let attempts = Cell::new(0);
        let operation = || {
            attempts.set(attempts.get() + 1);
            let attempt = attempts.get();
            async move { if attempt == succeeds_at { Ok(attempt) } else { Err(attempt) } }
        };
        let outcome = retry.run(|_| is_retryable, operation).await;
        (outcome, attempts.get())
    }

    #[tokio::test]
    async fn an_operation_runs_until_it_succeeds() {
        assert_eq!(check(Retry::new(SHORT), 1, true).await, (Ok(1), 1));
        assert_eq!(check(Retry::new(SHORT), 4, true).await, (Ok(4), 4));
        assert_eq!(check(Retry::new(SHORT).attempts_max(4), 4, true).await, (Ok(4), 4));
    }

    #[tokio::test]
    async fn limits_and_permanent_errors_end_the_retries() {
        assert_eq!(check(Retry::new(SHORT).attempts_max(3), 4, true).await, (Err(3), 3));
        assert_eq!(check(Retry::new(SHORT), 4, false).await, (Err(1), 1));
        assert_eq!(check(Retry::new(Backoff::new(MIN, MAX)).total_max(MIN / 4), 4, true).await, (Err(1), 1));
    }
}
