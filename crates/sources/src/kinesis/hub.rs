//! The streams that the tables of a session read: one [`SharedStream`] for all tables that read a stream with the same options.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use super::options::{ConsumerOptions, FetchOptions, Options, StreamName};
use super::shared::SharedStream;
use pinsql_base::error::Result;

/// The open streams of a session. A session has one, and passes it to each `read_kinesis`.
#[derive(Debug, Default)]
pub struct Hub {
    streams: Mutex<HashMap<Key, Weak<SharedStream>>>,
}

/// Tables share a reader if all of these options are equal.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    stream: StreamName,
    region: Option<String>,
    endpoint: Option<String>,
    fetch: FetchOptions,
    consumer: Option<ConsumerOptions>,
}

impl Hub {
    /// The shared reader of a stream. It ends with the last table that uses it.
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
