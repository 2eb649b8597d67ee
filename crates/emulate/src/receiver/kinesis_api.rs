//! `http://…/streams/NAME`: Kinesis behind an API Gateway proxy, with the mapping of the AWS tutorial. The pipeline's posting
//! scripts use the same API.

use async_trait::async_trait;
use reqwest::Method;
use serde_json::Value;
use url::Url;

use super::contract::{Answer, Attempt, Filling, Receiver};
use super::http::{Http, is_retriable};
use crate::post::Item;
use pinsql_sinks::kinesis::RECORDS_PER_CALL_MAX;

const CONTENT_TYPE: &str = "application/json";

pub(crate) struct KinesisApi {
    http: Http,
    streams: Vec<ApiStream>,
    /// For each topic, the index of its stream and its partition key.
    topics: Vec<(usize, &'static str)>,
    /// None sends one record per request, with the call for a single record.
    batch: Option<usize>,
}

/// A stream and the URL of its records.
pub(crate) struct ApiStream {
    pub(crate) name: String,
    /// `…/streams/NAME/record`, or `records` for batches.
    pub(crate) url: Url,
}

impl KinesisApi {
    pub(crate) fn new(
        http: Http,
        streams: Vec<ApiStream>,
        topics: Vec<(usize, &'static str)>,
        batch: Option<usize>,
    ) -> Self {
        // The limit of Kinesis for one call.
        let batch = batch.map(|batch| batch.min(RECORDS_PER_CALL_MAX));
        Self { http, streams, topics, batch }
    }

    fn body(&self, stream: &ApiStream, records: &[Item]) -> Vec<u8> {
        // The name was checked: none of its characters needs an escape in JSON.
        let mut body = format!("{{\"StreamName\":\"{}\",", stream.name).into_bytes();
        let key = |item: &Item| self.topics[item.topic].1;
        match (self.batch, records) {
            (None, [item]) => {
                body.extend_from_slice(b"\"Data\":");
                body.extend_from_slice(&item.payload);
                body.extend_from_slice(format!(",\"PartitionKey\":\"{}\"}}", key(item)).as_bytes());
            }
            _ => {
                body.extend_from_slice(b"\"records\":[");
                for (position, item) in records.iter().enumerate() {
                    body.extend_from_slice(if position == 0 { b"{\"data\":" } else { b",{\"data\":" });
                    body.extend_from_slice(&item.payload);
                    body.extend_from_slice(format!(",\"partition-key\":\"{}\"}}", key(item)).as_bytes());
                }
                body.extend_from_slice(b"]}");
            }
        }
        body
    }
}

#[async_trait]
impl Receiver for KinesisApi {
    fn group(&self, topic: usize) -> usize {
        self.topics[topic].0
    }

    fn filling(&self) -> Filling {
        Filling::Full { records: self.batch.unwrap_or(1) }
    }

    async fn attempt(&self, group: usize, _place: u64, records: &[Item]) -> Attempt {
        let stream = &self.streams[group];
        match self.http.send(Method::PUT, stream.url.clone(), CONTENT_TYPE, self.body(stream, records)).await {
            Ok(answer) => read_answer(&answer, self.batch.map(|_| records.len())),
            Err(answer) => Attempt::All(answer),
        }
    }
}

/// `records` is the size of the batch. The answer for a single record has no list.
fn read_answer(answer: &Value, records: Option<usize>) -> Attempt {
    let list = answer.get("Records").and_then(Value::as_array);
    match (records, list) {
        (None, _) => Attempt::All(read_record(answer)),
        (Some(records), Some(list)) if list.len() == records => Attempt::Each(list.iter().map(read_record).collect()),
        (Some(_), _) => Attempt::All(Answer::Refused(
            "the answer does not have one result for each record: is this an API in front of Kinesis?".to_owned(),
        )),
    }
}

fn read_record(record: &Value) -> Answer {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    match (text("SequenceNumber"), text("ErrorCode")) {
        (_, Some(code)) => {
            let reason = format!("{code}: {}", text("ErrorMessage").unwrap_or("no reason is given"));
            if is_retriable(code) { Answer::later(reason) } else { Answer::Refused(reason) }
        }
        (Some(_), None) => Answer::Acknowledged,
        (None, None) => Answer::Refused("the answer has neither a sequence number nor an error".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn api(batch: Option<usize>) -> KinesisApi {
        let url = Url::parse("http://127.0.0.1/streams/posts/record").unwrap();
        let streams = vec![ApiStream { name: "posts".to_owned(), url }];
        KinesisApi::new(Http::new(None, 1).unwrap(), streams, vec![(0, "pin"), (0, "geo")], batch)
    }

    #[test]
    fn requests_are_those_of_the_posting_scripts() {
        let pin = Item { topic: 0, payload: r#"{"index": 1}"#.into() };
        let geo = Item { topic: 1, payload: r#"{"ind": 1}"#.into() };
        let alone = api(None);
        assert_eq!(
            alone.body(&alone.streams[0], std::slice::from_ref(&pin)),
            br#"{"StreamName":"posts","Data":{"index": 1},"PartitionKey":"pin"}"#
        );
        let together = api(Some(2));
        assert_eq!(
            together.body(&together.streams[0], &[pin, geo]),
            br#"{"StreamName":"posts","records":[{"data":{"index": 1},"partition-key":"pin"},{"data":{"ind": 1},"partition-key":"geo"}]}"#
        );
    }

    #[test]
    fn each_record_has_its_own_answer() {
        let placed = json!({"ShardId": "shardId-000000000000", "SequenceNumber": "49"});
        assert_eq!(read_answer(&placed, None), Attempt::All(Answer::Acknowledged));
        let throttled = json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"});
        let denied = json!({"ErrorCode": "KMSAccessDeniedException", "ErrorMessage": "denied"});
        let answers = vec![
            Answer::Acknowledged,
            Answer::later("ProvisionedThroughputExceededException: Rate exceeded"),
            Answer::Refused("KMSAccessDeniedException: denied".to_owned()),
        ];
        assert_eq!(read_answer(&json!({"Records": [placed, throttled, denied]}), Some(3)), Attempt::Each(answers));
    }

    #[test]
    fn an_unexpected_answer_acknowledges_nothing() {
        for (answer, records) in [(json!({}), None), (json!([]), Some(1)), (json!({"Records": []}), Some(1))] {
            assert!(matches!(read_answer(&answer, records), Attempt::All(Answer::Refused(_))), "{answer}");
        }
    }
}
