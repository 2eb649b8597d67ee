//! CREATE SINK … INTO 'kafka://brokers/topic': the destination and its options.

use std::collections::BTreeMap;
use std::fmt;

use super::is_topic_name;
use crate::options::SinkOption;
use pinsql_base::error::{Error, ErrorCode, Result};

const PROPERTY_PREFIX: &str = "kafka.";

/// A sink into Kafka, as defined by CREATE SINK.
#[derive(Clone, PartialEq, Eq)]
pub struct Definition {
    /// Addresses `host:port`, separated by commas.
    pub bootstrap_servers: String,
    pub topic: String,
    /// Properties of the client, by name. Some values are secrets.
    pub properties: BTreeMap<String, String>,
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bootstrap_servers, topic, properties } = self;
        f.debug_struct("Definition")
            .field("bootstrap_servers", bootstrap_servers)
            .field("topic", topic)
            .field("properties", &properties.keys())
            .finish()
    }
}

impl Definition {
    /// `place` is the text after `kafka://`.
    pub(crate) fn parse(place: &str, options: &[SinkOption]) -> Result<Self> {
        let (servers, topic) = place.split_once('/').unwrap_or((place, ""));
        if servers.is_empty() || !is_topic_name(topic) {
            return Err(Error::new(ErrorCode::InvalidSinkDefinition, "INTO needs brokers and a topic")
                .with_hint("kafka://broker-1:9092,broker-2:9092/topic"));
        }
        let mut properties = BTreeMap::new();
        for option in options {
            let lowercase = option.name.to_ascii_lowercase();
            let Some(property) = lowercase.strip_prefix(PROPERTY_PREFIX) else {
                return Err(option.unknown("Kafka", &["kafka.* of the Kafka client"], &[]));
            };
            properties.insert(property.to_owned(), option.value.clone());
        }
        // Unknown properties are refused here, and not only when the stream starts.
        pinsql_sources::kafka::Properties::for_producer(servers, &properties)?;
        Ok(Self { bootstrap_servers: servers.to_owned(), topic: topic.to_owned(), properties })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinsql_base::error::Span;

    fn parse(place: &str, options: &[(&str, &str)]) -> Result<Definition> {
        let option = |(name, value): &(&str, &str)| SinkOption {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            span: Span { start: (1, 1), end: (1, 2) },
        };
        Definition::parse(place, &options.iter().map(option).collect::<Vec<_>>())
    }

    #[test]
    fn brokers_and_topic_are_the_place_and_properties_the_options() {
        let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                    username=\"u\" password=\"secret-of-the-test\";";
        let properties = [
            ("kafka.linger.ms", "5"),
            ("kafka.sasl.mechanism", "PLAIN"),
            ("kafka.security.protocol", "SASL_SSL"),
            ("kafka.sasl.jaas.config", jaas),
        ];
        let definition = parse("a:9092,b:9092/pins", &properties).unwrap();
        assert_eq!((definition.bootstrap_servers.as_str(), definition.topic.as_str()), ("a:9092,b:9092", "pins"));
        assert!(!format!("{definition:?}").contains("secret-of-the-test"));
        for place in ["a:9092", "a:9092/", "/pins", "a:9092/a/b"] {
            assert_eq!(parse(place, &[]).unwrap_err().message, "INTO needs brokers and a topic", "{place}");
        }
        let error = parse("a:9092/pins", &[("flush.size", "5")]).unwrap_err();
        assert_eq!(error.message, "a sink into Kafka has no option `flush.size`");
        assert!(parse("a:9092/pins", &[("kafka.acks", "1")]).is_err());
        assert!(parse("a:9092/pins", &[("kafka.no.such.thing", "1")]).is_err());
    }
}
