//! An Airflow with a separate database, controlled through its command line.
//!
//! Two parts exist only for the tests. A script replaces pinsql, records its arguments and then runs pinsql. A cluster
//! policy sets the retry delay of tasks to one second, because the DAG waits minutes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::environment::{TestEnvironment, file};
use crate::python;
use crate::service;

const SECONDS_MAX: &str = "600";

const POLICY: &str = "
from datetime import timedelta


def task_policy(task):
    task.retry_delay = timedelta(seconds=1)
";

/// Records the command lines of itself and its parent processes, then runs pinsql.
const RECORDED: &str = r#"#!/bin/bash
process=$$
while [ "$process" -gt 1 ]; do
    { tr '\0' ' ' < "/proc/$process/cmdline"; echo; } >> "$RECORD.processes"
    process=$(awk '$1 == "PPid:" { print $2 }' "/proc/$process/status")
done
echo "$@" >> "$RECORD.runs"
echo "${AWS_ACCESS_KEY_ID:-none} $(env | grep -c ^AIRFLOW)" >> "$RECORD.identities"
exec "$PINSQL" "$@"
"#;

/// An Airflow with a separate database.
#[derive(Debug)]
pub(crate) struct Airflow<'a> {
    environment: &'a TestEnvironment,
    pub(crate) variables: Vec<(String, String)>,
}

/// The exit code and the whole output of an Airflow command, including the logs of its tasks.
#[derive(Debug)]
pub(crate) struct Ended {
    code: i32,
    pub(crate) said: String,
}

impl Ended {
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "airflow ended with another code:\n{}", self.said);
        self
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.said.matches(text).count()
    }
}

impl<'a> Airflow<'a> {
    pub(crate) fn new(environment: &'a TestEnvironment) -> Self {
        fs::create_dir_all(environment.path("airflow/config")).unwrap();
        fs::copy(migrated().join("airflow.db"), environment.path("airflow/airflow.db")).unwrap();
        environment.write("airflow/config/airflow_local_settings.py", POLICY);
        let program = environment.write("pinsql", RECORDED);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut airflow = Self { environment, variables: Vec::new() };
        airflow.given("PINSQL", env!("CARGO_BIN_EXE_pinsql"));
        airflow.given("RECORD", airflow.record("").to_str().unwrap());
        airflow
    }

    /// Adds an environment variable.
    pub(crate) fn given(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Sets an Airflow variable through the environment. It takes precedence over the database.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.given(&format!("AIRFLOW_VAR_PINSQL_{}", name.to_uppercase()), value);
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        run(&self.environment.path("airflow"), variables, arguments)
    }

    /// Runs `pinsql_daily` for a date.
    pub(crate) fn daily(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["dags", "test", "pinsql_daily"], arguments].concat())
    }

    pub(crate) fn record(&self, what: &str) -> PathBuf {
        self.environment.path(&format!("record{what}"))
    }

    /// The arguments of each run of pinsql, one line per run.
    pub(crate) fn runs(&self) -> String {
        fs::read_to_string(self.record(".runs")).unwrap_or_default()
    }
}

/// A folder of Airflow with a new database, shared by all tests.
fn migrated() -> &'static Path {
    static MIGRATED: OnceLock<PathBuf> = OnceLock::new();
    MIGRATED.get_or_init(|| {
        let folder = service::folder("airflow");
        run(&folder, [], &["db", "migrate"]).expect(0);
        folder
    })
}

fn run<'a>(home: &Path, variables: impl IntoIterator<Item = (&'a str, &'a str)>, arguments: &[&str]) -> Ended {
    let mut command = airflow_environment("airflow", home);
    let command = command.args(arguments).envs(variables).stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ended { code: output.status.code().unwrap_or(-1), said }
}

/// A program of Airflow's environment, with this folder as its home. `timeout` ends a program that hangs.
pub(crate) fn airflow_environment(program: &str, home: &Path) -> Command {
    let programs = python::airflow();
    let mut path = programs.clone().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", SECONDS_MAX]).arg(programs.join(program));
    command.env_clear().env("PATH", path).env("HOME", home).env("AIRFLOW_HOME", home).current_dir(home);
    command.env("AIRFLOW__CORE__LOAD_EXAMPLES", "False").env("AIRFLOW__CORE__DAGS_FOLDER", file("examples/airflow"));
    // Airflow writes nothing next to the DAGs and sends nothing anywhere.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("AIRFLOW__USAGE_DATA_COLLECTION__ENABLED", "False");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}
