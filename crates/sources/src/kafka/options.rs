//! The options of `read_kafka`, with the names of Databricks and of Spark's Kafka source.
//!
//! Options of Spark that have no meaning here are refused by name, so that no option is silently ignored. One default differs
//! from Spark's: only committed records are read (`kafka.isolation.level`), since a table cannot remove a record whose
//! transaction was aborted later.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::scalar::ScalarValue;
use regex::Regex;
use serde::de::DeserializeOwned;

use super::offsets::{Offsets, TopicPartition, flatten};
use super::properties::Properties;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

/// Which topics and partitions are read.
#[derive(Debug, Clone)]
pub(super) enum Subscription {
    Topics(BTreeSet<String>),
    /// Every topic whose whole name matches.
    Pattern {
        text: String,
        regex: Regex,
    },
    Assigned(BTreeSet<TopicPartition>),
}

impl Subscription {
    /// The name for messages and the ledger: the topics, the pattern or the partitions.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Topics(topics) => topics.iter().cloned().collect::<Vec<_>>().join(","),
            Self::Pattern { text, .. } => text.clone(),
            Self::Assigned(partitions) => partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        }
    }
}

/// Where a new table starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Starting {
    Latest,
    Earliest,
    /// For each partition; -1 is latest and -2 earliest.
    Offsets(Offsets),
    TimestampMs(i64),
    TimestampsMs(Offsets),
}

/// What happens in a partition that has no record at or after the starting timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSuchTimestamp {
    Error,
    Latest,
}

/// The parsed options of one call.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) subscription: Subscription,
    pub(super) starting: Starting,
    pub(super) no_such_timestamp: NoSuchTimestamp,
    pub(super) fail_on_data_loss: bool,
    pub(super) records_per_slice_max: Option<u64>,
    pub(super) include_headers: bool,
    pub(super) group_prefix: Option<String>,
    pub(super) properties: Properties,
}

const BOOTSTRAP_SERVERS: &str = "bootstrapServers";
const SUBSCRIPTIONS: [&str; 3] = ["subscribe", "subscribePattern", "assign"];

/// The supported options, besides those that begin with `kafka.`.
const TAKEN: [&str; 13] = [
    BOOTSTRAP_SERVERS,
    "subscribe",
    "subscribePattern",
    "assign",
    "startingOffsets",
    "startingTimestamp",
    "startingOffsetsByTimestamp",
    "startingOffsetsByTimestampStrategy",
    "failOnDataLoss",
    "maxOffsetsPerTrigger",
    "includeHeaders",
    "groupIdPrefix",
    "awsRegion",
];

/// The names of the supported options, for completion and hints. Options that begin with `kafka.` are not among them.
pub fn option_names() -> &'static [&'static str] {
    &TAKEN
}

/// Options of Spark or Databricks that are refused, each with the reason or the alternative.
const REFUSED: [(&str, &str); 12] = [
    ("endingOffsets", "a stream has no end"),
    ("endingTimestamp", "a stream has no end"),
    ("endingOffsetsByTimestamp", "a stream has no end"),
    ("minOffsetsPerTrigger", "a micro-batch takes all available records; --trigger sets the interval"),
    ("maxTriggerDelay", "a micro-batch takes all available records; --trigger sets the interval"),
    ("minPartitions", "a micro-batch is divided among the processors, independent of the topic's partitions"),
    ("maxRecordsPerPartition", "a micro-batch is divided among the processors, independent of the topic's partitions"),
    ("fetchOffset.numRetries", "pinsql retries without a limit"),
    ("fetchOffset.retryIntervalMs", "pinsql retries without a limit"),
    ("kafkaConsumer.pollTimeoutMs", "pinsql waits without a limit"),
    ("serviceCredential", "only Databricks has it; credentials come from AWS's chain or from kafka.sasl.jaas.config"),
    ("kafka.bootstrap.server", "the name is kafka.bootstrap.servers"),
];

const PROPERTY_PREFIX: &str = "kafka.";

