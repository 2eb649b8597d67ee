//! Two emulators of Kinesis, a proxy that fails as real Kinesis does, and a producer that is not part of pinsql.
//!
//! The emulators differ in important points (aggregated responses, child shards, times without records). So code that
//! works with both is not written for only one. Neither enforces Kinesis' limits or expires iterators. The proxy does.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::environment::file;
use crate::python;
use crate::service::{self, Service, free_ports, http};

/// A running emulator.
#[derive(Debug)]
pub(crate) struct Emulator {
    port: u16,
    _service: Service,
}

/// It stores its streams in LevelDB, so they survive a restart. It is fast.
pub(crate) struct Kinesalite;

impl Kinesalite {
    pub(crate) fn shared() -> &'static Emulator {
        static SERVER: OnceLock<(Emulator, tempfile::TempDir)> = OnceLock::new();
        &SERVER
            .get_or_init(|| {
                let data = tempfile::tempdir().unwrap();
                (Self::start(data.path()), data)
            })
            .0
    }

    pub(crate) fn start(data: &Path) -> Emulator {
        Self::start_at(data, Duration::ZERO)
    }

    /// An emulator whose clock is ahead of the machine's. All arrival times are ahead too.
    pub(crate) fn start_at(data: &Path, ahead: Duration) -> Emulator {
        let [port] = free_ports();
        let mut program = node("kinesalite/cli.js", &[("CLOCK_AHEAD_MS", ahead.as_millis().to_string())]);
        program.args(["--port", &port.to_string(), "--path", data.to_str().unwrap(), "--shardLimit", "200"]);
        program.args(["--createStreamMs", "20", "--updateStreamMs", "20", "--deleteStreamMs", "20"]);
        Emulator::start("kinesalite", &program, port)
    }
}

/// It returns child shards and lag as Kinesis does.
pub(crate) struct KinesisLocal;

impl KinesisLocal {
    pub(crate) fn shared() -> &'static Emulator {
        static SERVER: OnceLock<Emulator> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    pub(crate) fn start() -> Emulator {
        let [port, tls_port] = free_ports();
        let durations = ["CREATE_STREAM", "DELETE_STREAM", "SPLIT_SHARD", "MERGE_SHARDS", "REGISTER_STREAM_CONSUMER"];
        let names: Vec<String> = durations.iter().map(|what| format!("{what}_DURATION")).collect();
        let mut variables: Vec<(&str, String)> = names.iter().map(|name| (name.as_str(), "20ms".to_owned())).collect();
        variables.extend([
            ("KINESIS_MOCK_PLAIN_PORT", port.to_string()),
            ("KINESIS_MOCK_TLS_PORT", tls_port.to_string()),
            ("KINESIS_MOCK_CERT_PATH", modules().join("kinesis-local/server.json").to_str().unwrap().to_owned()),
            ("SHARD_LIMIT", "500".to_owned()),
            ("LOG_LEVEL", "ERROR".to_owned()),
        ]);
        Emulator::start("kinesis-local", &node("kinesis-local/main.js", &variables), port)
    }
}

