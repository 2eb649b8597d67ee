//! The URLs of `--to`: who is posted to.
//!
//! A URL holds no secret: it is an argument of the process, which everybody on the machine can read, and it is shown in the
//! report. One with a user in it, or with a property that is a secret, is refused without being repeated.

use std::collections::BTreeMap;
use std::fmt;

use url::Url;

use super::post::PostedTopic;
use pinsql_base::error::{Error, Result};
use pinsql_base::store::to_url;
use pinsql_sinks::kafka::is_secret_property;

/// In the name of a stream, the topic that a record is of.
const TOPIC_MARK: &str = "{topic}";

const KINDS_HINT: &str = "http://host/topics (Kafka REST), http://host/streams/NAME (Kinesis API), kafka://host:port, \
                          kinesis://NAME, s3://bucket/prefix or a folder";

/// Somebody who is posted to.
#[derive(Clone)]
pub enum Target {
    /// `http://…/topics`
    KafkaRest(Url),
    /// `http://…/streams/NAME`: the URL up to the name, and the name.
    KinesisApi { base: Url, stream: StreamName },
    /// `kafka://host:port,host:port?property=value`
    Kafka { servers: String, properties: BTreeMap<String, String> },
    /// `kinesis://NAME?region=…&endpoint=…`
    Kinesis { stream: StreamName, region: Option<String>, endpoint: Option<String> },
    /// `s3://bucket/prefix`, or a folder as it was written.
    Objects { url: Url, written: String },
}

/// The name of a Kinesis stream; with `{topic}` in it, of one for each topic.
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
            false => Err(Error::usage(format!("`{name}` is not the name of a Kinesis stream")).with_hint(
                "letters, digits, `_`, `.` and `-`; {topic} in it stands for pin, geo and user: streaming-{topic}",
            )),
        }
    }

    /// The streams of these topics, each once, and for each topic the place of its stream among them.
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
    pub fn parse(written: &str) -> Result<Self> {
        let Some((scheme, rest)) = written.split_once("://") else { return Self::objects(written) };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Error::usage(format!(
                "the {scheme}:// URL of --to has a user in it, which everybody could read"
            ))
            .with_hint(match scheme {
                "kafka" => "put sasl.jaas.config or the like into a file: --kafka-config FILE",
                "http" | "https" => "the API key comes from PINSQL_API_KEY or from --api-key-file",
                _ => "credentials come from where every AWS tool takes them",
            }));
        }
        match scheme {
            "http" | "https" => Self::http(written),
            "kafka" => Self::kafka(rest),
            "kinesis" => Self::kinesis(rest),
            "s3" | "s3a" | "file" => Self::objects(written),
            other => {
                Err(Error::usage(format!("`{other}://` is nothing that records can be posted to"))
                    .with_hint(KINDS_HINT))
            }
        }
    }

    fn http(written: &str) -> Result<Self> {
        let url = Url::parse(written).map_err(|error| not_a_url(written, &error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(not_a_url(without_query(written), "it has more behind the path"));
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
            _ => Err(Error::usage(format!("`{written}` does not say which API it is"))
                .with_hint("http://host/topics is Kafka REST, http://host/streams/NAME the API in front of Kinesis")),
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
            return Err(Error::usage(format!("`kafka://{servers}` names no brokers"))
                .with_hint("kafka://host:port, or several: kafka://host:port,host:port"));
        }
        let mut properties = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let name = name.to_ascii_lowercase();
            if is_secret_property(&name) {
                return Err(Error::usage(format!(
                    "the property {name} has no place in a URL, which everybody could read"
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
                    return Err(Error::usage(format!("kinesis:// has no option `{name}`"))
                        .with_hint("kinesis://NAME?region=…&endpoint=…; credentials come from AWS's own chain"));
                }
            };
            *option = Some(value.into_owned());
        }
        Ok(Self::Kinesis { stream: StreamName::parse(stream.trim_end_matches('/'))?, region, endpoint })
    }

    fn objects(written: &str) -> Result<Self> {
        if written.trim().is_empty() {
            return Err(Error::usage("--to names nobody").with_hint(KINDS_HINT));
        }
        Ok(Self::Objects { url: to_url(written)?, written: written.trim_end_matches('/').to_owned() })
    }

    /// Whether only JSON can be sent.
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

/// As it may be shown: without properties.
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
    fn each_kind_is_told_by_its_url() {
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
    fn what_is_shown_has_no_properties() {
        assert_eq!(shown("kafka://a:9092,b:9092?security.protocol=ssl"), "kafka://a:9092,b:9092");
        assert_eq!(shown("kinesis://posts?region=eu-west-1"), "kinesis://posts");
        assert_eq!(shown("http://h:1/dev/streams/posts-{topic}/"), "http://h:1/dev/streams/posts-{topic}");
        assert_eq!(shown("http://h:1/topics/"), "http://h:1/topics");
        assert_eq!(shown("raw/"), "raw");
    }

    #[test]
    fn a_stream_may_be_one_for_each_topic() {
        let topics = Topic::ALL.map(|topic| PostedTopic { topic, name: topic.name().to_owned() });
        let of = |name: &str| StreamName::parse(name).unwrap().of_topics(&topics);
        assert_eq!(of("posts"), (vec!["posts".to_owned()], vec![0, 0, 0]));
        let three = ["s-pin", "s-geo", "s-user"].map(str::to_owned).to_vec();
        assert_eq!(of("s-{topic}"), (three, vec![0, 1, 2]));
    }

    #[test]
    fn properties_are_taken_apart() {
        let Target::Kafka { servers, properties } = Target::parse("kafka://a:9092/?Linger.ms=5&x=a%20b").unwrap()
        else {
            panic!("not Kafka");
        };
        assert_eq!(servers, "a:9092");
        let pairs: Vec<(&str, &str)> = properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("linger.ms", "5"), ("x", "a b")]);
    }

    #[test]
    fn what_is_no_receiver_is_refused_and_no_secret_is_repeated() {
        for (written, said) in [
            ("ftp://host/x", "`ftp://` is nothing that records can be posted to"),
            ("http://host/x", "`http://host/x` does not say which API it is"),
            (
                "http://host/topics?key=hush",
                "`http://host/topics` is not a URL to post to: it has more behind the path",
            ),
            ("http://user:hush@host/topics", "the http:// URL of --to has a user in it, which everybody could read"),
            ("kafka://user:hush@host:1", "the kafka:// URL of --to has a user in it, which everybody could read"),
            ("kafka://host", "`kafka://host` names no brokers"),
            ("kafka://a:1,,b:2", "`kafka://a:1,,b:2` names no brokers"),
            (
                "kafka://a:1?sasl.password=hush",
                "the property sasl.password has no place in a URL, which everybody could read",
            ),
            ("kafka://a:1?x=1&X=2", "the property x is given twice"),
            ("kinesis://", "`` is not the name of a Kinesis stream"),
            ("kinesis://posts?key=hush", "kinesis:// has no option `key`"),
            ("http://host/streams/a%20b", "`a%20b` is not the name of a Kinesis stream"),
            ("", "--to names nobody"),
        ] {
            let error = Target::parse(written).unwrap_err();
            assert_eq!(error.message, said, "{written}");
            assert!(!format!("{error:?}").contains("hush"), "{written}: {error:?}");
        }
    }
}
