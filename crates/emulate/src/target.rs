//! The URLs of `--to`: the receivers.
//!
//! A URL must not contain a secret: every user of the machine can read the arguments of a process, and the URL is in the
//! report. A URL with a user or with a secret property is refused, and the error does not repeat it.

use std::collections::BTreeMap;
use std::fmt;

use url::Url;

use super::post::PostedTopic;
use pinsql_base::error::{Error, Result};
use pinsql_base::store::to_url;
use pinsql_sinks::kafka::is_secret_property;

/// The placeholder for the topic in the name of a stream.
const TOPIC_MARK: &str = "{topic}";

const KINDS_HINT: &str = "http://host/topics (Kafka REST), http://host/streams/NAME (Kinesis API), kafka://host:port, \
                          kinesis://NAME, s3://bucket/prefix or a folder";

/// A receiver. `Debug` and `Display` show it without properties.
#[derive(Clone)]
pub enum Target {
    /// `http://…/topics`
    KafkaRest(Url),
    /// `http://…/streams/NAME`
    KinesisApi {
        /// The URL up to `streams`.
        base: Url,
        /// The name behind it.
        stream: StreamName,
    },
    /// `kafka://host:port,host:port?property=value`
    Kafka {
        /// `host:port`, separated by commas.
        servers: String,
        /// Properties of the Kafka client, by name in lower case.
        properties: BTreeMap<String, String>,
    },
    /// `kinesis://NAME?region=…&endpoint=…`
    Kinesis {
        /// The name of the stream.
        stream: StreamName,
        /// The AWS region, if the URL has one.
        region: Option<String>,
        /// The endpoint, if the URL has one.
        endpoint: Option<String>,
    },
    /// `s3://bucket/prefix`, or a folder.
    Objects {
        /// The location as a URL.
        url: Url,
        /// The location as the user wrote it, without a final slash.
        written: String,
    },
}

/// The name of a Kinesis stream. With `{topic}` in the name, there is one stream for each topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamName(String);

impl StreamName {
    fn parse(name: &str) -> Result<Self> {
        let plain = name.replace(TOPIC_MARK, "pin");
        // https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html
        let is_valid = (1..=128).contains(&plain.len())
            && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
        match is_valid {
            true => Ok(Self(name.to_owned())),
            false => Err(Error::usage(format!("`{name}` is not a valid name of a Kinesis stream")).with_hint(
                "letters, digits, `_`, `.` and `-`; {topic} in it stands for pin, geo and user: streaming-{topic}",
            )),
        }
    }

    /// The distinct streams of these topics, and for each topic the index of its stream.
    pub(super) fn of_topics(&self, topics: &[PostedTopic]) -> (Vec<String>, Vec<usize>) {
        let mut streams: Vec<String> = Vec::new();
        let mut places = Vec::with_capacity(topics.len());
        for topic in topics {
            let name = self.0.replace(TOPIC_MARK, topic.topic.name());
            let place = streams.iter().position(|known| *known == name).unwrap_or_else(|| {
                streams.push(name);
                streams.len() - 1
            });
            places.push(place);
        }
        (streams, places)
    }
}

