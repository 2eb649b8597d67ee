//! The options of a sink of objects. They have the names of the Kafka Connect S3 sink where it has the same option. Times and
//! sizes have units here, so names have no `.ms`.

use std::time::Duration;

use crate::options::SinkOption;
use pinsql_base::error::{Error, ErrorCode, Result};

const FORMAT: &str = "format";
const FLUSH_SIZE: &str = "flush.size";
const ROTATE_INTERVAL: &str = "rotate.interval";
const ROTATE_BYTES: &str = "rotate.bytes";
const COMPRESSION: &str = "compression";
const TOPICS_DIR: &str = "topics.dir";

const KNOWN: [&str; 6] = [FORMAT, FLUSH_SIZE, ROTATE_INTERVAL, ROTATE_BYTES, COMPRESSION, TOPICS_DIR];

/// Names of Kafka Connect, with hints for users who copy its settings.
const OF_CONNECT: [(&str, &str); 8] = [
    ("rotate.interval.ms", "it is rotate.interval here, with a unit: 'rotate.interval' = '60s'"),
    ("rotate.schedule.interval.ms", "it is rotate.interval here, with a unit: 'rotate.interval' = '60s'"),
    ("s3.compression.type", "it is compression here: 'compression' = 'gzip'"),
    ("format.class", "it is format here: 'format' = 'json'"),
    ("s3.bucket.name", "the bucket is part of INTO: INTO 's3://bucket/prefix'"),
    ("s3.region", "the region comes from AWS_REGION, an AWS profile, or [s3] region in pinsql.toml"),
    ("file.delim", "it is always `+`"),
    ("filename.offset.zero.pad.width", "it is always 10"),
];

/// The conditions for closing an object: the first one that is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The number of records of the partition, including those that the query filters out.
    pub records_max: u64,
    /// The size of keys and values as they were sent, in bytes.
    pub bytes_max: u64,
    /// The maximum wait of the first record.
    pub age_max: Duration,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { records_max: 1_000, bytes_max: 64 << 20, age_max: Duration::from_secs(60) }
    }
}

/// The compression of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    None,
    Gzip,
}

/// A sink of objects, as defined by CREATE SINK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The destination as written, without slashes at the end.
    pub destination: String,
    /// The folder in the destination that contains a folder for each topic.
    pub topics_dir: String,
    pub compression: Compression,
    /// When objects are closed.
    pub rotation: Rotation,
}

impl Definition {
    pub(crate) fn parse(destination: &str, options: &[SinkOption]) -> Result<Self> {
        if destination.is_empty() {
            return Err(Error::new(ErrorCode::InvalidSinkDefinition, "INTO has no destination")
                .with_hint("s3://bucket/prefix, or the path of a folder"));
        }
        let mut definition = Self {
            destination: destination.trim_end_matches('/').to_owned(),
            topics_dir: "topics".to_owned(),
            compression: Compression::None,
            rotation: Rotation::default(),
        };
        for option in options {
            let rotation = &mut definition.rotation;
            match option.name.to_ascii_lowercase().as_str() {
                FORMAT => option.one_of(&[("json", ())])?,
                FLUSH_SIZE => rotation.records_max = option.count()?,
                ROTATE_INTERVAL => rotation.age_max = option.duration()?,
                ROTATE_BYTES => rotation.bytes_max = option.bytes()?,
                COMPRESSION => {
                    definition.compression =
                        option.one_of(&[("none", Compression::None), ("gzip", Compression::Gzip)])?;
                }
                TOPICS_DIR => definition.topics_dir = topics_dir(option)?,
                _ => return Err(option.unknown("objects", &KNOWN, &OF_CONNECT)),
            }
        }
        Ok(definition)
    }

    /// Everything that the names and the bytes of objects depend on.
    pub(crate) fn identity(&self) -> String {
        let Self { destination, topics_dir, compression, rotation: _ } = self;
        let compression = match compression {
            Compression::None => "",
            Compression::Gzip => ", gzip",
        };
        format!("{destination}/{topics_dir}, json{compression}")
    }

    pub(super) fn suffix(&self) -> &'static str {
        match self.compression {
            Compression::None => ".json",
            Compression::Gzip => ".json.gz",
        }
    }
}

/// Folders within the destination. A path that could lead out of it is refused.
fn topics_dir(option: &SinkOption) -> Result<String> {
    let folder = option.value.trim_matches('/');
    let is_plain = |part: &str| !part.trim_matches('.').is_empty() && !part.contains(['%', '\\', '#', '?']);
    if folder.split('/').all(is_plain) {
        return Ok(folder.to_owned());
    }
    Err(Error::new(ErrorCode::InvalidOption, format!("the option {TOPICS_DIR} needs the name of a folder"))
        .at(option.span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinsql_base::error::Span;

    fn parse(options: &[(&str, &str)]) -> Result<Definition> {
        let option = |(name, value): &(&str, &str)| SinkOption {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            span: Span { start: (1, 1), end: (1, 2) },
        };
        Definition::parse("s3://b/p/", &options.iter().map(option).collect::<Vec<_>>())
    }

    #[test]
    fn options_have_units_and_defaults() {
        let plain = parse(&[]).unwrap();
        assert_eq!(plain.identity(), "s3://b/p/topics, json");
        assert_eq!(plain.rotation, Rotation::default());
        let given = parse(&[
            ("FLUSH.SIZE", "5"),
            ("rotate.interval", "250ms"),
            ("rotate.bytes", "1mb"),
            ("compression", "GZIP"),
            ("format", "json"),
            ("topics.dir", "/raw/landing/"),
        ])
        .unwrap();
        let rotation = Rotation { records_max: 5, bytes_max: 1 << 20, age_max: Duration::from_millis(250) };
        assert_eq!((given.rotation, given.suffix()), (rotation, ".json.gz"));
        assert_eq!(given.identity(), "s3://b/p/raw/landing, json, gzip");
    }

    #[test]
    fn wrong_options_are_an_error() {
        let check = |name: &str, value: &str, message: &str, hint: Option<&str>| {
            let error = parse(&[(name, value)]).unwrap_err();
            assert_eq!((error.message.as_str(), error.hint.as_deref()), (message, hint), "{name}");
            assert!(error.span.is_some());
        };
        check("flush.size", "0", "the option flush.size needs a whole number of at least 1", None);
        check("flush.size", "many", "the option flush.size needs a whole number of at least 1", None);
        check("rotate.interval", "60", "the option rotate.interval needs a time such as 500ms, 60s or 5m", None);
        check("rotate.bytes", "0", "the option rotate.bytes needs a size such as 16mb", None);
        check("compression", "zstd", "the option compression needs none or gzip", None);
        check("format", "avro", "the option format needs json", None);
        check("topics.dir", "../up", "the option topics.dir needs the name of a folder", None);
        check("flush.sise", "1", "a sink into objects has no option `flush.sise`", Some("did you mean flush.size?"));
        let hint = "it is compression here: 'compression' = 'gzip'";
        check("s3.compression.type", "gzip", "a sink into objects has no option `s3.compression.type`", Some(hint));
    }
}