impl Emulator {
    fn start(name: &'static str, program: &Command, port: u16) -> Self {
        let service = Service::start(name, service::folder(name), &[], program);
        service.await_ready(|| http("GET", port, "/", "").is_some());
        Self { port, _service: service }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// A script of an installed npm package, on the loopback interface.
fn node(script: &str, variables: &[(&str, String)]) -> Command {
    let mut program = Command::new("env");
    program.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
    program.args(["node", "--require", &file("tests/services/loopback.cjs")]).arg(modules().join(script));
    program
}

/// The folder of npm packages that `./test` installs.
fn modules() -> PathBuf {
    let given = std::env::var_os("PINSQL_TEST_NODE_MODULES").map(PathBuf::from);
    let path = given.unwrap_or_else(|| file("target/test-services/node_modules").into());
    assert!(path.exists(), "{} is missing: run ./test, which installs it", path.display());
    path
}

/// Fails requests with the errors of Kinesis, and counts them.
#[derive(Debug)]
pub(crate) struct Microburst {
    port: u16,
    _service: Service,
}

impl Microburst {
    pub(crate) fn start(upstream: &Emulator) -> Self {
        let [port] = free_ports();
        let mut program = Command::new(python::program("microburst"));
        program.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--upstream", &upstream.endpoint()]);
        program.arg("--no-resign");
        let service = Service::start("microburst", service::folder("microburst"), &[], &program);
        service.await_ready(|| http("GET", port, "/_microburst/rules", "").is_some());
        Self { port, _service: service }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Replaces all rules, then sends a first request, because the first request with new rules can take many seconds.
    pub(crate) fn set_rules(&self, rules: &Value) {
        let answer = http("POST", self.port, "/_microburst/rules", &rules.to_string());
        assert!(matches!(answer, Some((200..=204, _))), "{answer:?}");
        Producer::at(&self.endpoint()).ask("touch", &json!([]));
    }

    /// The operation and action of each request that a rule changed.
    pub(crate) fn fired(&self) -> Vec<String> {
        let (_, body) = http("GET", self.port, "/_microburst/fired", "").unwrap();
        let fired: Value = serde_json::from_str(&body).unwrap();
        let fired = fired.as_array().or_else(|| fired["fired"].as_array()).cloned().unwrap_or_default();
        fired.iter().map(|one| format!("{} {}", one["operation"], one["action"]).replace('"', "")).collect()
    }
}

/// Forwards bytes, and can close all connections at arbitrary moments.
#[derive(Debug)]
pub(crate) struct Relay {
    port: u16,
    state: Arc<RelayState>,
}

#[derive(Debug, Default)]
struct RelayState {
    live: Mutex<Vec<TcpStream>>,
    cuts: AtomicUsize,
}

impl Relay {
    /// Listens until the tests end.
    pub(crate) fn start(upstream: &Emulator) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, upstream) = (listener.local_addr().unwrap().port(), upstream.port);
        let state: Arc<RelayState> = Arc::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // If the server has stopped, the client's connection closes.
                let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { continue };
                let both = |stream: &TcpStream| stream.try_clone().unwrap();
                shared.live.lock().unwrap().extend([both(&client), both(&server)]);
                let back = (both(&server), both(&client));
                thread::spawn(move || pass_on(client, server));
                thread::spawn(move || pass_on(back.0, back.1));
            }
        });
        Self { port, state }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn cut_every(&self, period: Duration) {
        let state = Arc::downgrade(&self.state);
        thread::spawn(move || {
            loop {
                thread::sleep(period);
                let Some(state) = state.upgrade() else { return };
                for stream in state.live.lock().unwrap().drain(..) {
                    if stream.shutdown(Shutdown::Both).is_ok() {
                        state.cuts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
    }

    pub(crate) fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::Relaxed)
    }
}

/// Copies until one side closes.
fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    // Close the other side too, for any kind of end.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// A process that writes with Amazon's own client.
#[derive(Debug)]
pub(crate) struct Producer {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Producer {
    pub(crate) fn start(emulator: &Emulator) -> Self {
        Self::at(&emulator.endpoint())
    }

    fn at(endpoint: &str) -> Self {
        give_credentials();
        let mut command = Command::new(python::interpreter());
        command.arg(file("tests/e2e/kinesis_producer.py")).arg(endpoint);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let pipes = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, pipes: Mutex::new(pipes) }
    }

    fn ask(&self, command: &str, arguments: &Value) -> Value {
        let mut pipes = self.pipes.lock().unwrap();
        writeln!(pipes.0, "{}", json!([command, arguments])).unwrap();
        let mut line = String::new();
        pipes.1.read_line(&mut line).unwrap();
        let mut answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{command}: {error}: {line}"));
        assert!(answer.get("error").is_none(), "{command}: {answer}");
        answer["ok"].take()
    }

    pub(crate) fn create(&self, stream: &str, shards: u32) {
        self.ask("create", &json!([stream, shards]));
    }

    pub(crate) fn delete(&self, stream: &str) {
        self.ask("delete", &json!([stream]));
    }

    pub(crate) fn put(&self, stream: &str, records: &[(String, String)]) {
        self.ask("put", &json!([stream, records]));
    }

    /// Writes all records in one aggregate, as the Kinesis Producer Library does.
    pub(crate) fn aggregate(&self, stream: &str, records: &[(String, String)]) {
        self.ask("aggregate", &json!([stream, records]));
    }

    pub(crate) fn put_raw(&self, stream: &str, key: &str, data: &[u8]) {
        let hexadecimal: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        self.ask("put_raw", &json!([stream, key, hexadecimal]));
    }

    /// Raises the maximum size of a record.
    pub(crate) fn allow_records(&self, stream: &str, kib: u32) {
        self.ask("allow_records", &json!([stream, kib]));
    }

    pub(crate) fn split(&self, stream: &str, shard: &str) {
        self.ask("split", &json!([stream, shard]));
    }

    pub(crate) fn merge(&self, stream: &str, shard: &str, other: &str) {
        self.ask("merge", &json!([stream, shard, other]));
    }

    pub(crate) fn open_shards(&self, stream: &str) -> Vec<String> {
        let shards = self.ask("shards", &json!([stream]));
        let open = shards.as_array().unwrap().iter().filter(|shard| shard["open"] == true);
        open.map(|shard| shard["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The time in which a client that does nothing else reads this number of records of a shard.
    pub(crate) fn read_bare(&self, stream: &str, shard: &str, records: usize) -> Duration {
        Duration::from_secs_f64(self.ask("read_bare", &json!([stream, shard, records])).as_f64().unwrap())
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // The kill fails if the process has already ended. That is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The library looks for credentials where the AWS command line does. The emulators accept any.
fn give_credentials() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let variables =
            [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_EC2_METADATA_DISABLED", "true")];
        for (name, value) in variables {
            // SAFETY: in this process, only Rust's standard library reads the environment, and it takes a lock.
            unsafe { std::env::set_var(name, value) };
        }
    });
}
