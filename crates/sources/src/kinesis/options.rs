//! The options of `read_kinesis`, with the names of Databricks
//! (<https://docs.databricks.com/en/sql/language-manual/functions/read_kinesis.html>).
//!
//! As with `read_files`, each option of Databricks is supported or refused by name, so that none is silently ignored. Options
//! that would put a secret into SQL are refused: credentials come from AWS's default chain. Options for Spark's tasks are
//! refused because there are no such tasks here.

use std::collections::BTreeMap;
use std::time::Duration;

use datafusion::scalar::ScalarValue;
use serde::Deserialize;

use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::units::{bytes, duration};
use pinsql_json::TemporalFormats;

/// The limits of Kinesis: calls of GetRecords and bytes a second for one shard, and records in a call
/// (<https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>).
const FETCH_PERIOD_MIN: Duration = Duration::from_millis(200);
const FETCH_MEGABYTES_PER_SECOND_MAX: f64 = 2.0;
const FETCH_RECORDS_MAX: i32 = 10_000;
/// How often shards are listed while children of closed shards are missing. The default of `shardFetchInterval`.
const SHARD_FETCH_INTERVAL: Duration = Duration::from_secs(1);
const REGISTER_TIMEOUT: Duration = Duration::from_secs(300);

/// The supported options.
const TAKEN: [&str; 13] = [
    "streamName",
    "streamARN",
    "region",
    "endpoint",
    "initialPosition",
    "maxRecordsPerFetch",
    "maxFetchRate",
    "minFetchPeriod",
    "fetchBufferSize",
    "shardFetchInterval",
    "consumerMode",
    "consumerName",
    "registerConsumerTimeoutInterval",
];

/// The names of the supported options, for completion and hints.
pub fn option_names() -> &'static [&'static str] {
    &TAKEN
}

const CHAIN_HINT: &str = "leave it out: credentials come from AWS's default chain (environment variables, profiles, SSO, \
                          containers, instances)";
const ROLE_HINT: &str =
    "name the role in a profile of AWS's configuration (role_arn, source_profile) and set AWS_PROFILE";
const TASKS_HINT: &str = "leave it out: each shard has its own reader, without Spark's tasks";

/// Options of Databricks that are refused, each with a hint.
const REFUSED: [(&str, &str); 18] = [
    ("awsAccessKey", CHAIN_HINT),
    ("awsSecretKey", CHAIN_HINT),
    ("awsSessionToken", CHAIN_HINT),
    ("serviceCredential", CHAIN_HINT),
    ("roleArn", ROLE_HINT),
    ("roleExternalId", ROLE_HINT),
    ("roleSessionName", ROLE_HINT),
    ("stsEndpoint", ROLE_HINT),
    ("shardsPerTask", TASKS_HINT),
    ("maxFetchDuration", TASKS_HINT),
    ("coalesceThresholdBlockSize", TASKS_HINT),
    ("coalesce", TASKS_HINT),
    ("coalesceBinSize", TASKS_HINT),
    ("reuseKinesisClient", TASKS_HINT),
    ("clientRetries", "leave it out: a stream retries without a limit"),
    ("consumerRefreshInterval", "leave it out: a consumer stays registered"),
    ("requireConsumerDeregistration", "delete the consumer with `aws kinesis deregister-stream-consumer`"),
    ("deregisterConsumerTimeoutInterval", "delete the consumer with `aws kinesis deregister-stream-consumer`"),
];

/// The name or the ARN of the stream, as the calls need it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum StreamName {
    Name(String),
    Arn(String),
}

impl StreamName {
    /// The name without the rest of the ARN, as in the column `stream`.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Arn(arn) => arn.rsplit('/').next().unwrap_or(arn),
        }
    }
}

/// Where a new table starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InitialPosition {
    Latest,
    TrimHorizon,
    /// Milliseconds since 1970.
    Moment(i64),
}

/// How records are fetched. Tables share the reader of a stream only if these options are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FetchOptions {
    pub records_max: i32,
    pub bytes_per_second_max: u64,
    pub period_min: Duration,
    pub shard_list_period: Duration,
}

/// Enhanced fan-out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ConsumerOptions {
    /// None: the name of the table.
    pub name: Option<String>,
    pub register_timeout: Duration,
}

