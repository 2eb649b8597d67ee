//! Tests without a real broker: they use the mock cluster of librdkafka, or no broker at all.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use pinsql_base::error::ErrorKind;

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("pins", 3, 1).unwrap();
    cluster
}

fn options(servers: &str, properties: &[(&str, &str)]) -> ProducerOptions {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ProducerOptions {
        bootstrap_servers: servers.to_owned(),
        properties: properties.collect(),
        delivery_timeout: Duration::from_secs(20),
        transactional_id: None,
    }
}

fn producer(servers: &str, properties: &[(&str, &str)]) -> Producer {
    Producer::connect(&options(servers, properties)).unwrap()
}

fn record(value: &[u8]) -> Record<'_> {
    Record { topic: "pins", partition: Some(0), key: None, value: Some(value) }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_acknowledged_with_their_position() {
    let cluster = cluster();
    let producer = producer(&cluster.bootstrap_servers(), &[]);
    let deliveries: Vec<_> = (0..100).map(|_| producer.enqueue(record(b"x")).unwrap()).collect();
    for (offset, delivery) in (0..).zip(deliveries) {
        assert_eq!(delivery.await, Ok(Delivered { partition: 0, offset }));
    }
    // The partitions that Java's client chooses for these keys: murmur2 of the key, without its sign, modulo 3.
    for (key, partition) in [("pin", 0), ("geo", 2), ("user", 2), ("abc", 0)] {
        let keyed = Record { topic: "pins", partition: None, key: Some(key.as_bytes()), value: None };
        assert_eq!(producer.send(keyed).await.unwrap().partition, partition, "{key}");
    }
    producer.flush(Duration::from_secs(5)).await.unwrap();
    assert_eq!((producer.in_flight(), producer.is_broken()), (0, false));
    assert_eq!(producer.topics().await.unwrap(), ["pins"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_sent_again_after_a_transient_error() {
    let cluster = cluster();
    let producer = producer(&cluster.bootstrap_servers(), &[]);
    producer.send(record(b"first")).await.unwrap();
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ];
    cluster.request_errors(RDKafkaApiKey::Produce, &errors);
    assert_eq!(producer.send(record(b"second")).await, Ok(Delivered { partition: 0, offset: 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_has_a_separate_error_and_accepts_records_later() {
    let cluster = cluster();
    let producer = producer(&cluster.bootstrap_servers(), &[("queue.buffering.max.messages", "10")]);
    cluster.broker_round_trip_time(1, Duration::from_millis(300)).unwrap();
    let queued: Vec<_> = (0..11).map(|_| producer.enqueue(record(b"x"))).collect();
    assert_eq!(queued.last().unwrap().as_ref().err(), Some(&SendError::QueueFull));
    assert!(SendError::QueueFull.is_retriable());
    producer.send(record(b"later")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn permanent_errors_are_distinguished() {
    let cluster = cluster();
    let producer = producer(&cluster.bootstrap_servers(), &[("max.request.size", "2000")]);
    let large = vec![b'x'; 3000];
    let topic = || "pins".to_owned();
    assert_eq!(producer.send(record(&large)).await, Err(SendError::TooLarge { topic: topic() }));
    let nowhere = Record { partition: Some(7), ..record(b"x") };
    assert_eq!(producer.send(nowhere).await, Err(SendError::UnknownPartition { topic: topic(), partition: 7 }));
    cluster.topic_error("pins", RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let other = Producer::connect(&options(&cluster.bootstrap_servers(), &[])).unwrap();
    let denied = other.send(record(b"x")).await.unwrap_err();
    assert_eq!(denied, SendError::Denied { topic: topic() });
    assert!(!denied.is_retriable());
    assert_eq!(Error::from(denied).kind(), ErrorKind::Config);
}

#[test]
fn invalid_names_of_topics_are_detected() {
    assert!(["a", "a.b_c-1", "0b1.pin"].into_iter().all(is_topic_name));
    assert!(!["", ".", "..", "a b", "a/b", "ü", "a\0"].into_iter().any(is_topic_name));
    assert!(is_topic_name(&"x".repeat(249)) && !is_topic_name(&"x".repeat(250)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_records_time_out_and_the_error_has_the_reason() {
    let options = ProducerOptions { delivery_timeout: Duration::from_millis(500), ..options("127.0.0.1:1", &[]) };
    let producer = Producer::connect(&options).unwrap();
    assert_eq!(producer.send(record(b"x")).await, Err(SendError::TimedOut));
    let error = producer.topics_within(Duration::from_millis(500)).await.unwrap_err();
    assert_eq!((error.kind(), error.message.as_str()), (ErrorKind::Service, "no broker of 127.0.0.1:1 answers"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_fatal_error_is_broken() {
    let cluster = cluster();
    let producer = producer(&cluster.bootstrap_servers(), &[]);
    producer.send(record(b"x")).await.unwrap();
    producer.break_down();
    assert!(producer.is_broken());
    let error = producer.send(record(b"x")).await.unwrap_err();
    assert!(matches!(error, SendError::Broken { .. }) && error.is_retriable(), "{error:?}");
    assert_eq!(Error::from(error).kind(), ErrorKind::Service);
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_of_the_guarantees_cannot_be_changed() {
    let check = |name: &str, value: &str, reason: &str| {
        let error = Producer::connect(&options("b:9092", &[(name, value)])).unwrap_err();
        let message = format!("the Kafka property kafka.{} is refused: {reason}", name.to_lowercase());
        assert!(error.message.starts_with(&message), "{error}");
    };
    check("acks", "1", "pinsql needs every record on all in-sync replicas");
    check("Enable.Idempotence", "false", "pinsql needs every record on all in-sync replicas");
    check("delivery.timeout.ms", "1", "pinsql itself sets the timeout");
    check("interceptor.classes", "x", "it names a Java class");
    check("bootstrap.servers", "c:9092", "the brokers are already given");
    check("no.such.thing", "x", "librdkafka has no property with this name");
    let error = Producer::connect(&options(" ", &[])).unwrap_err();
    assert_eq!(error.message, "no Kafka broker is given");
    let secret = options("b:9092", &[("sasl.password", "hunter2")]);
    assert!(!format!("{secret:?}").contains("hunter2"));
}
