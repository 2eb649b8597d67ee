//! `http://…/topics`: Kafka behind the API v2 of the Confluent REST proxy. The pipeline's posting scripts use the same API.

use async_trait::async_trait;
use reqwest::Method;
use serde_json::Value;
use url::Url;

use super::contract::{Answer, Attempt, Filling, Receiver};
use super::http::Http;
use crate::post::Item;

const CONTENT_TYPE: &str = "application/vnd.kafka.json.v2+json";
/// The error code of the proxy after which a retry can help.
const RETRIABLE: i64 = 2;

pub(crate) struct KafkaRest {
    http: Http,
    /// One URL for each topic.
    urls: Vec<Url>,
    batch: usize,
}

impl KafkaRest {
    pub(crate) fn new(http: Http, urls: Vec<Url>, batch: Option<usize>) -> Self {
        Self { http, urls, batch: batch.unwrap_or(1) }
    }
}

#[async_trait]
impl Receiver for KafkaRest {
    fn group(&self, topic: usize) -> usize {
        topic
    }

    fn filling(&self) -> Filling {
        Filling::Full { records: self.batch }
    }

    async fn attempt(&self, group: usize, _place: u64, records: &[Item]) -> Attempt {
        match self.http.send(Method::POST, self.urls[group].clone(), CONTENT_TYPE, body(records)).await {
            Ok(answer) => read_answer(&answer, records.len()),
            Err(answer) => Attempt::All(answer),
        }
    }
}

fn body(records: &[Item]) -> Vec<u8> {
    let mut body = b"{\"records\":[".to_vec();
    for (position, item) in records.iter().enumerate() {
        body.extend_from_slice(if position == 0 { b"{\"value\":" } else { b",{\"value\":" });
        body.extend_from_slice(&item.payload);
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    body
}

/// A record is acknowledged only by its own entry in the answer.
fn read_answer(answer: &Value, records: usize) -> Attempt {
    match answer.get("offsets").and_then(Value::as_array) {
        Some(offsets) if offsets.len() == records => Attempt::Each(offsets.iter().map(read_offset).collect()),
        _ => Attempt::All(Answer::Refused(
            "the answer does not have one offset for each record: is this a Kafka REST API?".to_owned(),
        )),
    }
}

fn read_offset(offset: &Value) -> Answer {
    let code = offset.get("error_code").and_then(Value::as_i64);
    let error = offset.get("error").and_then(Value::as_str);
    match (code, error) {
        (None, None) if offset.get("offset").is_some_and(Value::is_i64) => Answer::Acknowledged,
        (None, None) => Answer::Refused("the answer has neither an offset nor an error".to_owned()),
        (Some(RETRIABLE), error) => Answer::later(error.unwrap_or("the proxy requests a retry")),
        (code, error) => {
            let code = code.map(|code| format!(" (code {code})")).unwrap_or_default();
            Answer::Refused(format!("{}{code}", error.unwrap_or("the proxy gives no reason")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_are_those_of_the_posting_scripts() {
        let item = |text: &'static str| Item { topic: 0, payload: text.into() };
        let made = body(&[item(r#"{"index": 1}"#), item(r#"{"index": 2}"#)]);
        assert_eq!(made, br#"{"records":[{"value":{"index": 1}},{"value":{"index": 2}}]}"#);
    }

    #[test]
    fn each_record_has_its_own_answer() {
        let answer = json!({"offsets": [
            {"partition": 0, "offset": 7, "error_code": null, "error": null},
            {"partition": null, "offset": null, "error_code": 2, "error": "leader not available"},
            {"partition": null, "offset": null, "error_code": 1, "error": "message too large"},
        ]});
        let answers = vec![
            Answer::Acknowledged,
            Answer::later("leader not available"),
            Answer::Refused("message too large (code 1)".to_owned()),
        ];
        assert_eq!(read_answer(&answer, 3), Attempt::Each(answers));
    }

    #[test]
    fn an_unexpected_answer_acknowledges_nothing() {
        for answer in [json!({}), json!({"offsets": []}), json!("ok"), json!({"offsets": [{}, {}]})] {
            assert!(matches!(read_answer(&answer, 1), Attempt::All(Answer::Refused(_))), "{answer}");
        }
        let empty = read_answer(&json!({"offsets": [{"partition": 0}]}), 1);
        assert!(matches!(empty, Attempt::Each(answers) if matches!(answers[..], [Answer::Refused(_)])));
    }
}
