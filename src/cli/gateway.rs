//! `pinsql gateway`: serves the HTTP API until a signal comes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use serde_json::json;
use tokio::sync::watch;

use super::failure::Failure;
use super::kafka_config;
use super::output::{LogFormat, Output};
use super::settings::parse_duration;
use super::signals::Signals;
use crate::config;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::units::bytes;
use pinsql_gateway::{ApiKeys, GatewayOptions, Limits, RequestLine, RequestLog, Server, TlsFiles};
use pinsql_sinks::kafka::{ProducerOptions, is_secret_property};
use pinsql_sinks::kinesis::WriterOptions;

/// API keys, separated by commas. There is no flag for them: every user of the machine can read a command line.
const KEYS_VARIABLE: &str = "PINSQL_GATEWAY_API_KEYS";

/// Maximum number of lines in the queue of the request log.
const LINES_MAX: usize = 10_000;

/// Maximum time to write the rest of the request log at the end.
const LOG_WAIT_MAX: Duration = Duration::from_secs(1);

/// The time that a record stays in the producer's queue, so that records of one moment are sent in one batch.
const LINGER: (&str, &str) = ("linger.ms", "1");

/// The flags of a gateway.
#[derive(Debug, Args)]
pub(super) struct GatewayArguments {
    /// The address to listen on
    #[arg(long, env = "PINSQL_GATEWAY_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// The Kafka brokers, such as broker-1:9092,broker-2:9092; opens /topics
    #[arg(long, env = "PINSQL_GATEWAY_KAFKA", value_name = "BROKERS")]
    kafka: Option<String>,

    /// Sets a property of the Kafka client, by its name in the Java client or librdkafka; can be repeated
    #[arg(long = "kafka-property", value_name = "NAME=VALUE", value_parser = parse_property, requires = "kafka")]
    kafka_properties: Vec<(String, String)>,

    /// A file of such properties, one NAME=VALUE per line: the place for passwords
    #[arg(long, env = "PINSQL_GATEWAY_KAFKA_CONFIG", value_name = "FILE", requires = "kafka")]
    kafka_config: Option<PathBuf>,

    /// Opens /streams; region, endpoint and credentials come from the standard AWS variables and profiles
    #[arg(long, env = "PINSQL_GATEWAY_KINESIS", value_parser = FalseyValueParser::new())]
    kinesis: bool,

    /// Allows clients to create and delete streams
    #[arg(long, env = "PINSQL_GATEWAY_STREAM_CHANGES", value_parser = FalseyValueParser::new())]
    stream_changes: bool,

    /// A prefix of all API paths, such as /dev
    #[arg(long, env = "PINSQL_GATEWAY_PREFIX", value_name = "PATH")]
    prefix: Option<String>,

    /// A file of API keys, one per line; PINSQL_GATEWAY_API_KEYS has more, separated by commas [default: everyone may post]
    #[arg(long, env = "PINSQL_GATEWAY_API_KEYS_FILE", value_name = "FILE")]
    api_keys: Option<PathBuf>,

    /// The certificate of the server and its chain, as PEM
    #[arg(long, env = "PINSQL_GATEWAY_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the certificate, as PEM
    #[arg(long, env = "PINSQL_GATEWAY_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Maximum size of a request body
    #[arg(long, env = "PINSQL_GATEWAY_BODY_MAX", value_name = "SIZE", default_value = "16MB", value_parser = parse_bytes)]
    body_max: u64,

    /// Maximum number of records in one request
    #[arg(long, env = "PINSQL_GATEWAY_RECORDS_MAX", value_name = "N", default_value = "10000", value_parser = parse_count)]
    records_max: usize,

    /// Maximum number of requests in progress; more are answered with 503 at once
    #[arg(long, env = "PINSQL_GATEWAY_REQUESTS_MAX", value_name = "N", default_value = "1000", value_parser = parse_count)]
    requests_max: usize,

    /// Maximum size of all request bodies in memory; more are answered with 503 at once
    #[arg(long, env = "PINSQL_GATEWAY_IN_FLIGHT_MAX", value_name = "SIZE", default_value = "256MB", value_parser = parse_bytes)]
    in_flight_max: u64,

    /// Maximum number of open connections; more wait
    #[arg(long, env = "PINSQL_GATEWAY_CONNECTIONS_MAX", value_name = "N", default_value = "4096", value_parser = parse_count)]
    connections_max: usize,

