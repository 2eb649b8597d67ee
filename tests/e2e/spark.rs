//! Spark with Delta, one for the whole run, because it takes up to a minute to start.
//!
//! Each test has its own session. Spark's operations are in `spark_service.py`, one small function each. Operations for
//! all readers are in `readers.rs`. All tests share Spark's catalog, so a table in it needs a name that no other test
//! uses.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::environment::file;
use crate::python;
use crate::service::{self, Service};

/// Timeout of one request. Only a request that hangs takes longer.
const ANSWER_MAX: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Spark {
    port: u16,
    folder: PathBuf,
    service: Service,
}

impl Spark {
    /// The Spark that all tests share. The first call starts it.
    pub(crate) fn shared() -> &'static Self {
        static SPARK: OnceLock<Spark> = OnceLock::new();
        SPARK.get_or_init(Self::start)
    }

    fn start() -> Self {
        let folder = service::folder("spark");
        let [port] = service::free_ports();
        let mut program = Command::new("env");
        // Spark creates a folder in its working directory. Without an address it looks up the machine's name.
        program.arg("-C").arg(&folder).args(["SPARK_LOCAL_IP=127.0.0.1", "TZ=UTC"]);
        program.arg(format!("PINSQL_TEST_JARS={}", python::jars().display()));
        program.arg(format!("PINSQL_TEST_S3A={}", python::s3a_jars().display()));
        program.arg(python::interpreter()).arg(file("tests/e2e/spark_service.py"));
        program.arg(port.to_string()).arg(&folder);
        let service = Service::start("Spark", folder.clone(), &[], &program);
        let spark = Self { port, folder, service };
        spark.service.await_ready(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        spark
    }

    /// A session with its own settings and temporary views.
    pub(crate) fn session(&self) -> Session<'_> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        Session { spark: self, stream }
    }
}

/// A session of the shared Spark.
pub(crate) fn session() -> Session<'static> {
    Spark::shared().session()
}

#[derive(Debug)]
pub(crate) struct Session<'a> {
    spark: &'a Spark,
    stream: TcpStream,
}

impl Session<'_> {
    /// A folder that is deleted when Spark ends.
    pub(crate) fn folder(&self) -> &Path {
        &self.spark.folder
    }

    /// The result of an operation of the service, or the text of its error.
    pub(crate) fn ask(&self, request: &Value) -> Result<Value, String> {
        let mut stream = &self.stream;
        writeln!(stream, "{request}").unwrap();
        let mut line = String::new();
        // Each request has exactly one response, so dropping this reader loses no data of the next one.
        let read = BufReader::new(stream).read_line(&mut line);
        let is_whole = matches!(read, Ok(bytes) if bytes > 0);
        assert!(is_whole, "{request}: Spark gave {read:?}: {}", self.spark.service.log());
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer["error"].take() {
            Value::String(error) => Err(error),
            _ => Ok(answer["answer"].take()),
        }
    }

    fn asked(&self, request: &Value) -> Value {
        self.ask(request).unwrap_or_else(|error| panic!("{request}: Spark failed: {error}"))
    }

    /// The rows of a statement, one object each.
    pub(crate) fn sql(&self, statement: &str) -> Vec<Value> {
        rows(self.asked(&json!({"do": "sql", "statement": statement})))
    }

    /// The error of a statement that Spark must refuse.
    pub(crate) fn refusal(&self, statement: &str) -> String {
        match self.ask(&json!({"do": "sql", "statement": statement})) {
            Ok(answer) => panic!("{statement}: Spark took it: {answer}"),
            Err(error) => error,
        }
    }

    /// The rows of a table, and its columns as `[name, type]`.
    pub(crate) fn table(&self, path: &Path) -> Value {
        self.asked(&json!({"do": "table", "path": path}))
    }

    pub(crate) fn rows(&self, path: &Path) -> Vec<Value> {
        rows(self.table(path))
    }

    /// Protocol, features, partitions, properties, comment and the number of files.
    pub(crate) fn detail(&self, path: &Path) -> Value {
        self.asked(&json!({"do": "detail", "path": path}))
    }

    /// The commits of a table, the newest first.
    pub(crate) fn history(&self, path: &Path) -> Vec<Value> {
        array(self.asked(&json!({"do": "history", "path": path})))
    }

    /// The rows of each version, by the version number as text. For a version that no longer exists, the error.
    pub(crate) fn versions(&self, path: &Path) -> Value {
        self.asked(&json!({"do": "versions", "path": path}))
    }

    /// The change data feed from version `first` on.
    pub(crate) fn changes(&self, path: &Path, first: u64) -> Vec<Value> {
        array(self.asked(&json!({"do": "changes", "path": path, "first": first})))
    }

    /// The names of the files that the plan of a filtered scan reads, and the rows of the scan.
    pub(crate) fn filtered(&self, path: &Path, condition: &str) -> (Vec<String>, Vec<Value>) {
        let mut answer = self.asked(&json!({"do": "files_read", "path": path, "condition": condition}));
        let name = |url: &Value| url.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (answer["files"].as_array().unwrap().iter().map(name).collect(), rows(answer.take()))
    }

    /// The differences between `tests/slt/spark` and Spark's actual results.
    pub(crate) fn conformance(&self) -> String {
        self.asked(&json!({"do": "conformance"})).as_str().unwrap().to_owned()
    }
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => panic!("no array: {other}"),
    }
}

fn rows(mut answer: Value) -> Vec<Value> {
    array(answer["rows"].take())
}

/// The location of a table in Spark's SQL.
pub(crate) fn at(path: &Path) -> String {
    format!("delta.`{}`", path.display())
}

/// The rows of pinsql in the form of Spark's rows. The two write timestamps differently.
pub(crate) fn plain(rows: &[Value]) -> Vec<Value> {
    rows.iter().map(plain_value).collect()
}

fn plain_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(plain_moment(text).unwrap_or_else(|| text.clone())),
        Value::Array(items) => items.iter().map(plain_value).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), plain_value(value))).collect(),
        other => other.clone(),
    }
}

/// Converts `2020-01-01T10:00:00.500Z` to `2020-01-01 10:00:00.500000`. Returns None for any other text.
fn plain_moment(text: &str) -> Option<String> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let is_moment = day.len() == 10 && day.split('-').count() == 3 && time.split(':').count() == 3;
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    is_moment.then(|| match fraction {
        "" => format!("{day} {seconds}"),
        digits => format!("{day} {seconds}.{digits:0<6}"),
    })
}
