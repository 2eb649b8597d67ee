//! Attempts of one operation of a stream while a service fails or refuses the credentials.
//!
//! A stream retries a failure of a service without a limit. Refused credentials are different: a person may have to change
//! something, or the next credentials of AWS's chain are valid. So a stream that has worked with its credentials retries for
//! [`REFUSALS_MAX`], and one that has not ends at once.

use std::time::{Duration, Instant};

use super::Observer;
use crate::catalog::TableName;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::retry::Backoff;

/// The waits between attempts: they double from the minimum to the maximum.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30)).without_jitter();
/// The attempts of a refresh: about a minute. A stream retries without a limit.
const REFRESH_ATTEMPTS_MAX: u32 = 9;
/// How long a stream retries while its credentials are refused. Caches of credentials are younger than this.
const REFUSALS_MAX: Duration = Duration::from_mins(20);

/// The attempts of one operation.
pub(super) struct Retries<'a> {
    table: &'a TableName,
    observer: &'a dyn Observer,
    attempts_max: u32,
    refusals_max: Duration,
    refused_since: Option<Instant>,
    backoff: Backoff,
}

impl<'a> Retries<'a> {
    /// For `pinsql run`.
    pub(super) fn of_refresh(table: &'a TableName, observer: &'a dyn Observer) -> Self {
        Self::new(table, observer, REFRESH_ATTEMPTS_MAX, Duration::ZERO)
    }

    /// For `pinsql stream`. `has_worked` is true if the operation has succeeded in this process.
    pub(super) fn of_stream(table: &'a TableName, observer: &'a dyn Observer, has_worked: bool) -> Self {
        Self::new(table, observer, u32::MAX, if has_worked { REFUSALS_MAX } else { Duration::ZERO })
    }

    fn new(table: &'a TableName, observer: &'a dyn Observer, attempts_max: u32, refusals_max: Duration) -> Self {
        Self { table, observer, attempts_max, refusals_max, refused_since: None, backoff: BACKOFF }
    }

    /// True before the first failure.
    pub(super) fn is_first(&self) -> bool {
        self.backoff.failures() == 0
    }

    /// Waits before the next attempt. Returns the error if a retry cannot help, or if this was the last attempt.
    pub(super) async fn wait(&mut self, error: Error) -> Result<()> {
        let delay = self.backoff.next_delay();
        if !self.can_help(&error, Instant::now()) || self.backoff.failures() >= self.attempts_max {
            return Err(error);
        }
        self.observer.retrying(self.table, &error, delay);
        tokio::time::sleep(delay).await;
        Ok(())
    }

    fn can_help(&mut self, error: &Error, now: Instant) -> bool {
        if !matches!(error.code, ErrorCode::InvalidCredentials | ErrorCode::PermissionDenied) {
            self.refused_since = None;
            return error.kind().is_retryable();
        }
        let since = *self.refused_since.get_or_insert(now);
        now.duration_since(since) < self.refusals_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::BatchReport;
    use pinsql_sources::stream::Lag;

    struct Unobserved;

    impl Observer for Unobserved {
        fn opened(&self, _: &TableName, _: u64, _: Option<u64>) {}
        fn landed(&self, _: &BatchReport) {}
        fn idle(&self, _: &TableName, _: &[Lag]) {}
        fn retrying(&self, _: &TableName, _: &Error, _: Duration) {}
    }

    #[test]
    fn refused_credentials_are_retried_for_a_while_by_a_stream_that_has_worked_with_them() {
        let table = TableName::from_parts(&["t"], "c", "s").unwrap();
        let refused = |code| Error::new(code, "refused");
        let now = Instant::now();
        for code in [ErrorCode::InvalidCredentials, ErrorCode::PermissionDenied] {
            let mut retries = Retries::of_stream(&table, &Unobserved, true);
            assert!(retries.can_help(&refused(code), now));
            assert!(retries.can_help(&refused(code), now + REFUSALS_MAX / 2));
            assert!(!retries.can_help(&refused(code), now + REFUSALS_MAX));
            // Another failure in between: the time starts again.
            assert!(retries.can_help(&refused(ErrorCode::ServiceUnavailable), now + REFUSALS_MAX));
            assert!(retries.can_help(&refused(code), now + REFUSALS_MAX));
            assert!(!Retries::of_stream(&table, &Unobserved, false).can_help(&refused(code), now));
            assert!(!Retries::of_refresh(&table, &Unobserved).can_help(&refused(code), now));
        }
        let mut retries = Retries::of_stream(&table, &Unobserved, true);
        assert!(!retries.can_help(&refused(ErrorCode::StreamDataLoss), now));
    }
}
