//! The time of the next post.
//!
//! A rate follows a schedule from its start. Waits from one post to the next would add the time that the posting itself takes.
//! After a delay by a slow receiver the schedule catches up, but by at most one second.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::generate::Random;

/// Maximum delay that a rate catches up.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);
/// A schedule restarts after this number of posts, to keep the floating-point times exact.
const POSTS_OF_A_SCHEDULE: u32 = 1 << 20;

/// The time between two posts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// A random wait, as in the pipeline's posting scripts.
    Wait {
        /// The shortest wait.
        least: Duration,
        /// The longest wait.
        most: Duration,
    },
    /// Posts per second.
    Rate(f64),
    /// As fast as the receivers accept them.
    Unlimited,
}

#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    random: Random,
    begun: Instant,
    /// Posts since `begun`.
    posts: u32,
}

impl Pacer {
    pub(super) fn new(pace: Pace, random: Random, now: Instant) -> Self {
        Self { pace, random, begun: now, posts: 0 }
    }

    /// Waits until the next post is due.
    pub(super) async fn wait(&mut self) {
        if let Some(due) = self.due(Instant::now()) {
            sleep_until(due).await;
        }
    }

    /// The time of the next post, or None if it is due now. Each call is for another post.
    fn due(&mut self, now: Instant) -> Option<Instant> {
        let is_first = self.posts == 0;
        let due = match self.pace {
            Pace::Unlimited => return None,
            Pace::Wait { .. } if is_first => now,
            Pace::Wait { least, most } => now + least + (most.saturating_sub(least)).mul_f64(self.random.fraction()),
            Pace::Rate(posts_per_second) => self.scheduled(now, posts_per_second),
        };
        // A schedule restarts long before this saturates, and waits only check for zero.
        self.posts = self.posts.saturating_add(1);
        (due > now).then_some(due)
    }

    fn scheduled(&mut self, now: Instant, posts_per_second: f64) -> Instant {
        let mut due = self.begun + Duration::from_secs_f64(f64::from(self.posts) / posts_per_second);
        let is_late = now.saturating_duration_since(due) > CATCH_UP_MAX;
        if is_late || self.posts >= POSTS_OF_A_SCHEDULE {
            due = if is_late { now.checked_sub(CATCH_UP_MAX).unwrap_or(now) } else { due };
            self.begun = due;
            self.posts = 0;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer(pace: Pace, now: Instant) -> Pacer {
        Pacer::new(pace, Random::new(&[100]), now)
    }

    #[test]
    fn a_rate_does_not_drift() {
        let begun = Instant::now();
        let mut pacer = pacer(Pace::Rate(1_000.0), begun);
        let mut now = begun;
        for _ in 0..10_000 {
            if let Some(due) = pacer.due(now) {
                now = due;
            }
            // Each post takes some time, and every sleep ends late.
            now += Duration::from_micros(700);
        }
        let taken = now - begun;
        assert!((9_999..=10_001).contains(&taken.as_millis()), "{taken:?}");
    }

    #[test]
    fn a_long_run_keeps_its_rate() {
        let begun = Instant::now();
        let mut pacer = pacer(Pace::Rate(3.0), begun);
        let mut now = begun;
        for _ in 0..3 * POSTS_OF_A_SCHEDULE {
            now = pacer.due(now).unwrap_or(now);
        }
        let wanted = f64::from(POSTS_OF_A_SCHEDULE) - 1.0 / 3.0;
        assert!(((now - begun).as_secs_f64() - wanted).abs() < 0.1, "{:?}", now - begun);
    }

    #[test]
    fn a_receiver_that_was_unavailable_is_not_flooded() {
        let begun = Instant::now();
        let mut pacer = pacer(Pace::Rate(100.0), begun);
        assert_eq!(pacer.due(begun), None);
        let back = begun + Duration::from_secs(60);
        let mut at_once = 0;
        while pacer.due(back).is_none() {
            at_once += 1;
        }
        assert!((99..=101).contains(&at_once), "{at_once} posts at once");
    }

    #[test]
    fn waits_are_within_their_bounds_and_the_first_post_does_not_wait() {
        let now = Instant::now();
        let (least, most) = (Duration::from_millis(500), Duration::from_secs(2));
        let mut pacer = pacer(Pace::Wait { least, most }, now);
        assert_eq!(pacer.due(now), None);
        let waits: Vec<Duration> = (0..1_000).filter_map(|_| pacer.due(now)).map(|due| due - now).collect();
        assert_eq!(waits.len(), 1_000);
        assert!(waits.iter().all(|wait| (least..=most).contains(wait)));
        let mean = waits.iter().sum::<Duration>() / 1_000;
        assert!((1_150..1_350).contains(&mean.as_millis()), "{mean:?}");
    }

    #[test]
    fn unlimited_never_waits() {
        let now = Instant::now();
        let mut pacer = pacer(Pace::Unlimited, now);
        assert!((0..1_000).all(|_| pacer.due(now).is_none()));
    }
}
