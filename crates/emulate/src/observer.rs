//! The hook for progress and for trouble with receivers. It is below the lanes and the run, which both call it.

use std::sync::Arc;
use std::time::Duration;

use super::tally::Tally;

/// The hook for the events of a run. `to` is the receiver, in the form that may be shown.
pub trait Observer: Send + Sync {
    /// All receivers are open, and posting begins. The counts may be read at any time.
    fn began(&self, receivers: &[Arc<Tally>]);
    /// A receiver does not answer, or asks to retry later. Unacknowledged records are sent again.
    fn in_trouble(&self, to: &str, reason: &str);
    /// The receiver has acknowledged a record again, this long after the trouble began.
    fn recovered(&self, to: &str, after: Duration);
    /// The receiver has refused a record. Only the first refusal is reported.
    fn refused(&self, to: &str, reason: &str);
    /// The receiver has not answered for `after`, and gets no more records.
    fn given_up(&self, to: &str, after: Duration, reason: &str);
}
