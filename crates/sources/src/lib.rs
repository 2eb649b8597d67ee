//! The sources of records: objects, Kafka, Kinesis and MySQL; and the operators that work on scanned records.
//!
//! A batch statement reads a source as a DataFusion table. A stream reads it in micro-batches through the traits in [`stream`].
//! Every source sends records that it cannot read to the rejects, with position, bytes and reason, and counts all records, so
//! that the ledger of a statement is complete.
//!
//! This crate never writes a record to a source, a table or a checkpoint. It never parses SQL, reads a flag, or prints. Types of
//! a vendor's client do not leave the module of their source, except for what `pinsql-sinks` shares with the readers: how to
//! connect, and how to classify an error.
//!
//! The modules, in reading order:
//!
//! - [`stream`]: the traits of a streaming source, and the data that they exchange with the loop of a stream;
//! - [`mod@slice`]: the records of one micro-batch as a table; [`peek`]: the records that a stream has now as a table;
//! - [`places`]: finds the position and the bytes of a record, for rejects that are found after the scan;
//! - [`objects`]: `read_files`, for JSON, CSV and Parquet in S3 and in local folders;
//! - [`kafka`]: `read_kafka`; [`kinesis`]: `read_kinesis`; [`mysql`]: `read_mysql`;
//! - [`operators`]: filters and projections that isolate bad records, DISTINCT over a stream, and expectations.

#[cfg(feature = "kafka")]
pub mod kafka;
pub mod kinesis;
pub mod mysql;
pub mod objects;
pub mod operators;
pub mod peek;
pub mod places;
pub mod slice;
pub mod stream;
mod unreadable;

/// The error of a program that was built without Kafka.
#[cfg(not(feature = "kafka"))]
pub fn without_kafka() -> pinsql_base::error::Error {
    use pinsql_base::error::{Error, ErrorCode};
    Error::new(ErrorCode::UnsupportedFeature, "this program was built without Kafka")
        .with_hint("build it with the default features: without --no-default-features")
}
