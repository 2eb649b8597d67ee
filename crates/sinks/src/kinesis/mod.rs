//! Writes records to Kinesis. The gateway, the emulator and the sinks use this writer.
//!
//! A call of PutRecords can succeed for some records and fail for others. [`Writer::put`] makes one call and returns the result
//! of each record. [`Writer::put_all`] splits any number of records into calls within the limits of Kinesis, and repeats
//! throttled records with growing random waits until a deadline.
//!
//! Delivery is at least once: a call whose response is lost may have been executed, and is repeated. A repeated record comes
//! after records that were accepted at once, so order is kept only if nothing is throttled. Kinesis itself guarantees no order
//! within a call.
//!
//! Deliberately absent: aggregates of the Kinesis Producer Library, which not every consumer can read.
//!
//! The modules: `definition` (CREATE SINK), `messages` (rows as records), `limit` (the size of records), `put` (calls and
//! retries), `streams` (streams and shards), `error`.

mod definition;
mod error;
mod limit;
mod messages;
mod put;
mod streams;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use self::definition::Definition;
pub use self::error::WriteFailure;
use self::limit::Limits;
pub use self::limit::RecordLimit;
pub use self::messages::{messages, records};
pub use self::streams::{ShardDescription, StreamDescription, StreamList};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_sources::kinesis::{Contact, sdk_client};

/// The maximum number of records in one call.
pub const RECORDS_PER_CALL_MAX: usize = 500;
/// The maximum size of one call. Kinesis accepts 10 MiB, but servers with its older limits accept half of that, and larger calls
/// are not faster.
pub const CALL_BYTES_MAX: usize = 5 << 20;
/// The size of a record that every stream accepts: data and partition key together. See [`RecordLimit`].
pub const RECORD_BYTES_MIN: usize = 1 << 20;
/// The maximum length of a partition key, in characters.
pub const KEY_CHARS_MAX: usize = 256;

/// The address of Kinesis. Missing values come from the environment variables and profiles of AWS.
#[derive(Debug, Clone, Default)]
pub struct WriterOptions {
    pub region: Option<String>,
    pub endpoint: Option<String>,
}

/// A record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The MD5 hash of the key decides which shard gets the record.
    pub partition_key: String,
    /// Used instead of the MD5 hash: a decimal number below 2^128.
    pub explicit_hash_key: Option<String>,
    pub data: Bytes,
}

/// The position of an accepted record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub shard_id: String,
    pub sequence_number: String,
}

/// Why Kinesis did not accept a record, with the error code of Kinesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: String,
    pub message: String,
}

impl Record {
    /// The size that counts for the limits.
    pub fn size_bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }

    /// Checks the record against the limits of Kinesis and of its stream. The error has the same code as Kinesis would return.
    pub fn check(&self, limit: &RecordLimit) -> Result<(), Refused> {
        let chars = self.partition_key.chars().count();
        let message = if chars == 0 || chars > KEY_CHARS_MAX {
            format!("a partition key has 1 to {KEY_CHARS_MAX} characters, not {chars}")
        } else if self.size_bytes() > limit.bytes_max {
            let unknown = limit.unknown.as_ref().map_or_else(String::new, |code| {
                format!(" (the stream's own limit is not known: DescribeStreamSummary answers {code})")
            });
            let (bytes_max, bytes) = (limit.bytes_max, self.size_bytes());
            format!("data and partition key have {bytes_max} bytes at most in this stream, not {bytes}{unknown}")
        } else if self.explicit_hash_key.as_deref().is_some_and(|key| !is_hash_key(key)) {
            "an explicit hash key is a decimal number below 2^128".to_owned()
        } else {
            return Ok(());
        };
        Err(Refused { code: error::VALIDATION.to_owned(), message })
    }
}

fn is_hash_key(key: &str) -> bool {
    let is_plain = key == "0" || !key.starts_with('0');
    is_plain && key.bytes().all(|byte| byte.is_ascii_digit()) && key.parse::<u128>().is_ok()
}

/// A client that writes. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Writer {
    sdk: aws_sdk_kinesis::Client,
    contact: Contact,
    limits: Limits,
}

impl Writer {
    /// Finds region, endpoint and credentials. Makes no request. Fails if no region is configured.
    pub async fn connect(options: &WriterOptions) -> Result<Self> {
        let contact = Contact::default();
        let sdk = sdk_client(options.region.as_deref(), options.endpoint.as_deref(), contact.clone()).await;
        let sdk = sdk.ok_or_else(|| {
            Error::new(ErrorCode::InvalidConfiguration, "the region of Kinesis is not known")
                .with_hint("set AWS_REGION")
        })?;
        Ok(Self { sdk, contact, limits: Limits::default() })
    }

    /// True if the service has responded at least once.
    pub fn is_reached(&self) -> bool {
        self.contact.has_answered()
    }
}
