//! Posts and their destinations: every acknowledged record arrives, and the stored records are the generated ones.
//!
//! A run that posts to a service also posts to a folder. The folder has the generated records. The test compares them,
//! byte for byte, with the records that other programs read from the service.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::environment::{Output, TestEnvironment, repository};
use crate::kafka::{Kafka, PLAIN_PASSWORD, PLAIN_USER, broker};
use crate::kinesis_services::{Emulator, Kinesalite, KinesisLocal, Producer};
use crate::python::Script;
use crate::raw;
use crate::s3::{self, Identity};

const TOPICS: [&str; 3] = ["pin", "geo", "user"];

/// The records of each topic, by topic name.
pub(crate) type Arrived = BTreeMap<String, Vec<String>>;

/// The run's report about its receivers.
#[derive(Debug)]
pub(crate) struct Report(pub(crate) Value);

impl Report {
    pub(crate) fn read(environment: &TestEnvironment) -> Self {
        Self(serde_json::from_slice(&fs::read(environment.path("report.json")).unwrap()).unwrap())
    }

    /// The sent, acknowledged and failed records of the receiver whose name starts with `to`. Asserts that the sums
    /// match.
    pub(crate) fn counts(&self, to: &str) -> (u64, u64, u64) {
        let receiver = self.receiver(to);
        let of = |counts: &Value| ["sent", "acknowledged", "failed"].map(|name| counts[name].as_u64().unwrap());
        let [sent, acknowledged, failed] = of(receiver);
        assert_eq!(sent, acknowledged + failed, "{receiver}");
        let topics = receiver["topics"].as_object().unwrap().values().map(of);
        let sums = topics.fold([0; 3], |sums, counts| [0, 1, 2].map(|index| sums[index] + counts[index]));
        assert_eq!(sums, [sent, acknowledged, failed], "{receiver}");
        (sent, acknowledged, failed)
    }

    pub(crate) fn receiver(&self, to: &str) -> &Value {
        let mut receivers = self.0["receivers"].as_array().unwrap().iter();
        receivers.find(|receiver| receiver["to"].as_str().unwrap().starts_with(to)).unwrap()
    }
}

/// Runs `pinsql emulate --generate` with a report.
pub(crate) fn emulate(environment: &TestEnvironment, arguments: &[&str]) -> crate::environment::Run {
    let report = environment.path("report.json");
    let fixed = ["emulate", "--generate", "--report", report.to_str().unwrap()];
    environment.pinsql(&[&fixed, arguments].concat())
}

/// The lines of the objects of each topic, in the order of their offsets. Asserts that the offsets have no gap.
pub(crate) fn laid_down(folder: &Path) -> Arrived {
    let mut arrived = Arrived::new();
    let mut files = raw::files(folder);
    files.sort();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let [topic, "0", offset] = name.split('+').collect::<Vec<_>>()[..] else { panic!("{name}") };
        let lines = arrived.entry(topic.to_owned()).or_default();
        assert_eq!((offset.len(), offset.parse()), (10, Ok(lines.len())), "a gap before {name}");
        lines.extend(fs::read_to_string(&file).unwrap().lines().map(str::to_owned));
    }
    arrived
}

pub(crate) fn sorted(mut arrived: Arrived) -> Arrived {
    arrived.values_mut().for_each(|records| records.sort_unstable());
    arrived
}

fn read(arguments: &[&str]) -> Value {
    Script::start(&repository().join("tests/e2e/emulate_reader.py"), arguments, &[]).answer()
}

/// Creates topics with a prefix that no other test uses.
pub(crate) fn make_topics(kafka: &Kafka, partitions: u32) -> String {
    let prefix = kafka.topic("emulate");
    let create = |topic| json!({"do": "create", "topic": format!("{prefix}.{topic}"), "partitions": partitions});
    kafka.client(&json!(TOPICS.map(create)));
    prefix
}

/// The records that confluent-kafka's consumer reads from the topics, ordered by partition and offset.
pub(crate) fn in_kafka(kafka: &Kafka, prefix: &str) -> BTreeMap<String, Vec<(u64, String)>> {
    let topics = TOPICS.map(|topic| format!("{prefix}.{topic}"));
    let servers = kafka.servers();
    let arguments: Vec<&str> = ["kafka", &servers].into_iter().chain(topics.iter().map(String::as_str)).collect();
    serde_json::from_value(read(&arguments)).unwrap()
}

pub(crate) fn values(arrived: BTreeMap<String, Vec<(u64, String)>>) -> Arrived {
    arrived.into_iter().map(|(topic, records)| (topic, records.into_iter().map(|(_, value)| value).collect())).collect()
}

/// The records that boto3 reads from a stream, by partition key.
pub(crate) fn in_kinesis(emulator: &Emulator, stream: &str) -> Arrived {
    let records: Vec<(String, String)> =
        serde_json::from_value(read(&["kinesis", &emulator.endpoint(), stream])).unwrap();
    let mut arrived = Arrived::new();
    for (key, data) in records {
        arrived.entry(key).or_default().push(data);
    }
    arrived
}

pub(crate) const AWS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")];