impl Options {
    pub(super) fn parse(given: &BTreeMap<String, ScalarValue>) -> Result<Self> {
        let mut taken: BTreeMap<&'static str, Given<'_>> = BTreeMap::new();
        let mut properties: BTreeMap<String, String> = BTreeMap::new();
        for (written, value) in given {
            refuse(written)?;
            let lowercase = written.to_ascii_lowercase();
            let is_new = if let Some(property) = lowercase.strip_prefix(PROPERTY_PREFIX) {
                properties.insert(property.to_owned(), Given { name: written, value }.plain()?).is_none()
            } else {
                let name = TAKEN.iter().find(|name| name.eq_ignore_ascii_case(written));
                let name = name.ok_or_else(|| unknown(written))?;
                taken.insert(name, Given { name, value }).is_none()
            };
            if !is_new {
                return Err(Error::new(ErrorCode::InvalidOption, format!("the option {written} is given twice")));
            }
        }
        if let Some(servers) = taken.get(BOOTSTRAP_SERVERS)
            && properties.insert("bootstrap.servers".to_owned(), servers.text()?.to_owned()).is_some()
        {
            return Err(Error::new(
                ErrorCode::InvalidOption,
                "bootstrapServers and kafka.bootstrap.servers are the same option: give one",
            ));
        }
        let region = taken.get("awsRegion").map(Given::text).transpose()?;
        let text = |name| taken.get(name).map(Given::text).transpose();
        let flag = |name, default| taken.get(name).map_or(Ok(default), Given::boolean);
        Ok(Self {
            subscription: subscription(&taken)?,
            starting: starting(&taken)?,
            no_such_timestamp: taken
                .get("startingOffsetsByTimestampStrategy")
                .map_or(Ok(NoSuchTimestamp::Error), Given::no_such_timestamp)?,
            fail_on_data_loss: flag("failOnDataLoss", true)?,
            records_per_slice_max: taken.get("maxOffsetsPerTrigger").map(Given::positive).transpose()?,
            include_headers: flag("includeHeaders", false)?,
            group_prefix: text("groupIdPrefix")?.map(str::to_owned),
            properties: Properties::translate(&properties, region)?,
        })
    }
}

fn refuse(written: &str) -> Result<()> {
    match REFUSED.iter().find(|(name, _)| name.eq_ignore_ascii_case(written)) {
        Some((name, instead)) => {
            Err(Error::new(ErrorCode::UnsupportedFeature, format!("read_kafka does not support the option {name}"))
                .with_hint(*instead))
        }
        None => Ok(()),
    }
}

fn unknown(written: &str) -> Error {
    let error = Error::new(ErrorCode::UnknownOption, format!("read_kafka has no option `{written}`"));
    match nearest(written, TAKEN) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint(format!("the options are {}, and kafka.* of the Kafka client", TAKEN.join(", "))),
    }
}

fn subscription(taken: &BTreeMap<&'static str, Given<'_>>) -> Result<Subscription> {
    let mut given = SUBSCRIPTIONS.iter().filter_map(|name| taken.get(name));
    let (Some(one), None) = (given.next(), given.next()) else {
        return Err(Error::new(
            ErrorCode::MissingOption,
            "read_kafka needs one of the options subscribe, subscribePattern and assign",
        ));
    };
    match one.name {
        "subscribe" => {
            let names = one.text()?.split(',').map(str::trim).filter(|name| !name.is_empty());
            let topics: BTreeSet<String> = names.map(str::to_owned).collect();
            if topics.is_empty() { Err(one.wrong("names of topics")) } else { Ok(Subscription::Topics(topics)) }
        }
        "subscribePattern" => {
            let text = one.text()?.to_owned();
            // As in Java, the whole name must match.
            let regex = Regex::new(&format!("^(?:{text})$"));
            let regex = regex.map_err(|error| one.wrong("a regular expression").caused_by(error))?;
            Ok(Subscription::Pattern { text, regex })
        }
        _ => {
            let topics: BTreeMap<String, Vec<i32>> = one.json("partitions by topic, such as {\"pins\":[0,1]}")?;
            let pairs = topics.iter().flat_map(|(topic, partitions)| {
                partitions.iter().map(|partition| TopicPartition::new(topic, *partition))
            });
            let partitions: BTreeSet<TopicPartition> = pairs.collect();
            if partitions.is_empty() { Err(one.wrong("partitions")) } else { Ok(Subscription::Assigned(partitions)) }
        }
    }
}

