//! A separate folder for each test, and the binary that runs in it.
//!
//! Of the caller's environment, pinsql gets only `PATH`: no credentials, no configuration, no home folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Timeout of one run. Only a run that hangs takes longer.
const RUN_MAX: Duration = Duration::from_secs(600);
/// How long a test waits for an expected event before it fails. Only a hang takes so long. The tests share the machine,
/// so a step that usually takes a second can take many.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// The first poll interval for a process. The interval grows for a long run, because polling takes processor time from
/// the other tests.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const POLL_INTERVAL_MAX: Duration = Duration::from_millis(50);

const SHOWN_CHARS_MAX: usize = 2_000;

/// Texts that an error message must never contain: internal error details, or the backtrace of a panic.
const NEVER_SHOWN: [&str; 9] = [
    "panicked at",
    "RUST_BACKTRACE",
    "called `Result::unwrap()`",
    "called `Option::unwrap()`",
    "External(",
    "ObjectStore(Generic",
    "Generic {",
    "DataFusion error:",
    "Error { kind",
];

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The path of a file in the repository, as an argument.
pub(crate) fn file(path: &str) -> String {
    repository().join(path).to_str().unwrap().to_owned()
}

#[derive(Debug)]
pub(crate) struct TestEnvironment {
    root: TempDir,
    variables: BTreeMap<String, String>,
    warehouse: String,
}

impl TestEnvironment {
    /// Creates an empty folder with a warehouse in it.
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("pinsql-e2e-").tempdir().unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        let warehouse = root.path().join("warehouse").to_str().unwrap().to_owned();
        Self { root, variables: BTreeMap::new(), warehouse }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn warehouse(&self) -> &str {
        &self.warehouse
    }

    /// The folder of a table in a local warehouse.
    pub(crate) fn table(&self, name: &str) -> PathBuf {
        Path::new(&self.warehouse).join("default").join(name)
    }

    pub(crate) fn with_warehouse(mut self, warehouse: impl Into<String>) -> Self {
        self.warehouse = warehouse.into();
        self
    }

    pub(crate) fn with_variables<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        self.variables.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// Writes a file and returns its path as an argument.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs `pinsql` with these arguments and this environment's warehouse.
    pub(crate) fn pinsql(&self, arguments: &[&str]) -> Run {
        let mut run = Run::new(self.path("home"), self.root.path());
        run.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        run.arguments.extend(["--warehouse".to_owned(), self.warehouse.clone()]);
        run.variables.clone_from(&self.variables);
        run
    }

    /// Runs one SQL text as a file.
    pub(crate) fn run_sql(&self, sql: &str) -> Run {
        let file = tempfile::Builder::new().suffix(".sql").tempfile_in(self.root.path()).unwrap();
        let (_, path) = file.keep().unwrap();
        fs::write(&path, sql).unwrap();
        self.pinsql(&["run", path.to_str().unwrap()])
    }

    /// The rows of a query, one JSON object for each row.
    pub(crate) fn query(&self, sql: &str) -> Vec<Value> {
        self.pinsql(&["-c", sql, "--format", "ndjson"]).output().success().rows()
    }

    /// The value of a query that returns one row with one column.
    pub(crate) fn value(&self, sql: &str) -> Value {
        let rows = self.query(sql);
        assert_eq!(rows.len(), 1, "{sql} gave {rows:?}");
        rows[0].as_object().unwrap().values().next().unwrap().clone()
    }
}

/// A run of the binary that is not started yet.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    home: PathBuf,
    folder: PathBuf,
    /// A program with arguments that starts the rest of the command line, such as `unshare` with a mount.
    wrapper: Vec<String>,
}

