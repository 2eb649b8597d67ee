//! Parses `{"records": [{"key", "value", "partition"}]}` without changing keys and values.
//!
//! In the JSON format, the bytes of a record are exactly the posted text. Numbers such as `1.10` or `1e400`, escapes, the order
//! of object keys and duplicate keys are preserved. In the binary format, the bytes are the decoded base64.
//!
//! An unknown field is refused: it may hold data, which would otherwise be lost silently.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::answer::Failure;
use crate::body::media_type;
use crate::object::Object;

/// The encoding of keys and values in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Binary,
}

pub(super) const JSON: &str = "application/vnd.kafka.json.v2+json";
pub(super) const BINARY: &str = "application/vnd.kafka.binary.v2+json";

impl Format {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        match media_type(headers)?.as_deref() {
            Some(JSON) => Ok(Self::Json),
            Some(BINARY) => Ok(Self::Binary),
            _ => Err(Failure::unsupported(format!("the content type must be {JSON} or {BINARY}"))),
        }
    }
}

/// A record, ready to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Posted<'a> {
    pub(super) partition: Option<i32>,
    pub(super) key: Option<Cow<'a, [u8]>>,
    pub(super) value: Option<Cow<'a, [u8]>>,
}

/// Records in JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonRequest<'a> {
    #[serde(borrow)]
    #[schema(value_type = Vec<JsonRecord>, min_items = 1)]
    records: &'a RawValue,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonRecord<'a> {
    /// The JSON text is the key of the record. If it is absent or null, the record has no key.
    #[serde(borrow, default)]
    #[schema(value_type = Option<serde_json::Value>)]
    key: Option<&'a RawValue>,
    /// The JSON text is the value of the record. If it is absent or null, the record is a tombstone.
    #[serde(borrow, default)]
    #[schema(value_type = Option<serde_json::Value>)]
    value: Option<&'a RawValue>,
    /// If it is absent, the hash of the key decides, or a random choice if there is no key.
    #[serde(default)]
    #[schema(minimum = 0)]
    partition: Option<i32>,
}

/// Records in base64.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only for the OpenAPI document: both formats are parsed in the same way")]
pub(super) struct BinaryRequest {
    #[schema(min_items = 1)]
    records: Vec<BinaryRecord>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BinaryRecord {
    /// Base64.
    #[serde(default)]
    #[schema(format = Byte)]
    key: Option<String>,
    /// Base64. If it is absent or null, the record is a tombstone.
    #[serde(default)]
    #[schema(format = Byte)]
    value: Option<String>,
    #[serde(default)]
    #[schema(minimum = 0)]
    partition: Option<i32>,
}

pub(super) fn parse(body: &[u8], format: Format, records_max: usize) -> Result<Vec<Posted<'_>>, Failure> {
    let Object(request): Object<JsonRequest<'_>> =
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Failure::unprocessable(without_place(&error)),
            _ => Failure::bad_request(format!("the body is not JSON: {error}")),
        })?;
    let records = request.records.get();
    let posted: Vec<Posted<'_>> = match format {
        Format::Json => elements(records, records_max)?.into_iter().map(of_json).collect(),
        Format::Binary => elements(records, records_max)?.into_iter().map(of_base64).collect::<Result<_, _>>()?,
    };
    if posted.is_empty() {
        return Err(Failure::unprocessable("`records` is empty"));
    }
    match posted.iter().position(|record| record.partition.is_some_and(|partition| partition < 0)) {
        Some(index) => Err(Failure::unprocessable(format!("record {index}: a partition must not be negative"))),
        None => Ok(posted),
    }
}

fn of_json(Object(record): Object<JsonRecord<'_>>) -> Posted<'_> {
    let JsonRecord { key, value, partition } = record;
    Posted {
        partition,
        key: key.map(|key| Cow::Borrowed(key.get().as_bytes())),
        value: value.map(|value| Cow::Borrowed(value.get().as_bytes())),
    }
}

fn of_base64<'a>(Object(record): Object<BinaryRecord>) -> Result<Posted<'a>, Failure> {
    let decode = |text: Option<String>| match text.map(|text| STANDARD.decode(text)).transpose() {
        Ok(bytes) => Ok(bytes.map(Cow::Owned)),
        Err(_) => Err(Failure::unprocessable(format!("keys and values must be base64 with the content type {BINARY}"))),
    };
    Ok(Posted { partition: record.partition, key: decode(record.key)?, value: decode(record.value)? })
}

/// The elements of a JSON array. Elements over the bound are counted and not stored: a small body can hold millions.
fn elements<'a, T: Deserialize<'a>>(array: &'a str, elements_max: usize) -> Result<Vec<T>, Failure> {
    let at = Cell::new(None);
    let bounded = Bounded { elements_max, at: &at, element: PhantomData };
    match bounded.deserialize(&mut serde_json::Deserializer::from_str(array)) {
        Ok((elements, 0)) => Ok(elements),
        Ok((_, over)) => {
            let count = elements_max + over;
            Err(Failure::too_large(format!("a request has at most {elements_max} records, got {count}")))
        }
        Err(error) => {
            let place = at.get().map_or_else(|| "records".to_owned(), |index: usize| format!("record {index}"));
            Err(Failure::unprocessable(format!("{place}: {}", without_place(&error))))
        }
    }
}

/// The message without line and column. They refer to the last parsed text, which is not always the body.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned()
}

