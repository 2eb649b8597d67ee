//! A real Kafka broker: Apache Kafka 4 in KRaft mode, one node.
//!
//! Tests that do not harm it share one broker. A test that kills its broker has a separate one. The broker has three
//! listeners on loopback: plaintext, SASL (PLAIN and SCRAM), and TLS with a certificate made for this run.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::certificate;
use crate::environment::repository;
use crate::python::{self, Script};
use crate::service::{self, Service};

pub(crate) const PLAIN_USER: &str = "reader";
pub(crate) const PLAIN_PASSWORD: &str = "plain-secret-of-the-tests";
pub(crate) const SCRAM_USER: &str = "scram";
pub(crate) const SCRAM_PASSWORD: &str = "scram-secret-of-the-tests";
const STORE_PASSWORD: &str = "store-secret-of-the-tests";

/// Any identifier works, because each folder has only one cluster.
const CLUSTER: &str = "qsBQN1BRRFeIyxOVbI0xeQ";

#[derive(Debug)]
pub(crate) struct Kafka {
    /// The log. It stays after the broker is killed.
    data: TempDir,
    ports: Ports,
    /// True for the shared broker. It lives until the process ends, so its supervisor deletes the log instead of a
    /// destructor.
    is_shared: bool,
    service: Option<Service>,
}

#[derive(Debug)]
struct Ports {
    clear: u16,
    sasl: u16,
    tls: u16,
    controller: u16,
}

/// The broker that all tests share. The first call starts it.
pub(crate) fn broker() -> &'static Kafka {
    static BROKER: OnceLock<Kafka> = OnceLock::new();
    BROKER.get_or_init(|| Kafka::make(true))
}

impl Kafka {
    /// A separate broker that can be killed and started again.
    pub(crate) fn start() -> Self {
        Self::make(false)
    }

    fn make(is_shared: bool) -> Self {
        let parent = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(&parent).unwrap();
        let data = tempfile::Builder::new().prefix("kafka-data-").tempdir_in(parent).unwrap();
        let [clear, sasl, tls, controller] = service::free_ports();
        let mut kafka = Self { data, ports: Ports { clear, sasl, tls, controller }, is_shared, service: None };
        kafka.make_certificate();
        kafka.format();
        kafka.begin();
        kafka.client(&json!([{"do": "await_groups"}]));
        kafka
    }

    /// Starts the broker with its existing log.
    pub(crate) fn begin(&mut self) {
        let mut program = java();
        program.args(["-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
        program.arg("kafka.Kafka").arg(self.configuration());
        let leftovers = if self.is_shared { vec![text(self.data.path())] } else { Vec::new() };
        let service = Service::start("Kafka", service::folder("kafka"), &leftovers, &program);
        let ports = [self.ports.clear, self.ports.sasl, self.ports.tls];
        service.await_ready(|| ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()));
        self.service = Some(service);
    }

    /// Kills the broker at an arbitrary moment. Its log stays.
    pub(crate) fn kill(&mut self) {
        self.service = None;
    }

    pub(crate) fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.clear)
    }

    pub(crate) fn sasl_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.sasl)
    }

    pub(crate) fn tls_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.tls)
    }

    /// The certificate of the broker, as PEM.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.data.path().join("server.pem")
    }

    /// A topic that no other test uses.
    pub(crate) fn topic(&self, name: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs actions with a client that is not part of pinsql, and returns the results.
    pub(crate) fn client(&self, actions: &Value) -> Vec<Value> {
        self.start_client(actions).answer().as_array().unwrap().clone()
    }

    pub(crate) fn start_client(&self, actions: &Value) -> Script {
        let script = repository().join("tests/e2e/kafka_client.py");
        let configuration = json!({"bootstrap.servers": self.servers()}).to_string();
        Script::start(&script, &[&configuration, &actions.to_string()], &[])
    }

    fn make_certificate(&self) {
        let (certificate, key) = certificate::make(self.data.path());
        let mut openssl = Command::new("openssl");
        openssl.args(["pkcs12", "-export", "-name", "broker", "-passout", &format!("pass:{STORE_PASSWORD}")]);
        openssl.arg("-in").arg(certificate).arg("-inkey").arg(key);
        run(openssl.arg("-out").arg(self.data.path().join("broker.p12")));
    }

    fn format(&self) {
        let mut program = java();
        program.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]).arg(self.configuration());
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            program.args(["--add-scram", &format!("{mechanism}=[name={SCRAM_USER},password={SCRAM_PASSWORD}]")]);
        }
        run(&mut program);
    }

    fn configuration(&self) -> PathBuf {
        let Ports { clear, sasl, tls, controller } = self.ports;
        let folder = self.data.path().display();
        let security = "org.apache.kafka.common.security";
        let properties = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=CLEAR://127.0.0.1:{clear},SASL://127.0.0.1:{sasl},TLS://127.0.0.1:{tls},\
             CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=CLEAR://127.0.0.1:{clear},SASL://127.0.0.1:{sasl},TLS://127.0.0.1:{tls}\n\
             listener.security.protocol.map=CLEAR:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=CLEAR\n\
             log.dirs={folder}/log\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=1\n\
             group.initial.rebalance.delay.ms=0\n\
             auto.create.topics.enable=false\n\
             log.cleaner.backoff.ms=200\n\
             log.segment.delete.delay.ms=1000\n\
             sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
             listener.name.sasl.plain.sasl.jaas.config={security}.plain.PlainLoginModule required \
             user_{PLAIN_USER}=\"{PLAIN_PASSWORD}\";\n\
             listener.name.sasl.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;\n\
             listener.name.sasl.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;\n\
             listener.name.tls.ssl.keystore.type=PKCS12\n\
             listener.name.tls.ssl.keystore.location={folder}/broker.p12\n\
             listener.name.tls.ssl.keystore.password={STORE_PASSWORD}\n\
             listener.name.tls.ssl.key.password={STORE_PASSWORD}\n"
        );
        service::configure(self.data.path(), "server.properties", &properties)
    }
}

fn java() -> Command {
    let mut program = Command::new("java");
    // These options need the least processor time, which the tests share. The jars come from one locked list, so their
    // bytecode needs no verification. Java permits that option only after the first one.
    program.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    program.args(["-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote"]);
    program.arg("-cp").arg(format!("{}/*", python::kafka_jars().display()));
    program
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&said));
}

/// A path as the value of an option.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
