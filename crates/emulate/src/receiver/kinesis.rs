//! `kinesis://NAME`: Kinesis itself.

use async_trait::async_trait;

use super::contract::{Answer, Attempt, Filling, Receiver};
use crate::post::{Item, PostedTopic};
use crate::target::StreamName;
use pinsql_base::error::{Error, Result};
use pinsql_sinks::kinesis::{CALL_BYTES_MAX, RECORDS_PER_CALL_MAX, Record, Writer, WriterOptions};

pub(crate) struct Kinesis {
    writer: Writer,
    streams: Vec<String>,
    /// For each topic, the index of its stream and its partition key.
    topics: Vec<(usize, &'static str)>,
    batch: usize,
}

impl Kinesis {
    /// Describes the streams, so that a wrong name is an error at the start.
    pub(crate) async fn open(
        stream: &StreamName,
        options: &WriterOptions,
        topics: &[PostedTopic],
        batch: Option<usize>,
    ) -> Result<Self> {
        let writer = Writer::connect(options).await?;
        let (streams, places) = stream.of_topics(topics);
        for stream in &streams {
            writer.describe_stream(stream, None, None).await.map_err(Error::from)?;
        }
        let keys = topics.iter().map(|topic| topic.topic.name());
        let batch = batch.unwrap_or(RECORDS_PER_CALL_MAX).min(RECORDS_PER_CALL_MAX);
        Ok(Self { writer, streams, topics: places.into_iter().zip(keys).collect(), batch })
    }
}

#[async_trait]
impl Receiver for Kinesis {
    fn group(&self, topic: usize) -> usize {
        self.topics[topic].0
    }

    fn filling(&self) -> Filling {
        Filling::Eager { records_max: self.batch, bytes_max: CALL_BYTES_MAX }
    }

    async fn attempt(&self, group: usize, _place: u64, records: &[Item]) -> Attempt {
        let record = |item: &Item| Record {
            partition_key: self.topics[item.topic].1.to_owned(),
            explicit_hash_key: None,
            data: item.payload.clone(),
        };
        let records: Vec<Record> = records.iter().map(record).collect();
        match self.writer.put(&self.streams[group], &records).await {
            Ok(answers) => {
                Attempt::Each(answers.into_iter().map(|answer| answer.map_or_else(refused, taken)).collect())
            }
            Err(failure) => {
                let reason = format!("{}: {}", failure.code, failure.message);
                Attempt::All(if failure.is_retriable { Answer::later(reason) } else { Answer::Refused(reason) })
            }
        }
    }
}

fn taken(_: pinsql_sinks::kinesis::Placed) -> Answer {
    Answer::Acknowledged
}

fn refused(refused: pinsql_sinks::kinesis::Refused) -> Answer {
    let reason = format!("{}: {}", refused.code, refused.message);
    if refused.is_retriable() { Answer::later(reason) } else { Answer::Refused(reason) }
}
