//! The streams that a session's tables read: one [`SharedStream`] for all the tables that read one stream in one way.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use super::options::{ConsumerOptions, FetchOptions, Options, StreamName};
use super::shared::SharedStream;
use pinsql_base::error::Result;

/// Made once a session, and given to each `read_kinesis` in it.
#[derive(Debug, Default)]
pub struct Hub {
    streams: Mutex<HashMap<Key, Weak<SharedStream>>>,
}

/// What tables must have in common to share a reader.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    stream: StreamName,
    region: Option<String>,
    endpoint: Option<String>,
    fetch: FetchOptions,
    consumer: Option<ConsumerOptions>,
}

impl Hub {
    /// The stream's shared reader. It ends with the last table that has it.
    pub(super) async fn stream(&self, options: &Options) -> Result<Arc<SharedStream>> {
        let key = Key {
            stream: options.stream.clone(),
            region: options.region.clone(),
            endpoint: options.endpoint.clone(),
            fetch: options.fetch,
            consumer: options.consumer.clone(),
        };
        let mut streams = self.streams.lock().await;
        if let Some(stream) = streams.get(&key).and_then(Weak::upgrade) {
            return Ok(stream);
        }
        streams.retain(|_, stream| stream.strong_count() > 0);
        let stream = Arc::new(SharedStream::connect(options).await?);
        streams.insert(key, Arc::downgrade(&stream));
        Ok(stream)
    }
}
