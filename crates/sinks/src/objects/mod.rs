//! A sink of objects, laid out as the Kafka Connect S3 sink lays them out.
//!
//! ```text
//! <destination>/topics/<topic>/partition=<n>/<topic>+<n>+<first offset, ten digits>.json[.gz]
//! ```
//!
//! An object has records of one partition, one a line, in the order of their offsets. Which offsets go into it is decided
//! while they wait in memory ([`Gathering`]) and written ahead by the stream's checkpoint; from then on the same offsets give the same
//! object, byte for byte, however often a process is killed: the rows of a query over a stream depend on their
//! records alone, gzip is told no time, and an object is PUT whole under a name that must not be there yet. One that is
//! there has to be the same.
//!
//! Deliberately absent: objects that are appended to, formats other than JSON lines, partitioning by field or time (Connect's
//! other partitioners; read_files and Delta tables do that), and sources without partitions and offsets.

mod encode;
mod files;
mod gather;
mod line;
mod options;
mod place;

pub use self::encode::{Object, encode};
pub use self::gather::Gathering;
pub use self::line::lines;
pub use self::options::{Compression, Definition, Rotation};
pub use self::place::Place;
