//! The receivers: one file each.
//!
//! A receiver sends a batch once and reads the answer. `sending` decides when to send and when to retry. Kafka is the
//! exception: its client queues, batches and retries itself, so its lane only passes records on and counts.

mod contract;
mod http;
mod kafka;
mod kafka_rest;
mod kinesis;
mod kinesis_api;
mod objects;

pub(super) use self::contract::{Answer, Attempt, Filling, Receiver};
pub(super) use self::http::Http;
pub(super) use self::kafka::Kafka;
pub(super) use self::kafka_rest::KafkaRest;
pub(super) use self::kinesis::Kinesis;
pub(super) use self::kinesis_api::{ApiStream, KinesisApi};
pub(super) use self::objects::Objects;