/// The parsed options of one call.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub stream: StreamName,
    pub region: Option<String>,
    pub endpoint: Option<String>,
    pub initial: InitialPosition,
    pub fetch: FetchOptions,
    pub buffer_bytes_max: Option<u64>,
    pub consumer: Option<ConsumerOptions>,
}

/// The given options by their names in [`TAKEN`]. The methods parse them and fill in defaults.
#[derive(Default)]
struct Collected<'a> {
    given: BTreeMap<&'static str, &'a ScalarValue>,
}

impl Options {
    pub(super) fn parse(given: &BTreeMap<String, ScalarValue>) -> Result<Self> {
        let mut collected = Collected::default();
        for (written, value) in given {
            let taken = TAKEN.iter().find(|name| name.eq_ignore_ascii_case(written));
            let Some(name) = taken else { return Err(unknown(written)) };
            if collected.given.insert(name, value).is_some() {
                return Err(Error::new(ErrorCode::InvalidOption, format!("the option {name} is given twice")));
            }
        }
        let stream = collected.stream()?;
        let region = collected.text("region")?.or_else(|| region_of(&stream));
        Ok(Self {
            region,
            endpoint: collected.endpoint()?,
            initial: collected.initial()?,
            fetch: collected.fetch()?,
            buffer_bytes_max: collected.buffer_bytes_max()?,
            consumer: collected.consumer()?,
            stream,
        })
    }
}

fn unknown(written: &str) -> Error {
    if let Some((name, hint)) = REFUSED.iter().find(|(name, _)| name.eq_ignore_ascii_case(written)) {
        return Error::new(ErrorCode::UnsupportedFeature, format!("read_kinesis does not support the option {name}"))
            .with_hint(*hint);
    }
    let error = Error::new(ErrorCode::UnknownOption, format!("read_kinesis has no option `{written}`"));
    match nearest(written, TAKEN) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint(format!("the options are {}", TAKEN.join(", "))),
    }
}

/// The region that an ARN names: `arn:aws:kinesis:eu-west-1:123456789012:stream/pins`.
fn region_of(stream: &StreamName) -> Option<String> {
    let StreamName::Arn(arn) = stream else { return None };
    arn.split(':').nth(3).filter(|region| !region.is_empty()).map(str::to_owned)
}

