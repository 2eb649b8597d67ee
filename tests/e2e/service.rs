//! Services that a test starts. They always end with the tests.
//!
//! Each service runs under a small bash supervisor. Its standard input is a pipe from the tests. When the tests end in
//! any way (also by `kill -9`), the pipe closes. Then the supervisor kills the process group of the service and deletes
//! its folder. This needs no destructor, so all tests can share a service. The supervisor traps SIGINT, SIGTERM and
//! SIGHUP, because they are often sent to the process group of the tests, which includes it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::PATIENCE;

const SUPERVISE: &str = r#"
trap : INT TERM HUP
set -m
folder=$1 leftovers=$2; shift 2
"$@" < /dev/null > "$folder/log" 2>&1 &
service=$!
read -r _
kill -9 -- "-$service" 2>/dev/null
wait "$service" 2>/dev/null
rm -rf "$folder" $leftovers
"#;

const READY_MAX: Duration = Duration::from_secs(180);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const LOG_TAIL_BYTES: usize = 4_000;

#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    folder: PathBuf,
    supervisor: Child,
    /// Dropping it closes the pipe and ends the service.
    lifeline: Option<ChildStdin>,
}

impl Service {
    /// Starts a program with its own folder. `leftovers` are glob patterns of files that it leaves elsewhere when it is
    /// killed.
    pub(crate) fn start(name: &'static str, folder: PathBuf, leftovers: &[String], program: &Command) -> Self {
        let mut supervisor = Command::new("bash");
        supervisor.args(["-c", SUPERVISE, "supervise"]).arg(&folder).arg(leftovers.join(" "));
        supervisor.arg(program.get_program()).args(program.get_args());
        supervisor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut supervisor = supervisor.spawn().unwrap();
        let lifeline = supervisor.stdin.take();
        Self { name, folder, supervisor, lifeline }
    }

    /// Waits until `is_ready` returns true. Panics with the end of the log after [`READY_MAX`].
    pub(crate) fn await_ready(&self, is_ready: impl Fn() -> bool) {
        let started = Instant::now();
        while !is_ready() {
            assert!(started.elapsed() < READY_MAX, "{} is not ready after {READY_MAX:?}: {}", self.name, self.log());
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The end of the service's log.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // After the pipe is closed, the supervisor only kills the service and deletes the folder.
        let _ = self.supervisor.wait();
    }
}

/// Creates a folder for a service in the build's folder for tests. The supervisor of the service deletes it.
pub(crate) fn folder(name: &str) -> PathBuf {
    let parent = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&parent).unwrap();
    tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(parent).unwrap().keep()
}

/// Free ports: nothing listens on them.
///
/// They are below the range that the kernel uses for outgoing connections. So no connection takes one between this
/// check and its use. Each port is returned only once, also to different tests.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: Mutex<u16> = Mutex::new(0);
    const FIRST: u16 = 20_000;
    const LAST: u16 = 32_000;
    let mut next = NEXT.lock().unwrap();
    if *next == 0 {
        *next = rand::random_range(FIRST..LAST);
    }
    std::array::from_fn(|_| {
        loop {
            *next = if *next >= LAST { FIRST } else { *next + 1 };
            if TcpListener::bind(("127.0.0.1", *next)).is_ok() {
                return *next;
            }
        }
    })
}

/// Sends one HTTP/1.1 request over its own connection. Returns the status and the body, or None if there is no
/// response.
pub(crate) fn http(method: &str, port: u16, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + &headers + body).as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Some((status, body.to_owned()))
}

/// Writes a configuration file of a service into its folder.
pub(crate) fn configure(folder: &std::path::Path, name: &str, contents: &str) -> PathBuf {
    let path = folder.join(name);
    File::create(&path).unwrap().write_all(contents.as_bytes()).unwrap();
    path
}