fn with_aws() -> TestEnvironment {
    TestEnvironment::new().with_variables(AWS.map(|(name, value)| (name, value.to_owned())))
}

#[test]
fn a_seed_gives_the_same_posts_in_the_same_order() {
    let posts = |seed: &str| {
        let environment = TestEnvironment::new();
        let raw = environment.path("raw");
        let to = raw.to_str().unwrap();
        let arguments = ["--to", to, "--seed", seed, "--count", "40", "--rate", "max", "--batch", "10"];
        emulate(&environment, &arguments).output().success();
        laid_down(&raw)
    };
    let first = posts("100");
    assert_eq!(first.values().map(Vec::len).collect::<Vec<_>>(), [40, 40, 40]);
    assert_eq!(first, posts("100"));
    assert_ne!(first, posts("101"));
    // A post is one record for each topic. All of them have the same index.
    let index = |topic: &str, name: &str| -> Vec<i64> {
        let records = first[topic].iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.map(|record| record[name].as_i64().unwrap()).collect()
    };
    assert_eq!(index("pin", "index"), index("geo", "ind"));
    assert_eq!(index("pin", "index"), index("user", "ind"));
}

#[test]
fn new_objects_continue_after_existing_offsets() {
    let environment = TestEnvironment::new();
    let raw = environment.path("raw");
    let to = raw.to_str().unwrap();
    for (batch, count) in [("4", "10"), ("1", "3"), ("100", "7")] {
        let arguments = ["--to", to, "--prefix", "0a1b", "--count", count, "--rate", "max", "--batch", batch];
        emulate(&environment, &arguments).output().success();
    }
    let arrived = laid_down(&raw);
    assert_eq!(arrived["0a1b.pin"].len(), 20);
    assert!(raw.join("topics/0a1b.pin/partition=0/0a1b.pin+0+0000000013.json").exists());
}

#[test]
fn the_pipeline_reads_the_written_objects() {
    let environment = TestEnvironment::new();
    let raw = environment.path("raw");
    let to = raw.to_str().unwrap();
    let arguments = ["--to", to, "--count", "200", "--rate", "max", "--duplicates", "10", "--bad", "10"];
    let output = emulate(&environment, &arguments).output().success();
    assert!(output.stderr.contains("sent 720 = acknowledged 720 + failed 0 (retries 0)"), "{}", output.stderr);
    let reading = "SELECT count(index) AS records FROM read_files(:raw, format => 'json', schema => 'index INT')";
    let glob = format!("{to}/topics/pin");
    let rows =
        environment.run_sql(reading).parameter("raw", glob).arguments(&["--format", "ndjson"]).output().success();
    // Two hundred records and the repeated ones. None of the broken records can be read.
    assert_eq!(rows.rows(), [json!({"records": 220})]);
}

#[test]
fn each_record_goes_to_kafka_and_to_the_folder() {
    let (environment, kafka) = (TestEnvironment::new(), broker());
    let prefix = make_topics(kafka, 3);
    let raw = environment.path("raw");
    let (to, folder) = (format!("kafka://{}", kafka.servers()), raw.to_str().unwrap());
    let arguments = ["--to", &to, "--to", folder, "--prefix", &prefix, "--count", "500", "--rate", "max", "--bad", "4"];
    emulate(&environment, &[&arguments[..], &["--batch", "50"]].concat()).output().success();
    let report = Report::read(&environment);
    assert_eq!(report.counts("kafka"), (1_560, 1_560, 0));
    assert_eq!(report.counts(folder), (1_560, 1_560, 0));
    let drawn = laid_down_bytes(&raw);
    assert_eq!(sorted(values(in_kafka(kafka, &prefix))), sorted(drawn));
}

#[test]
fn a_password_comes_from_a_file_and_is_never_shown() {
    let (environment, kafka) = (TestEnvironment::new(), broker());
    let prefix = make_topics(kafka, 1);
    let to = format!("kafka://{}?security.protocol=SASL_PLAINTEXT&sasl.mechanism=PLAIN", kafka.sasl_servers());
    let login = |password: &str| {
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        let text = format!("sasl.jaas.config={module} username=\"{PLAIN_USER}\" password=\"{password}\";\n");
        environment.write("client.properties", text)
    };
    let post = |config: &str| {
        let arguments = ["--to", &to, "--prefix", &prefix, "--count", "10", "--rate", "max", "--kafka-config", config];
        emulate(&environment, &arguments).output()
    };
    let output = post(&login(PLAIN_PASSWORD)).success();
    assert!(!output.stderr.contains(PLAIN_PASSWORD), "{}", output.describe());
    assert!(in_kafka(kafka, &prefix).values().all(|records| records.len() == 10));
    let output = post(&login("not-the-password")).failure(1, &[&["refuse the credentials"]]);
    assert!(!output.stderr.contains("not-the-password"), "{}", output.describe());
}