impl Run {
    fn new(home: PathBuf, folder: &Path) -> Self {
        Self { arguments: Vec::new(), variables: BTreeMap::new(), home, folder: folder.to_owned(), wrapper: Vec::new() }
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    pub(crate) fn parameter(self, name: &str, value: impl AsRef<str>) -> Self {
        self.arguments(&["--param", &format!("{name}={}", value.as_ref())])
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    pub(crate) fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    /// Runs until the process ends.
    pub(crate) fn output(&self) -> Output {
        self.start().wait()
    }

    pub(crate) fn start(&self) -> Running {
        let outputs = tempfile::tempdir().unwrap();
        let binary = env!("CARGO_BIN_EXE_pinsql").to_owned();
        let line: Vec<&String> = self.wrapper.iter().chain([&binary]).chain(&self.arguments).collect();
        let child = Command::new(line[0])
            .args(&line[1..])
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
            .env("HOME", &self.home)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(&self.variables)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(File::create(outputs.path().join("stdout")).unwrap())
            .stderr(File::create(outputs.path().join("stderr")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", line[0]));
        Running { child, outputs, command: self.arguments.join(" "), started: Instant::now(), memory_max_kib: 0 }
    }
}

/// A running process. Dropping it stops the process.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    outputs: TempDir,
    command: String,
    started: Instant,
    memory_max_kib: u64,
}

impl Running {
    pub(crate) fn wait(mut self) -> Output {
        let status = self.poll_until(RUN_MAX);
        let status = status.unwrap_or_else(|| panic!("still running after {RUN_MAX:?}: {}", self.command));
        self.into_output(status)
    }

    /// Kills the process with SIGKILL after this delay, unless it ends earlier.
    pub(crate) fn kill_after(mut self, delay: Duration) -> Output {
        if self.poll_until(delay).is_none() {
            self.child.kill().unwrap();
        }
        let status = self.child.wait().unwrap();
        self.into_output(status)
    }

    /// Sends SIGTERM, as a scheduler does, and waits for the end.
    pub(crate) fn terminate(self) -> Output {
        self.signal("TERM");
        self.wait()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The standard error output so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.outputs.path().join("stderr")).unwrap()
    }

    /// Waits until standard error contains this text.
    pub(crate) fn await_stderr(&mut self, text: &str) {
        while !self.stderr().contains(text) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && self.started.elapsed() < RUN_MAX, "never said {text:?}: {}", self.stderr());
            thread::sleep(self.poll_interval());
        }
    }

    /// Kills the process as soon as `is_time` returns true, unless it ends earlier.
    pub(crate) fn kill_when(mut self, is_time: impl Fn() -> bool) -> Output {
        while self.started.elapsed() < RUN_MAX && !is_time() && self.child.try_wait().unwrap().is_none() {
            thread::sleep(POLL_INTERVAL);
        }
        // The kill fails if the process has already ended.
        let _ = self.child.kill();
        let status = self.child.wait().unwrap();
        self.into_output(status)
    }

    fn poll_until(&mut self, limit: Duration) -> Option<ExitStatus> {
        while self.started.elapsed() < limit {
            self.memory_max_kib = self.memory_max_kib.max(self.resident_kib());
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            thread::sleep(self.poll_interval().min(limit.saturating_sub(self.started.elapsed())));
        }
        None
    }

    fn poll_interval(&self) -> Duration {
        (self.started.elapsed() / 20).clamp(POLL_INTERVAL, POLL_INTERVAL_MAX)
    }

    /// The peak resident memory of the process so far. Zero after it has ended.
    fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }

    fn into_output(self, status: ExitStatus) -> Output {
        let read = |name: &str| fs::read(self.outputs.path().join(name)).unwrap();
        let output = Output {
            status,
            stdout: String::from_utf8(read("stdout")).expect("standard output is UTF-8"),
            stderr: String::from_utf8(read("stderr")).expect("standard error is UTF-8"),
            command: self.command.clone(),
            elapsed: self.started.elapsed(),
            memory_max_bytes: self.memory_max_kib * 1024,
        };
        output.assert_fit_for_people();
        output
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The kill fails if the process has already ended. That is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The result of a run. Every result is checked for texts that must never be shown.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
    pub(crate) memory_max_bytes: u64,
    command: String,
}

impl Output {
    pub(crate) fn success(self) -> Self {
        assert!(self.status.success(), "failed, and should not have: {}", self.describe());
        self
    }

    /// Asserts the exit code, and that the error is readable and contains one word of each group, ignoring case.
    pub(crate) fn failure(self, code: i32, words: &[&[&str]]) -> Self {
        assert_eq!(self.status.code(), Some(code), "the wrong exit code: {}", self.describe());
        let error = self.stderr.to_lowercase();
        assert!(error.contains("error["), "no `error[CODE]:` line: {}", self.describe());
        for group in words {
            let found = group.iter().any(|word| error.contains(&word.to_lowercase()));
            assert!(found, "standard error has none of {group:?}: {}", self.describe());
        }
        self
    }

    /// Standard output, parsed as one JSON object per line.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().filter(|line| !line.is_empty()).map(parse).collect()
    }

    pub(crate) fn describe(&self) -> String {
        let Self { command, status, elapsed, stderr, .. } = self;
        let stdout: String = self.stdout.chars().take(SHOWN_CHARS_MAX).collect();
        format!("pinsql {command}\n{status} after {elapsed:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }

    fn assert_fit_for_people(&self) {
        for insides in NEVER_SHOWN {
            let shown = self.stderr.contains(insides) || self.stdout.contains(insides);
            assert!(!shown, "shows {insides:?}: {}", self.describe());
        }
        let code = self.status.code();
        assert_ne!(code, Some(70), "a fault of its own: {}", self.describe());
        assert_ne!(code, Some(101), "a panic: {}", self.describe());
    }
}