/// As in Spark, `startingTimestamp` has precedence over `startingOffsetsByTimestamp`, and that over `startingOffsets`.
fn starting(taken: &BTreeMap<&'static str, Given<'_>>) -> Result<Starting> {
    if let Some(given) = taken.get("startingTimestamp") {
        return Ok(Starting::TimestampMs(given.timestamp_ms()?));
    }
    if let Some(given) = taken.get("startingOffsetsByTimestamp") {
        let topics = given.json("timestamps by topic and partition, such as {\"pins\":{\"0\":1700000000000}}")?;
        return Ok(Starting::TimestampsMs(flatten(topics)));
    }
    let Some(given) = taken.get("startingOffsets") else { return Ok(Starting::Latest) };
    match given.text()?.trim().to_ascii_lowercase().as_str() {
        "latest" => Ok(Starting::Latest),
        "earliest" => Ok(Starting::Earliest),
        _ => {
            let shape = "latest, earliest, or offsets by topic and partition such as {\"pins\":{\"0\":17}}";
            let offsets: Offsets = flatten(given.json(shape)?);
            if offsets.is_empty() || offsets.values().any(|offset| *offset < -2) {
                return Err(given.wrong(shape));
            }
            Ok(Starting::Offsets(offsets))
        }
    }
}

/// One option and its value. The methods convert the value to the type that the option needs.
struct Given<'a> {
    name: &'a str,
    value: &'a ScalarValue,
}

impl<'a> Given<'a> {
    fn wrong(&self, needed: &str) -> Error {
        Error::new(ErrorCode::InvalidOption, format!("the option {} needs {needed}, not {}", self.name, self.value))
    }