#[test]
fn a_missing_topic_or_stream_is_an_error() {
    let (environment, kafka, emulator) = (with_aws(), broker(), Kinesalite::shared());
    let to = format!("kafka://{}", kafka.servers());
    let arguments = ["--to", &to, "--prefix", "nobody-made", "--topics", "pin", "--count", "5", "--rate", "max"];
    let output = emulate(&environment, &arguments).output();
    output.failure(1, &[&["5 records were not acknowledged"], &["there is no topic `nobody-made.pin`"]]);
    assert_eq!(Report::read(&environment).receiver("kafka")["refused"], 5);
    let to = format!("kinesis://nobody-made?endpoint={}", emulator.endpoint());
    emulate(&environment, &["--to", &to, "--count", "5"]).output().failure(1, &[&["nobody-made"], &["not found"]]);
}

/// The bytes as the reader prints them: invalid UTF-8 is replaced.
fn laid_down_bytes(folder: &Path) -> Arrived {
    let mut arrived = Arrived::new();
    for file in raw::files(folder) {
        let topic = file.file_name().unwrap().to_str().unwrap().split('+').next().unwrap().to_owned();
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        arrived.entry(topic).or_default().extend(text.lines().map(str::to_owned));
    }
    arrived
}

#[test]
fn s3_gets_the_same_objects_as_a_folder() {
    let server = s3::server();
    let environment = TestEnvironment::new().with_variables(server.variables(Identity::Owner));
    let prefix = server.prefix("emulate");
    let raw = environment.path("raw");
    let (to, folder) = (server.url(&prefix), raw.to_str().unwrap());
    let arguments = ["--to", &to, "--to", folder, "--count", "50", "--rate", "max", "--batch", "8"];
    emulate(&environment, &arguments).output().success();
    assert_eq!(Report::read(&environment).counts("s3://"), (150, 150, 0));
    let keys = |folder: &Path| -> Vec<String> {
        let files = raw::files(folder).into_iter();
        let mut keys: Vec<String> =
            files.map(|file| format!("{prefix}/{}", file.strip_prefix(folder).unwrap().to_str().unwrap())).collect();
        keys.sort();
        keys
    };
    assert_eq!(server.keys(&prefix), keys(&raw));
    let count = "SELECT count(*) AS records, count(DISTINCT ind) AS posts FROM read_files(:raw, format => 'json', schema => 'ind INT')";
    let run =
        environment.run_sql(count).parameter("raw", format!("{to}/topics/geo")).arguments(&["--format", "ndjson"]);
    assert_eq!(run.output().success().rows(), [json!({"records": 50, "posts": 50})]);
}

#[test]
fn each_record_goes_to_kinesis_under_the_key_of_its_topic() {
    for emulator in [Kinesalite::shared(), KinesisLocal::shared()] {
        let environment = with_aws();
        let producer = Producer::start(emulator);
        producer.create("emulated-posts", 2);
        let raw = environment.path("raw");
        let to = format!("kinesis://emulated-posts?endpoint={}", emulator.endpoint());
        let arguments =
            ["--to", &to, "--to", raw.to_str().unwrap(), "--count", "300", "--rate", "max", "--batch", "100"];
        let output = emulate(&environment, &arguments).output().success();
        assert!(output.stderr.contains("kinesis://emulated-posts: sent 900 = acknowledged 900"), "{}", output.stderr);
        assert_eq!(sorted(in_kinesis(emulator, "emulated-posts")), sorted(laid_down(&raw)));
        producer.delete("emulated-posts");
    }
}

#[test]
fn each_topic_can_have_its_own_stream() {
    let (environment, emulator) = (with_aws(), Kinesalite::shared());
    let producer = Producer::start(emulator);
    TOPICS.iter().for_each(|topic| producer.create(&format!("streaming-0a1b-{topic}"), 1));
    let to = format!("kinesis://streaming-0a1b-{{topic}}?region=us-east-1&endpoint={}", emulator.endpoint());
    emulate(&environment, &["--to", &to, "--count", "20", "--rate", "max"]).output().success();
    for topic in TOPICS {
        let arrived = in_kinesis(emulator, &format!("streaming-0a1b-{topic}"));
        assert_eq!(arrived.keys().collect::<Vec<_>>(), [topic]);
        assert_eq!(arrived[topic].len(), 20);
        producer.delete(&format!("streaming-0a1b-{topic}"));
    }
}

#[test]
fn a_run_respects_its_rate_and_duration() {
    // Other tests can take the processor near the end of the time. Then the last posts are missing.
    const RUNS_MAX: usize = 5;
    for run in 1.. {
        let environment = TestEnvironment::new();
        let raw = environment.path("raw");
        let arguments = ["--to", raw.to_str().unwrap(), "--rate", "40/s", "--duration", "3s", "--topics", "geo"];
        let output: Output = emulate(&environment, &arguments).output().success();
        let (sent, acknowledged, _) = Report::read(&environment).counts(raw.to_str().unwrap());
        assert_eq!(sent, acknowledged);
        assert_eq!(laid_down(&raw).into_keys().collect::<Vec<_>>(), ["geo"]);
        let description = format!("{sent} records in 3 s at 40 posts a second: {}", output.describe());
        assert!(sent <= 121, "{description}");
        if sent >= 110 {
            break;
        }
        assert!(run < RUNS_MAX, "{description}");
    }
}