    /// Maximum time until a record is acknowledged
    #[arg(long, env = "PINSQL_GATEWAY_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    timeout: Duration,

    /// Maximum time for the head of a request, and again for its body; an idle connection is closed after it
    #[arg(long, env = "PINSQL_GATEWAY_READ_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    read_timeout: Duration,

    /// Maximum time for the requests in progress after SIGTERM or Ctrl-C
    #[arg(long, env = "PINSQL_GATEWAY_SHUTDOWN_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    shutdown_timeout: Duration,
}

/// Serves until a signal comes, and then until the requests in progress are answered.
pub(super) async fn gateway(arguments: GatewayArguments, output: Output) -> Result<(), Failure> {
    let options = resolve(arguments)?;
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let prefix = options.prefix.clone().unwrap_or_default();
    let is_open = options.keys.is_empty() && !options.listen.ip().is_loopback();
    let log = Arc::new(Lines::start(output)?);
    let server = Server::bind(options, Arc::clone(&log) as Arc<dyn RequestLog>).await?;
    if is_open {
        output.warning("everyone who reaches this address may post: restrict it with --api-keys");
    }
    let signals = Signals::listen()?;
    let address = server.address();
    output.note(&format!("serving {scheme}://{address}{prefix}; {scheme}://{address}/openapi.json describes it"));
    let (stop, mut stopping) = watch::channel(false);
    let stopped = async move {
        // The sender lives until the server has ended, so this is never an error.
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let outcome = tokio::select! {
        outcome = server.run(stopped) => outcome,
        error = second_signal(signals, stop, output) => Err(error),
    };
    log.finish();
    Ok(outcome?)
}

/// Stops the server at the first signal. Completes with an error at a second one.
async fn second_signal(mut signals: Signals, stop: watch::Sender<bool>, output: Output) -> Error {
    signals.next().await;
    output.note("stopping: answering the requests in progress");
    stop.send_replace(true);
    signals.next().await;
    Error::new(ErrorCode::Interrupted, "stopped by a second signal")
        .with_hint("no acknowledged record is lost; the requests in progress were not answered")
}

fn resolve(arguments: GatewayArguments) -> Result<GatewayOptions> {
    // clap treats a switch that a variable turns off as given, so its `requires` cannot check this.
    if arguments.stream_changes && !arguments.kinesis {
        return Err(Error::usage("--stream-changes requires --kinesis"));
    }
    let kafka = match arguments.kafka.filter(|brokers| !brokers.trim().is_empty()) {
        Some(bootstrap_servers) => Some(ProducerOptions {
            bootstrap_servers,
            properties: kafka_properties(arguments.kafka_config, arguments.kafka_properties)?,
            delivery_timeout: arguments.timeout,
            transactional_id: None,
        }),
        None => None,
    };
    // An empty environment variable counts as not set.
    let keys = match arguments.api_keys.filter(|file| !file.as_os_str().is_empty()) {
        Some(file) => ApiKeys::read(&file)?,
        None => ApiKeys::default(),
    };
    let keys = match config::variable(KEYS_VARIABLE) {
        Some(given) => keys.and(ApiKeys::parse(&given)?),
        None => keys,
    };
    let tls = arguments.tls_cert.zip(arguments.tls_key);
    Ok(GatewayOptions {
        listen: arguments.listen,
        tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        prefix: arguments.prefix,
        kafka,
        kinesis: arguments.kinesis.then(WriterOptions::default),
        keys,
        allow_stream_changes: arguments.stream_changes,
        limits: Limits {
            body_bytes_max: arguments.body_max,
            records_max: arguments.records_max,
            requests_max: arguments.requests_max,
            in_flight_bytes_max: arguments.in_flight_max,
            connections_max: arguments.connections_max,
            timeout: arguments.timeout,
            read_timeout: arguments.read_timeout,
            shutdown_timeout: arguments.shutdown_timeout,
        },
    })
}

/// The properties of the file, overridden by those of the command line.
fn kafka_properties(file: Option<PathBuf>, given: Vec<(String, String)>) -> Result<BTreeMap<String, String>> {
    let mut properties = BTreeMap::from([(LINGER.0.to_owned(), LINGER.1.to_owned())]);
    if let Some(file) = file {
        properties.extend(kafka_config::read(&file)?);
    }
    for (name, value) in given {
        if is_secret_property(&name) {
            return Err(Error::usage(format!(
                "the Kafka property {name} may be a secret, so it must not be on the command line"
            ))
            .with_hint("put it into a file, and give the file with --kafka-config"));
        }
        properties.insert(name, value);
    }
    Ok(properties)
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    bytes(text).filter(|bytes| *bytes > 0).ok_or_else(|| "write a size such as 64KB or 10MB".to_owned())
}

/// The request log. A separate thread writes it, so requests do not wait if standard error is blocked.
#[derive(Debug)]
struct Lines {
    lines: SyncSender<Item>,
    omitted: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Item {
    Line(RequestLine),
    /// Confirms that all earlier lines are written.
    End(SyncSender<()>),
}

impl Lines {
    fn start(output: Output) -> Result<Self> {
        let (lines, written) = sync_channel(LINES_MAX);
        let omitted = Arc::<AtomicU64>::default();
        let omitted_here = Arc::clone(&omitted);
        let writer = thread::Builder::new().name("request-log".to_owned());
        let writer = writer.spawn(move || write_lines(&written, &omitted_here, output));
        writer.map_err(|error| {
            Error::new(ErrorCode::SystemFailure, "the operating system cannot start a thread").caused_by(error)
        })?;
        Ok(Self { lines, omitted })
    }

    /// Waits until all lines are written, but not longer than [`LOG_WAIT_MAX`].
    fn finish(&self) {
        let (end, ended) = sync_channel(1);
        if self.lines.try_send(Item::End(end)).is_ok() {
            // The gateway ends in any case.
            let _ = ended.recv_timeout(LOG_WAIT_MAX);
        }
    }
}

impl RequestLog for Lines {
    fn request(&self, line: RequestLine) {
        if self.lines.try_send(Item::Line(line)).is_err() {
            self.omitted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write_lines(items: &Receiver<Item>, omitted: &AtomicU64, output: Output) {
    while let Ok(item) = items.recv() {
        match item {
            Item::Line(line) => write_line(line, output),
            Item::End(end) => {
                // The receiver may have stopped waiting.
                let _ = end.send(());
            }
        }
        let missing = omitted.swap(0, Ordering::Relaxed);
        if missing > 0 {
            output.warning(&format!("{missing} requests are missing in this log: it could not be written fast enough"));
        }
    }
}

fn write_line(line: RequestLine, output: Output) {
    let milliseconds = line.elapsed.as_secs_f64() * 1000.0;
    match output.log_format {
        LogFormat::Text => {
            let RequestLine { method, route, status, records_written, records_failed, bytes_in, id, .. } = line;
            let failed = if records_failed > 0 { format!(" failed={records_failed}") } else { String::new() };
            output.note(&format!(
                "{method} {route} {status} records={records_written}{failed} bytes={bytes_in} ms={milliseconds:.1} id={id}"
            ));
        }
        LogFormat::Json => output.record(&json!({
            "level": "info",
            "event": "request",
            "method": line.method,
            "route": line.route,
            "status": line.status,
            "records_written": line.records_written,
            "records_failed": line.records_failed,
            "bytes_in": line.bytes_in,
            "elapsed_ms": (milliseconds * 1000.0).round() / 1000.0,
            "request_id": line.id,
        })),
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "write a number of 1 or more".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_come_from_the_file_and_then_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client.properties");
        std::fs::write(&file, "# MSK\n\nsasl.password = a=b\nLinger.ms=20\nclient.id=x\n").unwrap();
        let given = vec![("client.id".to_owned(), "y".to_owned())];
        let properties = kafka_properties(Some(file.clone()), given).unwrap();
        let expected = [("client.id", "y"), ("linger.ms", "20"), ("sasl.password", "a=b")];
        assert_eq!(properties, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(kafka_properties(None, Vec::new()).unwrap()["linger.ms"], "1");

        std::fs::write(&file, "a=1\nhunter2\n").unwrap();
        let wrong = kafka_properties(Some(file.clone()), Vec::new()).unwrap_err();
        assert_eq!(wrong.message, format!("line 2 of {} is not NAME=VALUE", file.display()));
        let secret = kafka_properties(None, vec![("sasl.password".to_owned(), "hunter2".to_owned())]).unwrap_err();
        assert_eq!(
            secret.message,
            "the Kafka property sasl.password may be a secret, so it must not be on the command line"
        );
        assert_eq!((parse_bytes("64kb"), parse_bytes("0").is_err()), (Ok(65_536), true));
    }
}
