//! Posts records as the users of the pipeline do: `pinsql emulate`.
//!
//! ```text
//!  posts (a database's rows, or generated) ─▶ pace ─▶ a queue for each receiver ─▶ requests in flight ─▶ tally
//! ```
//!
//! A post is one record for each topic, all of one row number. Its JSON is made once, whatever the number of receivers.
//! Each receiver has a lane of its own: a short queue, a bounded number of requests in flight, its own retries. Memory
//! is bounded by that, so posting waits for the slowest receiver; a receiver that answers nothing for long enough is given
//! up, and the others go on without it.
//!
//! Deliberately absent: a spool on disk. What was not acknowledged is counted, and the same seed draws it again.

mod backoff;
pub mod generate;
mod health;
mod lane;
mod pace;
mod posts;
mod receiver;
mod run;
mod tally;
mod target;

pub use self::lane::DeliveryOptions;
pub use self::pace::Pace;
pub use self::posts::Source;
pub use self::run::{KafkaProperties, Observer, Options, Outcome, Stop, run};
pub use self::tally::{Blame, Failure, ReceiverReport, Summary, Tally, TopicReport};
pub use self::target::Target;

use bytes::Bytes;

/// A topic that is posted to.
#[derive(Debug, Clone)]
pub struct PostedTopic {
    pub topic: generate::Topic,
    /// With the prefix.
    pub name: String,
}

/// One record on its way.
#[derive(Debug, Clone)]
struct Item {
    /// Which of the topics that are posted to.
    topic: usize,
    /// Its JSON text.
    payload: Bytes,
}
