//! Tests without a real broker: with librdkafka's mock cluster, or with no broker at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use datafusion::scalar::ScalarValue;
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::connection::{Connection, ConnectionSettings};
use super::iam::Iam;
use super::properties::Properties;
use crate::stream::{Content, Next, Position, ReadOptions, SliceLimits, SliceRange, StreamSource};
use pinsql_base::error::ErrorKind;

const LIMITS: SliceLimits = SliceLimits { records_max: 1000, bytes_max: 1 << 20 };
const WAIT: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(30);

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("pins", partitions, 1).unwrap();
    cluster
}

fn produce(cluster: &Cluster, partition: i32, count: usize) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    for number in 0..count {
        let value = number.to_string();
        producer
            .send(BaseRecord::<(), _>::to("pins").partition(partition).payload(&value))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

fn source(servers: &str) -> Arc<dyn StreamSource> {
    let options = [("bootstrapServers", servers), ("subscribe", "pins"), ("startingOffsets", "earliest")];
    super::open(&options.map(|(name, value)| (name.to_owned(), ScalarValue::from(value))).into()).unwrap()
}

fn reading(available_now: bool) -> ReadOptions {
    ReadOptions { reader: "pinsql-t".to_owned(), available_now, allow_gap: false, ahead_bytes_max: 1 << 20 }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_from_all_partitions_up_to_their_ends_at_opening() {
    let cluster = cluster(3);
    for partition in 0..3 {
        produce(&cluster, partition, 10);
    }
    let source = source(&cluster.bootstrap_servers());
    let position = source.start().await.unwrap();
    assert_eq!(without_ids(&position.0), json!({"pins": {"0": 0, "1": 0, "2": 0}}));
    let mut reader = source.open(&position, &reading(true)).await.unwrap();
    produce(&cluster, 0, 5); // after the end
    let mut position = position;
    let mut rows = 0;
    loop {
        match reader.next(&SliceLimits { records_max: 7, ..LIMITS }, WAIT).await.unwrap() {
            Next::Slice(slice) => {
                position = source.advance(&position, &slice.range).unwrap();
                let Content::Rows(batches) = slice.content else { panic!("Kafka has no objects") };
                rows += batches.iter().map(|batch| batch.num_rows()).sum::<usize>();
            }
            Next::Idle => {}
            Next::End => break,
        }
    }
    assert_eq!((rows, without_ids(&position.0)), (30, json!({"pins": {"0": 10, "1": 10, "2": 10}})));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_repeated_after_errors_of_a_broker() {
    let cluster = cluster(1);
    produce(&cluster, 0, 10);
    let source = source(&cluster.bootstrap_servers());
    let position = source.start().await.unwrap();
    let mut reader = source.open(&position, &reading(false)).await.unwrap();
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
    ];
    cluster.request_errors(RDKafkaApiKey::Fetch, &errors);
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE);
        match reader.next(&LIMITS, WAIT).await.unwrap() {
            Next::Slice(slice) => {
                assert_eq!(without_ids(&slice.range.0), json!({"pins": {"0": {"from": 0, "to": 10}}}));
                break;
            }
            Next::Idle => {}
            Next::End => panic!("a stream has no end"),
        }
    }
}

