//! Posts records as the users of the pipeline do: `pinsql emulate`.
//!
//! ```text
//!  posts (rows of a database, or generated) ─▶ pace ─▶ a queue for each receiver ─▶ concurrent requests ─▶ tally
//! ```
//!
//! A post is one record for each topic, all with the same row number. Its JSON is made once for all receivers. Each receiver
//! has its own lane: a short queue, a bounded number of concurrent requests, and its own retries. This bounds the memory, so
//! posting waits for the slowest receiver. A receiver that does not answer for a given time is given up, and the others
//! continue.
//!
//! There is deliberately no buffer on disk. Unacknowledged records are counted, and the same seed draws them again.
//!
//! Modules in reading order:
//! - `options`, `target`: the settings, and the URLs of the receivers.
//! - `run`: the loop from the source to the queues.
//! - [`generate`], `source`, `post`, `pace`: the records and the time between them.
//! - `lane`, `health`, `tally`, `observer`: the state of the delivery to one receiver.
//! - `sending`: requests and retries.
//! - `receiver`: one file for each kind of receiver.

pub mod generate;
mod health;
mod lane;
mod observer;
mod options;
mod pace;
mod post;
mod receiver;
mod run;
mod sending;
mod source;
mod tally;
mod target;

pub use self::observer::Observer;
pub use self::options::{DeliveryOptions, KafkaProperties, Options, Source};
pub use self::pace::Pace;
pub use self::post::PostedTopic;
pub use self::run::{Outcome, Stop, run};
pub use self::tally::{Blame, Failure, ReceiverReport, Summary, Tally, TopicReport};
pub use self::target::{StreamName, Target};
