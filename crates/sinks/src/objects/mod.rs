//! A sink of objects, with the layout of the Kafka Connect S3 sink.
//!
//! ```text
//! <destination>/topics/<topic>/partition=<n>/<topic>+<n>+<first offset, ten digits>.json[.gz]
//! ```
//!
//! An object has records of one partition, one record a line, in the order of their offsets. Which offsets belong to an object is
//! decided while the records wait in memory ([`Gathering`]). The checkpoint of the stream stores the decision before the object
//! is written. From then on the same offsets give the same object, byte for byte, however often a process is killed: the rows of
//! a query over a stream depend only on their records, gzip gets no time, and an object is PUT as a whole with the condition that
//! its name does not exist yet. If the name exists, the content must be the same.
//!
//! Deliberately absent: appending to objects, formats other than JSON lines, partitioning by field or time (the other
//! partitioners of Connect; read_files and Delta tables do that), and sources without partitions and offsets.
//!
//! The modules: `options` (CREATE SINK), `line` (rows as lines of JSON), `gather` and `files` (records wait until an object is
//! complete), `encode` (a batch as objects), `destination` (writes objects).

mod destination;
mod encode;
mod files;
mod gather;
mod line;
mod options;

pub use self::destination::Destination;
pub use self::encode::{Object, encode};
pub use self::gather::Gathering;
pub use self::line::lines;
pub use self::options::{Compression, Definition, Rotation};