impl Target {
    /// Parses a URL of `--to`, or a folder. Returns a usage error if it is not a receiver, or contains a user or a secret.
    pub fn parse(written: &str) -> Result<Self> {
        let Some((scheme, rest)) = written.split_once("://") else { return Self::objects(written) };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Error::usage(format!(
                "the {scheme}:// URL of --to contains a user: other users of the machine can read it"
            ))
            .with_hint(match scheme {
                "kafka" => "put credentials such as sasl.jaas.config into a file: --kafka-config FILE",
                "http" | "https" => "the API key comes from PINSQL_API_KEY or from --api-key-file",
                _ => "credentials come from the standard AWS variables and profiles",
            }));
        }
        match scheme {
            "http" | "https" => Self::http(written),
            "kafka" => Self::kafka(rest),
            "kinesis" => Self::kinesis(rest),
            "s3" | "s3a" | "file" => Self::objects(written),
            other => Err(Error::usage(format!("`{other}://` is not a supported receiver")).with_hint(KINDS_HINT)),
        }
    }

    fn http(written: &str) -> Result<Self> {
        let url = Url::parse(written).map_err(|error| not_a_url(written, &error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(not_a_url(without_query(written), "a query or a fragment is not allowed"));
        }
        let path = written.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match parts[..] {
            [.., "topics"] => Ok(Self::KafkaRest(url)),
            [.., "streams", stream] => {
                let mut base = url;
                let kept = parts[..parts.len() - 1].join("/");
                base.set_path(&kept);
                Ok(Self::KinesisApi { base, stream: StreamName::parse(stream)? })
            }
            _ => Err(Error::usage(format!("`{written}` ends neither in /topics nor in /streams/NAME")).with_hint(
                "http://host/topics is Kafka REST, http://host/streams/NAME is the API in front of Kinesis",
            )),
        }
    }

    fn kafka(rest: &str) -> Result<Self> {
        let (servers, query) = rest.split_once('?').unwrap_or((rest, ""));
        let servers = servers.trim_end_matches('/');
        let is_address = |server: &str| {
            let port = server.rsplit_once(':').map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
            matches!(port, Some((false, Ok(_)))) && !server.contains('/')
        };
        if !servers.split(',').all(is_address) {
            return Err(Error::usage(format!("`kafka://{servers}` has no valid list of brokers"))
                .with_hint("kafka://host:port, or several: kafka://host:port,host:port"));
        }
        let mut properties = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let name = name.to_ascii_lowercase();
            if is_secret_property(&name) {
                return Err(Error::usage(format!(
                    "the property {name} must not be in a URL: other users of the machine can read it"
                ))
                .with_hint("put it into a file, one `name=value` a line: --kafka-config FILE"));
            }
            if properties.insert(name.clone(), value.into_owned()).is_some() {
                return Err(Error::usage(format!("the property {name} is given twice")));
            }
        }
        Ok(Self::Kafka { servers: servers.to_owned(), properties })
    }

    fn kinesis(rest: &str) -> Result<Self> {
        let (stream, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut region, mut endpoint) = (None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let option = match &*name {
                "region" => &mut region,
                "endpoint" => &mut endpoint,
                _ => {
                    return Err(Error::usage(format!("kinesis:// has no option `{name}`")).with_hint(
                        "kinesis://NAME?region=…&endpoint=…; credentials come from the standard AWS chain",
                    ));
                }
            };
            *option = Some(value.into_owned());
        }
        Ok(Self::Kinesis { stream: StreamName::parse(stream.trim_end_matches('/'))?, region, endpoint })
    }

    fn objects(written: &str) -> Result<Self> {
        if written.trim().is_empty() {
            return Err(Error::usage("--to is empty").with_hint(KINDS_HINT));
        }
        Ok(Self::Objects { url: to_url(written)?, written: written.trim_end_matches('/').to_owned() })
    }

    /// True if the receiver accepts only JSON.
    pub fn is_json_only(&self) -> bool {
        matches!(self, Self::KafkaRest(_) | Self::KinesisApi { .. })
    }
}

fn not_a_url(written: &str, why: &str) -> Error {
    Error::usage(format!("`{written}` is not a URL to post to: {why}")).with_hint(KINDS_HINT)
}

fn without_query(written: &str) -> &str {
    written.split(['?', '#']).next().unwrap_or(written)
}