/// The JSON of a position or range without the ids of its topics, which the mock cluster draws at random.
fn without_ids(json: &Value) -> Value {
    let mut json = json.clone();
    assert!(json.as_object_mut().unwrap().remove(super::offsets::TOPIC_IDS).is_some(), "{json}");
    json
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_another_id_is_read_from_its_beginning_only_if_gaps_are_allowed() {
    let cluster = cluster(1);
    produce(&cluster, 0, 10);
    let source = source(&cluster.bootstrap_servers());
    let is = source.start().await.unwrap().0["topic ids"]["pins"].as_str().unwrap().to_owned();
    let read = Position(json!({"pins": {"0": 4, "1": 7}, "topic ids": {"pins": "old"}}));
    let error = source.open(&read, &reading(true)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Data);
    let message = format!("the topic `pins` was deleted and created again: its id was old and is {is}");
    assert_eq!(error.message, message);

    let mut reader = source.open(&read, &ReadOptions { allow_gap: true, ..reading(true) }).await.unwrap();
    let slice = loop {
        match reader.next(&LIMITS, WAIT).await.unwrap() {
            Next::Slice(slice) => break slice,
            Next::Idle => {}
            Next::End => panic!("nothing was read"),
        }
    };
    assert_eq!(slice.range.0, json!({"pins": {"0": {"from": 0, "to": 10}}, "topic ids": {"pins": is}}));
    assert_eq!((slice.gaps[0].partition.as_str(), slice.gaps[0].after.as_str()), ("pins-0", "3"));
    let position = source.advance(&read, &slice.range).unwrap();
    assert_eq!(position.0, json!({"pins": {"0": 10}, "topic ids": {"pins": is}}));
    // The range of the old topic has no records any more.
    let old = SliceRange(json!({"pins": {"0": {"from": 4, "to": 9}}, "topic ids": {"pins": "old"}}));
    let mut reader = source.open(&read, &ReadOptions { allow_gap: true, ..reading(true) }).await.unwrap();
    let slice = reader.replay(&old).await.unwrap();
    let Content::Rows(batches) = slice.content else { panic!("Kafka has no objects") };
    assert_eq!((batches.len(), slice.gaps.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_end_of_a_log_is_skipped_without_reading_a_record_twice() {
    let cluster = cluster(1);
    produce(&cluster, 0, 5);
    let source = source(&cluster.bootstrap_servers());
    let is = source.start().await.unwrap().0["topic ids"]["pins"].clone();
    let read = Position(json!({"pins": {"0": 100}, "topic ids": {"pins": is}}));
    let error = source.open(&read, &reading(true)).await.err().unwrap();
    let message = "the end of partition 0 of the topic `pins` is lost: it ends at offset 5, and was already read up to \
                   offset 100";
    assert_eq!((error.kind(), error.message.as_str()), (ErrorKind::Data, message));

    let mut reader = source.open(&read, &ReadOptions { allow_gap: true, ..reading(true) }).await.unwrap();
    let Next::Slice(slice) = reader.next(&LIMITS, WAIT).await.unwrap() else { panic!("the position did not change") };
    assert_eq!(without_ids(&slice.range.0), json!({"pins": {"0": {"from": 5, "to": 5}}}));
    assert_eq!((slice.gaps[0].after.as_str(), slice.gaps[0].before.as_str()), ("99", "5"));
    assert!(matches!(reader.next(&LIMITS, WAIT).await.unwrap(), Next::End));

    // A checkpoint without ids does not show which of the two happened.
    let unknown = Position(json!({"pins": {"0": 100}}));
    let error = source.open(&unknown, &ReadOptions { allow_gap: true, ..reading(true) }).await.err().unwrap();
    assert!(error.message.ends_with("the topic was created again, or the end of its log is lost"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_without_read_permission_is_an_error() {
    let cluster = cluster(1);
    cluster.topic_error("pins", RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let error = source(&cluster.bootstrap_servers()).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.message, "the brokers do not let this user read the topic `pins`");
}

/// Fails the first time, as a metadata service that is slow to start does.
#[derive(Debug, Default)]
struct Late {
    asked: Arc<AtomicU32>,
}

impl ProvideCredentials for Late {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(match self.asked.fetch_add(1, Ordering::Relaxed) {
            0 => Err(CredentialsError::not_loaded("not yet")),
            _ => Ok(Credentials::for_tests()),
        })
    }
}

/// librdkafka requests the first token when the client is created, and again when a token expires or could not be created. Each
/// request must be answered, also while no record is read.
#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_librdkafka_for_a_token_is_answered() {
    let given = BTreeMap::from(
        [("bootstrap.servers", "127.0.0.1:1"), ("security.protocol", "SASL_SSL"), ("sasl.mechanism", "AWS_MSK_IAM")]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let asked = Arc::<AtomicU32>::default();
    let provider = SharedCredentialsProvider::new(Late { asked: asked.clone() });
    let mut properties = Properties::translate(&given, None).unwrap();
    properties.iam = Some(Iam::signed_by(provider));
    let settings = ConnectionSettings { properties: &properties, group: "pinsql-t", ahead_bytes_max: 0, watched: None };
    let connection = Connection::open(&settings, &Handle::current()).unwrap();
    let begun = Instant::now();
    while asked.load(Ordering::Relaxed) < 2 {
        assert!(begun.elapsed() < PATIENCE, "asked {asked:?} times");
        tokio::time::sleep(WAIT).await;
    }
    drop(connection);
}
