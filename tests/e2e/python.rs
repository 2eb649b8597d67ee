//! The Python that `./test` installs, with the services and the readers of Delta tables.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::environment::repository;

const SECONDS_MAX: &str = "300";

/// The path of a program that is installed next to the interpreter.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = interpreter().with_file_name(name);
    assert!(path.exists(), "{} is missing: run ./test, which installs it", path.display());
    path
}

pub(crate) fn interpreter() -> PathBuf {
    installed("PINSQL_TEST_PYTHON", "python/bin/python")
}

/// The folder of Delta's jars for Spark.
pub(crate) fn jars() -> PathBuf {
    installed("PINSQL_TEST_JARS", "jars")
}

/// The folder of the jars that Spark needs for S3, in addition to Delta's.
pub(crate) fn s3a_jars() -> PathBuf {
    let path = jars().with_file_name("s3a");
    assert!(path.exists(), "{} is missing: run ./test, which installs it", path.display());
    path
}

/// The folder of Apache Kafka's jars.
pub(crate) fn kafka_jars() -> PathBuf {
    installed("PINSQL_TEST_KAFKA", "kafka")
}

/// The folder of a MariaDB server, as its packages unpack.
pub(crate) fn mariadb() -> PathBuf {
    installed("PINSQL_TEST_MARIADB", "mariadb")
}

/// The folder of Airflow's programs. Airflow has a separate Python environment.
pub(crate) fn airflow() -> PathBuf {
    installed("PINSQL_TEST_AIRFLOW", "airflow").join("bin")
}

fn installed(variable: &str, default: &str) -> PathBuf {
    let given = std::env::var_os(variable).map(PathBuf::from);
    let path = given.unwrap_or_else(|| repository().join("target/test-services").join(default));
    assert!(path.exists(), "{} is missing: run ./test, which installs it", path.display());
    path
}

/// A started script that prints JSON to standard output.
#[derive(Debug)]
pub(crate) struct Script {
    child: std::process::Child,
    name: String,
}

impl Script {
    pub(crate) fn start(script: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let name = script.display().to_string();
        // `timeout` ends a script that hangs, and also the Java process that Spark starts with it.
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", SECONDS_MAX])
            .arg(interpreter())
            .arg(script)
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)));
        // Without this, Spark looks up the machine's name and returns timestamps in the machine's time zone.
        // Spark also creates a folder in the working directory of its start.
        command.current_dir(env!("CARGO_TARGET_TMPDIR"));
        command.env("SPARK_LOCAL_IP", "127.0.0.1").env("TZ", "UTC").env("PINSQL_TEST_JARS", jars());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, name }
    }

    pub(crate) fn answer(self) -> Value {
        let name = self.name.clone();
        let stdout = self.succeed();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{name}: {error}:\n{stdout}"))
    }

    /// The output of the script. The test fails if the script failed.
    pub(crate) fn succeed(self) -> String {
        let output = self.child.wait_with_output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} failed ({}):\n{stdout}\n{stderr}", self.name, output.status);
        stdout.into_owned()
    }
}
