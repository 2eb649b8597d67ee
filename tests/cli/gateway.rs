//! The errors of `pinsql gateway` when it cannot start.

use insta::assert_snapshot;

use crate::scratch::Scratch;

#[test]
fn a_gateway_that_cannot_start_prints_the_reason() {
    let scratch = Scratch::new();
    scratch.file("keys.txt", "hunter2\n");
    scratch.file("none.txt", "# nothing\n");
    scratch.file("client.properties", "security.protocol=SASL_SSL\nsasl.mechanism\n");
    scratch.file("acks.properties", "acks=1\n");
    scratch.file("cert.pem", "no certificate\n");
    let gateway = |arguments: &[&str]| scratch.run(&[&["gateway", "--listen", "127.0.0.1:0"], arguments].concat());
    let kafka = ["--kafka", "127.0.0.1:1"];
    let with_kafka = |arguments: &[&str]| gateway(&[&kafka, arguments].concat());
    assert_snapshot!("gateway_nowhere", gateway(&[]));
    assert_snapshot!("gateway_keys_short", with_kafka(&["--api-keys", "keys.txt"]));
    assert_snapshot!("gateway_keys_none", with_kafka(&["--api-keys", "none.txt"]));
    assert_snapshot!("gateway_keys_missing", with_kafka(&["--api-keys", "absent.txt"]));
    assert_snapshot!("gateway_kafka_config", with_kafka(&["--kafka-config", "client.properties"]));
    assert_snapshot!("gateway_kafka_acks", with_kafka(&["--kafka-config", "acks.properties"]));
    assert_snapshot!("gateway_kafka_secret", with_kafka(&["--kafka-property", "sasl.password=hunter2"]));
    assert_snapshot!("gateway_tls", with_kafka(&["--tls-cert", "cert.pem", "--tls-key", "cert.pem"]));
    assert_snapshot!("gateway_prefix", with_kafka(&["--prefix", "/{stage}"]));
    assert_snapshot!("gateway_kinesis_region", gateway(&["--kinesis"]));
    assert_snapshot!("gateway_stream_changes", with_kafka(&["--stream-changes"]));
    assert_snapshot!("gateway_size", with_kafka(&["--body-max", "0"]));
    assert_snapshot!("gateway_count", with_kafka(&["--requests-max", "0"]));
    assert_snapshot!("gateway_in_flight", with_kafka(&["--in-flight-max", "1MB"]));
    assert_snapshot!("gateway_listen", scratch.run(&["gateway", "--kafka", "127.0.0.1:1", "--listen", "192.0.2.1:80"]));
}
