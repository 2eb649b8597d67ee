//! Topics and partitions in `read_kafka`: created during the read, lag, and missing topics.

use std::collections::HashMap;
use std::sync::Arc;

use pinsql_base::error::Error;
use pinsql_sources::stream::{Next, StreamReader, StreamSource};
use serde_json::json;

use crate::kafka::broker;
use crate::kafka_source::{LIMITS, Table, WAIT, earliest, offsets, reading, records, source, values};

async fn error_of(source: &Arc<dyn StreamSource>) -> Error {
    source.start().await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn new_partitions_and_topics_are_read_from_their_beginning() {
    let kafka = broker();
    let prefix = kafka.topic("growing");
    let (first, second) = (format!("{prefix}.first"), format!("{prefix}.second"));
    kafka.client(&json!([
        {"do": "create", "topic": first},
        {"do": "produce", "records": records(&first, 0, ["old".to_owned()])},
    ]));
    let pattern = format!("{prefix}\\..*");
    let mut table = Table::new(source(&[("bootstrapServers", &kafka.servers()), ("subscribePattern", &pattern)])).await;
    assert_eq!(offsets(&table.position.0), json!({&first: {"0": 1}}));
    let mut reader = table.open(&reading(false)).await.unwrap();
    assert!(matches!(reader.next(&LIMITS, WAIT).await.unwrap(), Next::Idle));
    kafka.client(&json!([
        {"do": "add_partitions", "topic": first, "total": 2},
        {"do": "create", "topic": second},
        {"do": "produce", "records": [
            [first, 0, null, "a"], [first, 1, null, "b"], [second, 0, null, "c"],
        ]},
    ]));
    table.read_until(&mut reader, |rows| rows.len() >= 3).await;
    assert_eq!(values(&table.rows), ["a", "b", "c"]);
    assert_eq!(offsets(&table.position.0), json!({&first: {"0": 2, "1": 1}, &second: {"0": 1}}));
    // Also if they are created while nothing reads.
    drop(reader);
    kafka.client(&json!([
        {"do": "add_partitions", "topic": second, "total": 2},
        {"do": "produce", "records": [[second, 1, null, "d"]]},
    ]));
    table.read_all().await;
    assert_eq!(values(&table.rows), ["a", "b", "c", "d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_group_shows_the_lag_of_the_table() {
    let kafka = broker();
    let topic = kafka.topic("lag");
    kafka.client(&json!([
        {"do": "create", "topic": topic, "partitions": 2},
        {"do": "produce_many", "topic": topic, "partitions": 2, "count": 200},
    ]));
    let options =
        [("subscribe", topic.as_str()), ("startingOffsets", "earliest"), ("kafka.group.id", "lag.of.the.table")];
    let mut table = Table::new(source(&[&options[..], &[("bootstrapServers", &kafka.servers())]].concat())).await;
    let mut reader = table.open(&reading(false)).await.unwrap();
    let all = |reader: &dyn StreamReader| -> HashMap<String, u64> {
        reader.lag().into_iter().map(|lag| (lag.partition, lag.records.unwrap())).collect()
    };
    assert_eq!(all(&*reader), HashMap::from([(format!("{topic}-0"), 100), (format!("{topic}-1"), 100)]));
    table.read_until(&mut reader, |rows| rows.len() >= 200).await;
    assert!(all(&*reader).values().all(|records| *records == 0));
    drop(reader);
    kafka.client(&json!([{"do": "produce_many", "topic": topic, "partitions": 1, "count": 7}]));
    let lag = kafka.client(&json!([{"do": "group_lag", "group": "lag.of.the.table", "topic": topic}]));
    assert_eq!(lag[0], json!({"0": [100, 7], "1": [100, 0]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_topics_and_partitions_are_errors_with_hints() {
    let kafka = broker();
    let topic = kafka.topic("pins_of_today");
    kafka.client(&json!([{"do": "create", "topic": topic}]));
    let error = error_of(&earliest(kafka, &topic.replace("pins", "pin"))).await;
    assert_eq!(error.message, format!("there is no topic `{}`", topic.replace("pins", "pin")));
    assert_eq!(error.hint, Some(format!("did you mean {topic}?")));
    let assigned = json!({&topic: [0, 3]}).to_string();
    let error = error_of(&source(&[("bootstrapServers", &kafka.servers()), ("assign", &assigned)])).await;
    assert_eq!(error.message, format!("the topic `{topic}` has no partition 3"));
}
