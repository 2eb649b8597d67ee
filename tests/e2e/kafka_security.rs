//! Authentication and encryption: SASL and TLS with a real broker. Permanent errors are reported at once, and without
//! the secret.
//!
//! MSK's IAM does not run outside AWS. Unit tests cover how its tokens are made and signed.

use std::time::{Duration, Instant};

use pinsql_base::error::{Error, ErrorKind};
use serde_json::json;

use crate::kafka::{self, Kafka, PLAIN_PASSWORD, PLAIN_USER, SCRAM_PASSWORD, SCRAM_USER, broker};
use crate::kafka_source::{Table, source, values};

/// An error that is wrongly treated as transient takes as long as the first contact may take: 30 s.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);

fn topic_with_records(kafka: &Kafka, name: &str) -> String {
    let topic = kafka.topic(name);
    kafka.client(&json!([
        {"do": "create", "topic": topic},
        {"do": "produce", "records": [[topic, 0, null, "a"], [topic, 0, null, "b"]]},
    ]));
    topic
}

async fn assert_reads(options: &[(&str, &str)]) {
    let mut table = Table::new(source(options)).await;
    table.read_all().await;
    assert_eq!(values(&table.rows), ["a", "b"]);
}

async fn refusal(options: &[(&str, &str)]) -> Error {
    let begun = Instant::now();
    let error = source(options).start().await.unwrap_err();
    assert!(begun.elapsed() < REFUSED_WITHIN, "{:?}", begun.elapsed());
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    error
}

fn jaas(module: &str, user: &str, password: &str) -> String {
    let module = format!("kafkashaded.org.apache.kafka.common.security.{module}");
    format!("{module} required username=\"{user}\" password=\"{password}\";")
}

#[tokio::test(flavor = "multi_thread")]
async fn sasl_plain_and_scram() {
    let kafka = broker();
    let topic = topic_with_records(kafka, "sasl");
    let servers = kafka.sasl_servers();
    let plain = |password: &str| jaas("plain.PlainLoginModule", PLAIN_USER, password);
    let scram = |password: &str| jaas("scram.ScramLoginModule", SCRAM_USER, password);
    let cases = [
        ("PLAIN", plain(PLAIN_PASSWORD), plain("another secret")),
        ("SCRAM-SHA-256", scram(SCRAM_PASSWORD), scram("another secret")),
        ("SCRAM-SHA-512", scram(SCRAM_PASSWORD), scram("another secret")),
    ];
    for (mechanism, right, wrong) in &cases {
        let with = |jaas| {
            [
                ("bootstrapServers", servers.as_str()),
                ("subscribe", topic.as_str()),
                ("startingOffsets", "earliest"),
                ("kafka.security.protocol", "SASL_PLAINTEXT"),
                ("kafka.sasl.mechanism", mechanism),
                ("kafka.sasl.jaas.config", jaas),
            ]
        };
        assert_reads(&with(right.as_str())).await;
        let error = refusal(&with(wrong.as_str())).await;
        assert_eq!(error.message, format!("the brokers of {servers} refuse the credentials"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_trusted_and_an_untrusted_certificate() {
    let kafka = broker();
    let topic = topic_with_records(kafka, "tls");
    let servers = kafka.tls_servers();
    let certificate = kafka::text(&kafka.certificate());
    let options = [
        ("bootstrapServers", servers.as_str()),
        ("subscribe", topic.as_str()),
        ("startingOffsets", "earliest"),
        ("kafka.security.protocol", "SSL"),
    ];
    let trusted = ("kafka.ssl.truststore.location", certificate.as_str());
    assert_reads(&[&options[..], &[trusted, ("kafka.ssl.truststore.type", "PEM")]].concat()).await;
    let text = std::fs::read_to_string(kafka.certificate()).unwrap();
    let inline = [("kafka.ssl.truststore.certificates", text.as_str()), ("kafka.ssl.truststore.type", "PEM")];
    assert_reads(&[&options[..], &inline].concat()).await;

    let error = refusal(&options).await;
    assert_eq!(error.message, format!("no TLS connection to {servers} can be made"));
    assert!(format!("{:?}", error.source).contains("certificate"), "{error:?}");
}
