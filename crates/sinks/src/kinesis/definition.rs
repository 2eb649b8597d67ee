//! CREATE SINK … INTO 'kinesis://stream': the destination and its options.

use super::WriterOptions;
use crate::options::SinkOption;
use pinsql_base::error::{Error, ErrorCode, Result};

const REGION: &str = "region";
const ENDPOINT: &str = "endpoint";

/// A sink into Kinesis, as defined by CREATE SINK.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The name of the stream.
    pub stream: String,
    /// Region and endpoint.
    pub writer: WriterOptions,
}

impl Definition {
    /// `stream` is the text after `kinesis://`.
    pub(crate) fn parse(stream: &str, options: &[SinkOption]) -> Result<Self> {
        let is_legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        if !(1..=128).contains(&stream.len()) || !stream.chars().all(is_legal) {
            return Err(Error::new(ErrorCode::InvalidSinkDefinition, "INTO needs the name of a stream")
                .with_hint("kinesis://stream"));
        }
        let mut writer = WriterOptions::default();
        for option in options {
            match option.name.to_ascii_lowercase().as_str() {
                REGION => writer.region = Some(option.value.clone()),
                ENDPOINT => writer.endpoint = Some(option.value.clone()),
                _ => return Err(option.unknown("Kinesis", &[REGION, ENDPOINT], &[])),
            }
        }
        Ok(Self { stream: stream.to_owned(), writer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_place() {
        assert_eq!(Definition::parse("posts", &[]).unwrap().stream, "posts");
        for place in ["", "a/b", "a b"] {
            assert_eq!(
                Definition::parse(place, &[]).unwrap_err().message,
                "INTO needs the name of a stream",
                "{place}"
            );
        }
    }
}
