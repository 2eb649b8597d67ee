//! Posts and their records, as they travel from the source to the receivers.

use std::sync::Arc;

use bytes::Bytes;

use super::generate::Topic;

/// A topic that receives records.
#[derive(Debug, Clone)]
pub struct PostedTopic {
    /// The kind of its records.
    pub topic: Topic,
    /// Its full name, with the prefix.
    pub name: String,
}

/// One record. Cloning it shares the payload.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The index of its topic in [`Options::topics`](super::Options::topics).
    pub(super) topic: usize,
    /// Its JSON text.
    pub(super) payload: Bytes,
}

/// A post: one record for each topic. All lanes share it.
pub(super) type Post = Arc<[Item]>;