struct Bounded<'c, T> {
    elements_max: usize,
    /// The index of the current element.
    at: &'c Cell<Option<usize>>,
    element: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Bounded<'_, T> {
    type Value = (Vec<T>, usize);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<'_, T> {
    type Value = (Vec<T>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let (mut elements, mut over) = (Vec::new(), 0);
        while elements.len() < self.elements_max {
            self.at.set(Some(elements.len()));
            match sequence.next_element()? {
                Some(element) => elements.push(element),
                None => return Ok((elements, 0)),
            }
        }
        while sequence.next_element::<IgnoredAny>()?.is_some() {
            over += 1;
        }
        Ok((elements, over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields = (Option<i32>, Option<String>, Option<String>);

    fn json(body: &str) -> Result<Vec<Fields>, (u16, String)> {
        let text = |bytes: Option<Cow<'_, [u8]>>| bytes.map(|bytes| String::from_utf8(bytes.into_owned()).unwrap());
        let posted = parse(body.as_bytes(), Format::Json, 3);
        let posted = posted.map(|posted| {
            posted.into_iter().map(|record| (record.partition, text(record.key), text(record.value))).collect()
        });
        posted.map_err(|failure| (failure.parts().0, failure.parts().2.to_owned()))
    }

    #[test]
    fn the_posted_text_is_unchanged() {
        for value in [
            r#"{"a": 1.10,  "b":1e400, "a":-0.0}"#,
            r#""é é 🧷 שלום \" \\ \ud83d\ude00 \ud800 \u0000""#,
            "[ 1,\t2 ]",
            "12345678901234567890123456789",
            "true",
        ] {
            let records = json(&format!(r#"{{"records": [ {{"value": {value} }} ]}}"#)).unwrap();
            assert_eq!(records, [(None, None, Some(value.to_owned()))]);
        }
        let records =
            json(r#"{"records":[{"key":"k","value":null,"partition":2},{"key":null},{"value":{}}]}"#).unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(records, [(Some(2), some("\"k\""), None), (None, None, None), (None, None, some("{}"))]);
    }

    #[test]
    fn errors_name_the_record() {
        let check = |body: &str, status: u16, message: &str| {
            assert_eq!(json(body), Err((status, message.to_owned())), "{body}");
        };
        check("", 400, "the body is not JSON: EOF while parsing a value at line 1 column 0");
        check(r#"{"records":[{"value":}]}"#, 400, "the body is not JSON: expected value at line 1 column 22");
        check(r#"{"records":[]} x"#, 400, "the body is not JSON: trailing characters at line 1 column 16");
        check("[]", 422, "invalid type: sequence, expected an object");
        check("[[]]", 422, "invalid type: sequence, expected an object");
        check(r#"{"records":[[null,null]]}"#, 422, "record 0: invalid type: sequence, expected an object");
        check(r#"{"records":[1]}"#, 422, "record 0: invalid type: integer `1`, expected an object");
        check("{}", 422, "missing field `records`");
        check(r#"{"record":[]}"#, 422, "unknown field `record`, expected `records`");
        check(r#"{"records":null}"#, 422, "records: invalid type: null, expected an array of records");
        check(r#"{"records":[]}"#, 422, "`records` is empty");
        check(
            r#"{"records":[{"value":1},{"vlaue":2}]}"#,
            422,
            "record 1: unknown field `vlaue`, expected one of `key`, `value`, `partition`",
        );
        check(r#"{"records":[{"value":1,"partition":-1}]}"#, 422, "record 0: a partition must not be negative");
        check(
            r#"{"records":[{"value":1,"partition":"0"}]}"#,
            422,
            "record 0: invalid type: string \"0\", expected i32",
        );
        check(r#"{"records":[{},{},{},{},{}]}"#, 413, "a request has at most 3 records, got 5");
    }

    #[test]
    fn binary_is_base64() {
        let parse = |body: &'static str| parse(body.as_bytes(), Format::Binary, 10);
        let records = parse(r#"{"records":[{"key":"aGk=","value":"AP8="},{"value":""},{}]}"#).unwrap();
        let bytes = |bytes: &[u8]| Some(Cow::Owned(bytes.to_vec()));
        assert_eq!(
            records.into_iter().map(|record| (record.key, record.value)).collect::<Vec<_>>(),
            [(bytes(b"hi"), bytes(&[0, 255])), (None, bytes(b"")), (None, None)]
        );
        for wrong in [r#"{"records":[{"value":"%"}]}"#, r#"{"records":[{"value":{"a":1}}]}"#] {
            assert_eq!(parse(wrong).unwrap_err().parts().0, 422);
        }
    }

    #[test]
    fn the_content_type_decides_the_format() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", value.parse().unwrap());
            Format::of(&headers).map_err(|failure| failure.parts().0)
        };
        assert_eq!(of(JSON), Ok(Format::Json));
        assert_eq!(of("Application/vnd.kafka.BINARY.v2+json; charset=UTF-8"), Ok(Format::Binary));
        for wrong in [
            "application/json",
            "application/vnd.kafka.avro.v2+json",
            "",
            "application/vnd.kafka.json.v2+json;charset=latin1",
        ] {
            assert_eq!(of(wrong), Err(415), "{wrong}");
        }
        assert!(Format::of(&HeaderMap::new()).is_err());
    }
}