    fn text(&self) -> Result<&'a str> {
        self.value.try_as_str().flatten().ok_or_else(|| self.wrong("a text"))
    }

    /// The value of a property of the Kafka client as text. It may be a secret, so no error shows it.
    fn plain(&self) -> Result<String> {
        match self.value {
            ScalarValue::Boolean(Some(value)) => Ok(value.to_string()),
            ScalarValue::Int32(Some(value)) => Ok(value.to_string()),
            ScalarValue::Int64(Some(value)) => Ok(value.to_string()),
            _ => match self.value.try_as_str().flatten() {
                Some(text) => Ok(text.to_owned()),
                None => Err(Error::new(
                    ErrorCode::InvalidOption,
                    format!("the option {} needs a text, a whole number, or true or false", self.name),
                )),
            },
        }
    }

    fn boolean(&self) -> Result<bool> {
        match self.plain()?.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    fn positive(&self) -> Result<u64> {
        match self.plain()?.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(self.wrong("a whole number above zero")),
        }
    }

    fn timestamp_ms(&self) -> Result<i64> {
        match self.plain()?.parse() {
            Ok(timestamp_ms) if timestamp_ms >= 0 => Ok(timestamp_ms),
            _ => Err(self.wrong("milliseconds since 1970")),
        }
    }

    fn no_such_timestamp(&self) -> Result<NoSuchTimestamp> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "error" => Ok(NoSuchTimestamp::Error),
            "latest" => Ok(NoSuchTimestamp::Latest),
            _ => Err(self.wrong("error or latest")),
        }
    }

    fn json<T: DeserializeOwned>(&self, shape: &str) -> Result<T> {
        serde_json::from_str(self.text()?).map_err(|error| self.wrong(shape).caused_by(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVERS: (&str, &str) = ("bootstrapServers", "b:9092");
    const TOPIC: (&str, &str) = ("subscribe", "pins");

    fn parse(given: &[(&str, &str)]) -> Result<Options> {
        Options::parse(&given.iter().map(|(name, value)| ((*name).to_owned(), ScalarValue::from(*value))).collect())
    }

    #[track_caller]
    fn check_error(given: &[(&str, &str)], message: &str, hint: Option<&str>) {
        let error = parse(given).unwrap_err();
        assert_eq!((error.message.as_str(), error.hint.as_deref()), (message, hint));
    }

    #[test]
    fn names_are_case_insensitive_and_defaults_are_sparks() {
        let options = parse(&[("BOOTSTRAPSERVERS", "b:9092"), ("Subscribe", " pins, geo ,")]).unwrap();
        assert_eq!(options.subscription.name(), "geo,pins");
        assert_eq!(options.starting, Starting::Latest);
        assert!(options.fail_on_data_loss && !options.include_headers);
        assert_eq!(options.properties.servers, "b:9092");
        let given = [
            ("kafka.bootstrap.servers", "b:9092"),
            ("subscribePattern", "pins|geo"),
            ("includeheaders", "TRUE"),
            ("failOnDataLoss", "false"),
            ("maxOffsetsPerTrigger", "500"),
            ("kafka.GROUP.id", "mine"),
            ("groupIdPrefix", "ours"),
        ];
        let options = parse(&given).unwrap();
        let Subscription::Pattern { regex, .. } = &options.subscription else { panic!("no pattern") };
        assert!(regex.is_match("geo") && !regex.is_match("geology"));
        assert_eq!((options.records_per_slice_max, options.properties.group.as_deref()), (Some(500), Some("mine")));
        assert!(options.include_headers && !options.fail_on_data_loss);
    }

    #[test]
    fn a_number_and_a_boolean_need_no_quotes() {
        let given = BTreeMap::from([
            ("subscribe".to_owned(), ScalarValue::from("pins")),
            ("bootstrapServers".to_owned(), ScalarValue::from("b:9092")),
            ("maxOffsetsPerTrigger".to_owned(), ScalarValue::Int64(Some(7))),
            ("includeHeaders".to_owned(), ScalarValue::Boolean(Some(true))),
            ("kafka.fetch.min.bytes".to_owned(), ScalarValue::Int32(Some(1))),
        ]);
        let options = Options::parse(&given).unwrap();
        assert_eq!((options.records_per_slice_max, options.include_headers), (Some(7), true));
    }

    #[test]
    fn starting_offsets_have_the_forms_of_spark() {
        let starting = |name, value| parse(&[SERVERS, TOPIC, (name, value)]).map(|options| options.starting);
        assert_eq!(starting("startingOffsets", "Earliest").unwrap(), Starting::Earliest);
        let offsets = Offsets::from([(TopicPartition::new("pins", 0), -2), (TopicPartition::new("pins", 1), 17)]);
        assert_eq!(starting("startingOffsets", r#"{"pins":{"0":-2,"1":17}}"#).unwrap(), Starting::Offsets(offsets));
        assert_eq!(starting("startingTimestamp", "1700000000000").unwrap(), Starting::TimestampMs(1_700_000_000_000));
        for wrong in ["soon", "{}", r#"{"pins":{"0":-3}}"#, r#"{"pins":[0]}"#] {
            assert!(starting("startingOffsets", wrong).is_err(), "{wrong}");
        }
        let assigned = parse(&[SERVERS, ("assign", r#"{"pins":[1,0]}"#)]).unwrap();
        assert_eq!(assigned.subscription.name(), "pins-0,pins-1");
    }

    #[test]
    fn every_wrong_option_is_an_error() {
        check_error(
            &[TOPIC],
            "read_kafka needs the option bootstrapServers",
            Some("such as bootstrapServers => 'broker-1:9092,broker-2:9092'"),
        );
        check_error(&[SERVERS], "read_kafka needs one of the options subscribe, subscribePattern and assign", None);
        check_error(
            &[SERVERS, TOPIC, ("subscribePattern", "p")],
            "read_kafka needs one of the options subscribe, subscribePattern and assign",
            None,
        );
        check_error(
            &[SERVERS, TOPIC, ("startingOffset", "latest")],
            "read_kafka has no option `startingOffset`",
            Some("did you mean startingOffsets?"),
        );
        check_error(
            &[SERVERS, TOPIC, ("endingoffsets", "latest")],
            "read_kafka does not support the option endingOffsets",
            Some("a stream has no end"),
        );
        check_error(&[SERVERS, TOPIC, ("SUBSCRIBE", "geo")], "the option subscribe is given twice", None);
        check_error(
            &[SERVERS, TOPIC, ("maxOffsetsPerTrigger", "0")],
            "the option maxOffsetsPerTrigger needs a whole number above zero, not 0",
            None,
        );
        check_error(
            &[SERVERS, ("kafka.bootstrap.servers", "c:9092"), TOPIC],
            "bootstrapServers and kafka.bootstrap.servers are the same option: give one",
            None,
        );
    }
}