impl Collected<'_> {
    fn wrong(&self, name: &str, needed: &str) -> Error {
        let value = self.given.get(name).map(ToString::to_string).unwrap_or_default();
        Error::new(ErrorCode::InvalidOption, format!("the option {name} needs {needed}, not {value}"))
    }

    /// A value as text. As on Databricks, a number may be given as a number or as a text.
    fn text(&self, name: &'static str) -> Result<Option<String>> {
        let Some(value) = self.given.get(name) else { return Ok(None) };
        if value.is_null() {
            return Err(self.wrong(name, "a value"));
        }
        Ok(Some(match value.try_as_str().flatten() {
            Some(text) => text.trim().to_owned(),
            None => value.to_string(),
        }))
    }

    fn parsed<T>(&self, name: &'static str, needed: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        self.text(name)?.map(|text| parse(&text).ok_or_else(|| self.wrong(name, needed))).transpose()
    }

    fn stream(&self) -> Result<StreamName> {
        let stream = match (self.text("streamName")?, self.text("streamARN")?) {
            (Some(name), None) => StreamName::Name(name),
            (None, Some(arn)) => StreamName::Arn(arn),
            (Some(_), Some(_)) => {
                return Err(Error::new(ErrorCode::InvalidOption, "streamName and streamARN both name a stream")
                    .with_hint("leave one of the two out"));
            }
            (None, None) => {
                return Err(Error::new(ErrorCode::MissingOption, "read_kinesis needs a stream")
                    .with_hint("read_kinesis(streamName => 'pins')"));
            }
        };
        let (StreamName::Name(text) | StreamName::Arn(text)) = &stream;
        if text.contains(',') {
            return Err(Error::new(
                ErrorCode::UnsupportedFeature,
                "read_kinesis reads one stream, but several are given",
            )
            .with_hint("create one table for each stream, and combine them in a view with UNION ALL"));
        }
        let is_arn = text.starts_with("arn:") && text.contains(":stream/");
        match &stream {
            StreamName::Name(name) if name.is_empty() => Err(self.wrong("streamName", "a name")),
            StreamName::Arn(_) if !is_arn => {
                Err(self.wrong("streamARN", "an ARN such as arn:aws:kinesis:eu-west-1:123456789012:stream/pins"))
            }
            _ => Ok(stream),
        }
    }

    fn endpoint(&self) -> Result<Option<String>> {
        self.parsed("endpoint", "a URL such as https://kinesis.eu-west-1.amazonaws.com", |text| {
            let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
            let url = url::Url::parse(&with_scheme).ok()?;
            // A password in a URL would be a secret in SQL.
            (url.has_host() && url.password().is_none()).then_some(with_scheme)
        })
    }

    fn initial(&self) -> Result<InitialPosition> {
        const NEEDED: &str = "latest, trim_horizon, earliest or '{\"at_timestamp\": \"2026-01-31T10:00:00Z\"}'";
        let Some(text) = self.text("initialPosition")? else { return Ok(InitialPosition::Latest) };
        match text.to_ascii_lowercase().as_str() {
            "latest" => Ok(InitialPosition::Latest),
            "trim_horizon" | "earliest" => Ok(InitialPosition::TrimHorizon),
            _ => {
                let moment: AtTimestamp =
                    serde_json::from_str(&text).map_err(|_| self.wrong("initialPosition", NEEDED))?;
                let formats = TemporalFormats::new(moment.format.as_deref(), None)?;
                let microseconds = formats.parse_timestamp(moment.at_timestamp.as_bytes()).ok_or_else(|| {
                    Error::new(
                        ErrorCode::InvalidOption,
                        format!("`{}` is not a timestamp in the format of initialPosition", moment.at_timestamp),
                    )
                    .with_hint("for example {\"at_timestamp\": \"2026-01-31T10:00:00Z\"}")
                })?;
                Ok(InitialPosition::Moment(microseconds.div_euclid(1000)))
            }
        }
    }

    fn fetch(&self) -> Result<FetchOptions> {
        let records_max = self.parsed("maxRecordsPerFetch", "a number from 1 to 10000", |text| {
            text.parse().ok().filter(|count| (1..=FETCH_RECORDS_MAX).contains(count))
        })?;
        let megabytes = self.parsed("maxFetchRate", "megabytes a second, above 0 and at most 2", |text| {
            text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate <= FETCH_MEGABYTES_PER_SECOND_MAX)
        })?;
        let period = self.parsed("minFetchPeriod", "a duration of at least '200ms'", |text| {
            duration(text).filter(|period| *period >= FETCH_PERIOD_MIN)
        })?;
        let shard_list_period = self
            .parsed("shardFetchInterval", "a duration such as '1s'", |text| duration(text).filter(|d| !d.is_zero()))?;
        let bytes_per_second = megabytes.unwrap_or(FETCH_MEGABYTES_PER_SECOND_MAX) * f64::from(1 << 20);
        Ok(FetchOptions {
            records_max: records_max.unwrap_or(FETCH_RECORDS_MAX),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2 MiB")]
            bytes_per_second_max: (bytes_per_second as u64).max(1),
            period_min: period.unwrap_or(FETCH_PERIOD_MIN),
            shard_list_period: shard_list_period.unwrap_or(SHARD_FETCH_INTERVAL),
        })
    }

    fn buffer_bytes_max(&self) -> Result<Option<u64>> {
        self.parsed("fetchBufferSize", "a size such as '64mb'", |text| bytes(text).filter(|size| *size > 0))
    }

    fn consumer(&self) -> Result<Option<ConsumerOptions>> {
        let mode = self.text("consumerMode")?.map(|mode| mode.to_ascii_lowercase());
        let name = self.text("consumerName")?.filter(|name| !name.is_empty());
        let timeout = self.parsed("registerConsumerTimeoutInterval", "a duration such as '300s'", duration)?;
        match mode.as_deref() {
            Some("efo") => Ok(Some(ConsumerOptions { name, register_timeout: timeout.unwrap_or(REGISTER_TIMEOUT) })),
            None | Some("polling") if name.is_none() && timeout.is_none() => Ok(None),
            None | Some("polling") => {
                Err(Error::new(ErrorCode::InvalidOption, "a consumer is registered only for consumerMode => 'efo'")
                    .with_hint(
                        "leave consumerName and registerConsumerTimeoutInterval out, or set consumerMode => 'efo'",
                    ))
            }
            Some(_) => Err(self.wrong("consumerMode", "polling or efo")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtTimestamp {
    at_timestamp: String,
    format: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(given: &[(&str, ScalarValue)]) -> Result<Options> {
        Options::parse(&given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    fn with(name: &str, value: impl Into<ScalarValue>) -> Result<Options> {
        parse(&[("streamName", "pins".into()), (name, value.into())])
    }

    fn check_error(options: Result<Options>, message: &str, hint: &str) {
        let error = options.unwrap_err();
        assert_eq!(error.message, message);
        assert!(error.hint.unwrap_or_default().contains(hint), "{message}");
    }

    #[test]
    fn names_are_databricks_in_any_case_and_values_may_be_text() {
        let options = parse(&[
            ("STREAMNAME", "pins".into()),
            ("initialposition", "EARLIEST".into()),
            ("maxRecordsPerFetch", 500i32.into()),
            ("maxFetchRate", "1.5".into()),
            ("fetchBufferSize", "64mb".into()),
            ("minFetchPeriod", "400ms".into()),
            ("consumerMode", "EFO".into()),
        ])
        .unwrap();
        assert_eq!(options.stream.name(), "pins");
        assert_eq!(options.initial, InitialPosition::TrimHorizon);
        assert_eq!((options.fetch.records_max, options.fetch.bytes_per_second_max), (500, 3 << 19));
        assert_eq!(options.fetch.period_min, Duration::from_millis(400));
        assert_eq!(options.buffer_bytes_max, Some(64 << 20));
        assert_eq!(options.consumer.unwrap().name, None);
        let defaults = with("region", "eu-west-1").unwrap();
        assert_eq!((defaults.initial, defaults.fetch.records_max), (InitialPosition::Latest, 10_000));
        assert_eq!(defaults.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn an_arn_names_its_region() {
        let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/pins";
        let options = parse(&[("streamARN", arn.into())]).unwrap();
        assert_eq!((options.stream.name(), options.region.as_deref()), ("pins", Some("eu-west-1")));
    }

    #[test]
    fn a_moment_has_databricks_form() {
        let moment = |text: &str| with("initialPosition", text).map(|options| options.initial);
        let at = InitialPosition::Moment(1_593_080_625_000);
        assert_eq!(moment(r#"{"at_timestamp": "2020-06-25T10:23:45Z"}"#).unwrap(), at);
        let format = r#"{"at_timestamp": "06/25/2020 12:23:45 +02:00", "format": "MM/dd/yyyy HH:mm:ss XXX"}"#;
        assert_eq!(moment(format).unwrap(), at);
        assert!(moment(r#"{"at_timestamp": "soon"}"#).unwrap_err().message.contains("`soon`"));
        assert!(moment(r#"{"at": "2020-06-25"}"#).is_err());
    }

    #[test]
    fn every_wrong_option_is_an_error() {
        check_error(parse(&[]), "read_kinesis needs a stream", "streamName");
        check_error(with("streamNames", "a"), "read_kinesis has no option `streamNames`", "did you mean streamName?");
        let secret = with("awsSecretKey", "s3cret");
        check_error(secret, "read_kinesis does not support the option awsSecretKey", "AWS's default chain");
        check_error(with("ROLEARN", "arn"), "read_kinesis does not support the option roleArn", "role_arn");
        let tasks = with("shardsPerTask", 5i32);
        check_error(tasks, "read_kinesis does not support the option shardsPerTask", "Spark's tasks");
        let rate = "the option maxFetchRate needs megabytes a second, above 0 and at most 2, not 3";
        check_error(with("maxFetchRate", 3i32), rate, "");
        let count = "the option maxRecordsPerFetch needs a number from 1 to 10000, not 0";
        check_error(with("maxRecordsPerFetch", 0i32), count, "");
        check_error(with("consumerMode", "push"), "the option consumerMode needs polling or efo, not push", "");
        check_error(with("consumerName", "me"), "a consumer is registered only for consumerMode => 'efo'", "efo");
        check_error(with("streamARN", "arn"), "streamName and streamARN both name a stream", "one of the two");
        let several = parse(&[("streamName", "a,b".into())]);
        check_error(several, "read_kinesis reads one stream, but several are given", "one table for each");
        let endpoint = with("endpoint", "https://me:s3cret@host");
        assert!(endpoint.is_err(), "a password in SQL");
    }
}