/// The form that may be shown: without properties.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KafkaRest(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Self::KinesisApi { base, stream } => write!(f, "{base}/{}", stream.0),
            Self::Kafka { servers, .. } => write!(f, "kafka://{servers}"),
            Self::Kinesis { stream, .. } => write!(f, "kinesis://{}", stream.0),
            Self::Objects { written, .. } => f.write_str(written),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Topic;

    fn shown(written: &str) -> String {
        Target::parse(written).unwrap().to_string()
    }

    #[test]
    fn the_url_decides_the_kind() {
        let kind = |written: &str| match Target::parse(written).unwrap() {
            Target::KafkaRest(_) => "Kafka REST",
            Target::KinesisApi { .. } => "Kinesis API",
            Target::Kafka { .. } => "Kafka",
            Target::Kinesis { .. } => "Kinesis",
            Target::Objects { .. } => "objects",
        };
        assert_eq!(kind("http://127.0.0.1:8080/topics"), "Kafka REST");
        assert_eq!(kind("https://x.execute-api.us-east-1.amazonaws.com/dev/topics/"), "Kafka REST");
        assert_eq!(kind("http://127.0.0.1:8080/dev/streams/posts"), "Kinesis API");
        assert_eq!(kind("kafka://a:9092,b:9092?security.protocol=ssl"), "Kafka");
        assert_eq!(kind("kinesis://posts?region=eu-west-1"), "Kinesis");
        assert_eq!(kind("s3://bucket/raw"), "objects");
        assert_eq!(kind("raw"), "objects");
        assert_eq!(kind("./topics"), "objects");
    }

    #[test]
    fn properties_are_not_shown() {
        assert_eq!(shown("kafka://a:9092,b:9092?security.protocol=ssl"), "kafka://a:9092,b:9092");
        assert_eq!(shown("kinesis://posts?region=eu-west-1"), "kinesis://posts");
        assert_eq!(shown("http://h:1/dev/streams/posts-{topic}/"), "http://h:1/dev/streams/posts-{topic}");
        assert_eq!(shown("http://h:1/topics/"), "http://h:1/topics");
        assert_eq!(shown("raw/"), "raw");
    }

    #[test]
    fn a_stream_name_can_have_the_topic() {
        let topics = Topic::ALL.map(|topic| PostedTopic { topic, name: topic.name().to_owned() });
        let of = |name: &str| StreamName::parse(name).unwrap().of_topics(&topics);
        assert_eq!(of("posts"), (vec!["posts".to_owned()], vec![0, 0, 0]));
        let three = ["s-pin", "s-geo", "s-user"].map(str::to_owned).to_vec();
        assert_eq!(of("s-{topic}"), (three, vec![0, 1, 2]));
    }

    #[test]
    fn properties_are_parsed() {
        let Target::Kafka { servers, properties } = Target::parse("kafka://a:9092/?Linger.ms=5&x=a%20b").unwrap()
        else {
            panic!("not Kafka");
        };
        assert_eq!(servers, "a:9092");
        let pairs: Vec<(&str, &str)> = properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("linger.ms", "5"), ("x", "a b")]);
    }

    #[test]
    fn invalid_receivers_are_refused_without_repeating_secrets() {
        for (written, said) in [
            ("ftp://host/x", "`ftp://` is not a supported receiver"),
            ("http://host/x", "`http://host/x` ends neither in /topics nor in /streams/NAME"),
            (
                "http://host/topics?key=hush",
                "`http://host/topics` is not a URL to post to: a query or a fragment is not allowed",
            ),
            (
                "http://user:hush@host/topics",
                "the http:// URL of --to contains a user: other users of the machine can read it",
            ),
            (
                "kafka://user:hush@host:1",
                "the kafka:// URL of --to contains a user: other users of the machine can read it",
            ),
            ("kafka://host", "`kafka://host` has no valid list of brokers"),
            ("kafka://a:1,,b:2", "`kafka://a:1,,b:2` has no valid list of brokers"),
            (
                "kafka://a:1?sasl.password=hush",
                "the property sasl.password must not be in a URL: other users of the machine can read it",
            ),
            ("kafka://a:1?x=1&X=2", "the property x is given twice"),
            ("kinesis://", "`` is not a valid name of a Kinesis stream"),
            ("kinesis://posts?key=hush", "kinesis:// has no option `key`"),
            ("http://host/streams/a%20b", "`a%20b` is not a valid name of a Kinesis stream"),
            ("", "--to is empty"),
        ] {
            let error = Target::parse(written).unwrap_err();
            assert_eq!(error.message, said, "{written}");
            assert!(!format!("{error:?}").contains("hush"), "{written}: {error:?}");
        }
    }
}
