//! How long to wait before something is sent again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(10);

/// Waits that double, each of them random between its half and its whole, so that those who failed together do not come back
/// together.
#[derive(Debug)]
pub(super) struct Backoff {
    whole: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { whole: FIRST }
    }
}

impl Backoff {
    /// The next wait; no shorter than what the receiver asked for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.whole.mul_f64(rand::random_range(0.5..=1.0));
        self.whole = (self.whole * 2).min(MOST);
        wait.max(asked.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_heed_the_receiver() {
        let mut backoff = Backoff::default();
        for whole_ms in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
            let whole = Duration::from_millis(whole_ms);
            let wait = backoff.next(None);
            assert!(whole / 2 <= wait && wait <= whole, "{wait:?} of {whole:?}");
        }
        assert_eq!(backoff.next(Some(Duration::from_secs(60))), Duration::from_secs(60));
        assert!(backoff.next(Some(Duration::from_millis(1))) >= Duration::from_secs(5));
    }

    #[test]
    fn waits_differ() {
        let waits: Vec<Duration> = (0..20).map(|_| Backoff::default().next(None)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
