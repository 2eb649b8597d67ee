//! Where rows go.
//!
//! A statement writes Delta tables; a stream writes those, or it has a sink: objects in a folder or a bucket.

pub mod delta;
pub mod kafka;
pub mod kinesis;
pub mod objects;
mod options;

pub use self::options::SinkOption;

use crate::error::{Error, Result, Span};

/// Where a sink's records go and how, as CREATE SINK says it. Nothing is reached yet.
#[derive(Debug, Clone)]
pub enum SinkDefinition {
    Objects(objects::Definition),
}

impl SinkDefinition {
    /// `destination` and its place, as the statement has them.
    pub fn parse(destination: &str, span: Span, options: &[SinkOption]) -> Result<Self> {
        options::refuse_twice(options)?;
        match destination.split_once("://").map(|(scheme, _)| scheme) {
            None | Some("file" | "s3" | "s3a") => {
                objects::Definition::parse(destination, options).map(Self::Objects).map_err(|error| error.at(span))
            }
            Some(other) => Err(Error::sql(format!("`{other}://` is not a place that a sink can write to"))
                .at(span)
                .with_hint("s3://bucket/prefix, or the path of a folder")),
        }
    }

    /// What a checkpoint remembers of it: a sink is carried on only into the same place in the same form.
    pub fn identity(&self) -> String {
        match self {
            Self::Objects(definition) => definition.identity(),
        }
    }
}
