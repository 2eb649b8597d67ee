//! Records into Kinesis: the one writer of the gateway, the emulator and the sinks.
//!
//! A call of PutRecords can succeed for some records and not for others. [`Writer::put`] makes one call and gives each record's
//! answer; [`Writer::put_all`] cuts any number of records into calls that Kinesis takes, and tries those that were refused for the
//! moment again, with growing random waits, until a deadline.
//!
//! Written at least once: a call whose answer is lost may have been carried out, and is made again. And what is tried again
//! comes behind what was taken at once, so order is kept only where nothing is refused; Kinesis itself promises no order within
//! a call either.
//!
//! Deliberately absent: aggregates of the Kinesis Producer Library, which not every reader takes apart.

mod definition;
mod error;
mod messages;
mod put;
mod streams;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use self::definition::Definition;
pub use self::error::WriteFailure;
pub use self::messages::{messages, records};
pub use self::streams::{ShardDescription, StreamDescription, StreamList};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_sources::kinesis::{Contact, sdk_client};

/// What Kinesis takes in one call.
pub const RECORDS_PER_CALL_MAX: usize = 500;
/// Kinesis takes 10 MiB in one call, servers that follow its older rules half of that; larger calls are no faster.
pub const CALL_BYTES_MAX: usize = 5 << 20;
/// Data and partition key together.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
pub const KEY_CHARS_MAX: usize = 256;

/// Where Kinesis is; what is absent, AWS's own variables and profiles say.
#[derive(Debug, Clone, Default)]
pub struct WriterOptions {
    pub region: Option<String>,
    pub endpoint: Option<String>,
}

/// One record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its MD5 says which shard takes the record.
    pub partition_key: String,
    /// In the place of the MD5: a decimal number below 2^128.
    pub explicit_hash_key: Option<String>,
    pub data: Bytes,
}

/// Where a record that Kinesis has taken is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub shard_id: String,
    pub sequence_number: String,
}

/// Why Kinesis has not taken a record, by its own code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: String,
    pub message: String,
}

impl Record {
    /// What counts against the limits.
    pub fn size_bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }

    /// Holds the record against Kinesis' limits, in the words that its own answer would have.
    pub fn check(&self) -> Result<(), Refused> {
        let chars = self.partition_key.chars().count();
        let message = if chars == 0 || chars > KEY_CHARS_MAX {
            format!("a partition key has 1 to {KEY_CHARS_MAX} characters, not {chars}")
        } else if self.size_bytes() > RECORD_BYTES_MAX {
            let bytes = self.size_bytes();
            format!("data and partition key have {RECORD_BYTES_MAX} bytes at most, not {bytes}")
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
}

impl Writer {
    /// Finds region, endpoint and credentials. Reaches no server.
    pub async fn connect(options: &WriterOptions) -> Result<Self> {
        let contact = Contact::default();
        let sdk = sdk_client(options.region.as_deref(), options.endpoint.as_deref(), contact.clone()).await;
        let sdk = sdk.ok_or_else(|| {
            Error::new(ErrorCode::InvalidConfiguration, "the region of Kinesis is not known")
                .with_hint("set AWS_REGION")
        })?;
        Ok(Self { sdk, contact })
    }

    /// Whether the service has ever answered.
    pub fn is_reached(&self) -> bool {
        self.contact.is_made()
    }
}
