//! The DAGs of `examples/airflow` in a real Airflow. `airflow dags test` runs every task in order, with its retries,
//! variables and connections. There is no scheduler.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::airflow_home::{Airflow, airflow_environment};
use crate::environment::{TestEnvironment, file, repository};
use crate::oracle::assert_same_rows;
use crate::raw;
use crate::s3::{self, Identity, S3Server};
use crate::service;

const TABLES: [&str; 3] = ["pin_data", "geo_data", "user_data"];
const CLEANINGS: [&str; 3] = ["sql/clean_pin.sql", "sql/clean_geo.sql", "sql/clean_user.sql"];
/// The same value as in `pinsql_daily.py`.
const RETRIES: usize = 3;

/// The names of the questions. They are the names of the files in `sql/queries`.
fn questions() -> Vec<String> {
    let files = raw::files(&repository().join("sql/queries"));
    files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The result of pinsql for raw objects, without Airflow.
struct Direct(TestEnvironment);

impl Direct {
    fn of(raw: &Path) -> Self {
        let environment = TestEnvironment::new();
        let run = environment.pinsql(&["run"]).arguments(&CLEANINGS).parameter("raw", raw.to_str().unwrap());
        run.folder(repository()).output().success();
        Self(environment)
    }

    fn answer(&self, question: &str) -> String {
        let run = self.0.pinsql(&["run", &file(&format!("sql/queries/{question}.sql")), "--format", "csv"]);
        run.output().success().stdout
    }

    fn assert_tables(&self, got: &TestEnvironment) {
        for table in TABLES {
            let rows = |environment: &TestEnvironment| environment.query(&format!("SELECT * FROM {table}"));
            assert_same_rows(table, &rows(&self.0), &rows(got));
        }
    }

    /// Asserts that the results are exactly the nine answers.
    fn assert_results(&self, server: &S3Server, prefix: &str) {
        let questions = questions();
        assert_eq!(questions.len(), 9);
        let keys: Vec<String> = questions.iter().map(|question| format!("{prefix}/{question}.csv")).collect();
        assert_eq!(server.keys(prefix), keys);
        for (question, key) in questions.iter().zip(&keys) {
            assert_eq!(String::from_utf8(server.get(key)).unwrap(), self.answer(question), "{question}");
        }
    }
}

/// A day of the pipeline in S3, the same day again, and another day that a parameter selects.
#[test]
fn days_of_the_pipeline_in_airflow() {
    let server = s3::server();
    let prefix = server.prefix("airflow");
    let warehouse = server.url(&format!("{prefix}/warehouse"));
    let environment =
        TestEnvironment::new().with_variables(server.variables(Identity::Owner)).with_warehouse(&*warehouse);
    let days = [("2026-01-02", raw::real(&environment)), ("2026-01-03", raw::examples())];
    for (day, raw) in &days {
        server.upload(raw, &format!("{prefix}/raw/{day}"));
    }
    let airflow = Airflow::new(&environment);
    let settings = json!({
        "pinsql_program": environment.path("pinsql"),
        "pinsql_project": repository(),
        "pinsql_raw": server.url(&format!("{prefix}/raw/{{{{ ds }}}}")),
        "pinsql_warehouse": warehouse,
        "pinsql_results": server.url(&format!("{prefix}/results/{{{{ ds }}}}")),
        "pinsql_aws_connection": "pinsql_aws",
    });
    airflow.run(&["variables", "import", &environment.write("variables.json", settings.to_string())]).expect(0);
    let connections = environment.write("connections.json", connections(server, Identity::Owner).to_string());
    airflow.run(&["connections", "import", &connections]).expect(0);
    let results = |day: &str| format!("{prefix}/results/{day}");

    let [first, other] = days.each_ref().map(|(_, raw)| Direct::of(raw));
    let mut said = airflow.daily(&["2026-01-02"]).expect(0).said;
    first.assert_tables(&environment);
    first.assert_results(server, &results("2026-01-02"));
    let written = server.tags(&results("2026-01-02"));

    said += &airflow.daily(&["2026-01-02"]).expect(0).said;
    first.assert_tables(&environment);
    first.assert_results(server, &results("2026-01-02"));
    let again = server.tags(&results("2026-01-02"));
    assert!(written.iter().all(|(key, tag)| again[key] != *tag), "not written again: {written:?} {again:?}");

    // The logical date is different. The parameter takes precedence.
    said += &airflow.daily(&["2026-01-05", "--conf", r#"{"date": "2026-01-03"}"#]).expect(0).said;
    other.assert_tables(&environment);
    other.assert_results(server, &results("2026-01-03"));
    assert_eq!(server.tags(&results("2026-01-02")), again, "the results of another day were touched");
    assert_eq!(server.keys(&results("2026-01-05")), [""; 0]);

    assert_eq!(airflow.runs().lines().count(), 3 * 12, "three runs of three tables and nine questions");
    assert!(said.contains("pin_data: read "), "the ledger is not in the task's log:\n{said}");
    let processes = fs::read_to_string(airflow.record(".processes")).unwrap();
    assert!(processes.contains("airflow dags test"), "the processes above were not seen: {processes}");
    for place in [&said, &processes] {
        assert!(!place.contains(Identity::Owner.secret()), "the secret is told");
    }
    assert_identities(&airflow, "PINSQLOWNER");
}

fn connections(server: &S3Server, identity: Identity) -> Value {
    let [(_, endpoint), (_, region), (_, key), (_, secret)]: [_; 4] = server.variables(identity).try_into().unwrap();
    let extra = json!({"region_name": region, "endpoint_url": endpoint});
    json!({"pinsql_aws": {"conn_type": "aws", "login": key, "password": secret, "extra": extra}})
}

/// Asserts which key pinsql used, and that it got none of Airflow's environment variables.
fn assert_identities(airflow: &Airflow, key: &str) {
    let identities = fs::read_to_string(airflow.record(".identities")).unwrap();
    assert!(identities.lines().all(|line| line == format!("{key} 0")), "{identities}");
}

/// If the connector writes a folder per day, the SQL reads the folder of the day. If not, the SQL reads the objects
/// that existed at the end of the day.
#[test]
fn objects_in_daily_folders_and_objects_up_to_a_day() {
    let environment = TestEnvironment::new();
    let (by_day, plain) = (environment.path("by_day"), environment.path("plain"));
    for topic in ["pin", "geo", "user"] {
        for (partition, day) in [(0, 2), (1, 3)] {
            let objects = raw::examples().join(format!("topics/example.{topic}/partition={partition}"));
            let of_day = by_day.join(format!("topics/example.{topic}/year=2026/month=01/day=0{day}"));
            copy(&objects, &of_day, None);
            let time = format!("2026-01-0{day}T23:59:59Z");
            copy(&objects, &plain.join(format!("topics/example.{topic}/partition={partition}")), Some(&time));
        }
    }
    let count = |layout: &str, raw: &Path, day: &str| {
        let files = ["pin", "geo", "user"].map(|topic| file(&format!("examples/airflow/{layout}/clean_{topic}.sql")));
        let run = environment.pinsql(&["run", &files[0], &files[1], &files[2]]);
        run.parameter("raw", raw.to_str().unwrap()).parameter("date", day).output().success();
        TABLES.map(|table| environment.value(&format!("SELECT count(*) FROM {table}")).as_u64().unwrap())
    };
    let first = count("by_day", &by_day, "2026-01-02");
    let second = count("by_day", &by_day, "2026-01-03");
    assert!(first != second && first.iter().chain(&second).all(|rows| *rows > 0), "{first:?} {second:?}");
    assert_eq!(count("until_day", &plain, "2026-01-02"), first);
    let both = count("until_day", &plain, "2026-01-03");
    assert!(both.iter().zip(&second).all(|(both, second)| both > second), "{both:?} {second:?}");
    let pins = || environment.query("SELECT * FROM pin_data");
    let up_to_the_second = pins();
    assert_eq!(count("until_day", &plain, "2027-01-01"), both);
    assert_same_rows("pin_data", &up_to_the_second, &pins());
}

/// Copies the files of a folder, and sets when they were changed.
fn copy(from: &Path, to: &Path, changed: Option<&str>) {
    fs::create_dir_all(to).unwrap();
    for path in raw::files(from) {
        let copy = to.join(path.file_name().unwrap());
        fs::copy(&path, &copy).unwrap();
        if let Some(changed) = changed {
            assert!(Command::new("touch").args(["-d", changed]).arg(&copy).status().unwrap().success());
        }
    }
}

/// Errors in the SQL, the data or the settings are permanent, so a retry cannot help.
#[test]
fn a_task_with_a_permanent_error_fails_at_once_with_the_error_of_pinsql() {
    let environment = TestEnvironment::new();
    let raw = raw::examples();
    let mut airflow = Airflow::new(&environment);
    let broken = environment.path("broken");
    for (table, query) in [
        ("pin", "SELEC 1"),
        ("geo", "SELECT longitud FROM read_files(:raw || '/topics/*.geo/*/*.json')"),
        ("user", "SELECT * FROM read_files(:raw || '/2026/*.json')"),
    ] {
        let statement = format!("CREATE OR REPLACE TABLE {table}_data AS {query}");
        environment.write(&format!("broken/clean_{table}.sql"), statement);
    }
    airflow.set("program", environment.path("pinsql").to_str().unwrap());
    airflow.set("project", repository().to_str().unwrap());
    airflow.set("warehouse", environment.warehouse());
    airflow.set("raw", raw.to_str().unwrap());
    airflow.set("cleaning", broken.to_str().unwrap());
    let results = environment.path("results");
    airflow.set("results", results.to_str().unwrap());
    let ended = airflow.daily(&["2026-01-02"]).expect(1);
    for words in ["SELEC", "longitud", "no file matches", "/2026/*.json"] {
        assert!(ended.said.contains(words), "the log says nothing of {words}:\n{}", ended.said);
    }
    assert_eq!(ended.count("pinsql ended with exit code 1"), 3, "{}", ended.said);
    assert_eq!(ended.count("new_state=failed"), 3, "{}", ended.said);
    assert_eq!(ended.count("up_for_retry"), 0, "{}", ended.said);
    assert_eq!(airflow.runs().lines().count(), 3, "one try each, and no question: {}", airflow.runs());
    assert!(!results.exists(), "a question was asked of tables that were not made");
    assert_identities(&airflow, "none");
}

/// Nothing listens at the S3 endpoint of the connection. A retry can help, so the DAG's number of retries is used.
#[test]
fn a_failing_service_is_retried() {
    let environment = TestEnvironment::new();
    let mut airflow = Airflow::new(&environment);
    let [port] = service::free_ports();
    let secret = Identity::Owner.secret();
    let extra = json!({"region_name": "eu-west-1", "endpoint_url": format!("http://127.0.0.1:{port}")});
    let connection = json!({"conn_type": "aws", "login": "PINSQLOWNER", "password": secret, "extra": extra});
    airflow.given("AIRFLOW_CONN_PINSQL_AWS", &connection.to_string());
    // The worker's own credentials must not mix with the connection's.
    airflow.given("AWS_SESSION_TOKEN", "token-of-the-worker");
    airflow.set("aws_connection", "pinsql_aws");
    airflow.set("program", environment.path("pinsql").to_str().unwrap());
    airflow.set("project", repository().to_str().unwrap());
    airflow.set("warehouse", environment.warehouse());
    airflow.set("raw", "s3://lake/raw");
    // The other tables would fail in the same way and take as long.
    let ended = airflow.daily(&["2026-01-02", "--mark-success-pattern", "clean.(geo|user)_data"]).expect(1);
    assert_eq!(ended.count("pinsql ended with exit code 3"), 1 + RETRIES, "{}", ended.said);
    assert_eq!(ended.count("new_state=up_for_retry"), RETRIES, "{}", ended.said);
    assert_eq!(ended.count("new_state=failed"), 1, "{}", ended.said);
    assert!(ended.said.contains("error[SERVICE_UNAVAILABLE]: cannot list s3://lake/raw/"), "{}", ended.said);
    assert_eq!(airflow.runs().lines().count(), 1 + RETRIES, "{}", airflow.runs());
    assert!(!ended.said.contains(secret), "the secret is in the log:\n{}", ended.said);
    assert_identities(&airflow, "PINSQLOWNER");
}

/// Both DAGs load without errors, and the Databricks operators accept their templates. No workspace is contacted.
#[test]
fn the_dags_load_and_the_databricks_operators_accept_their_templates() {
    let environment = TestEnvironment::new();
    let mut airflow = Airflow::new(&environment);
    // The DAGs without the tests' policy.
    fs::remove_file(environment.path("airflow/config/airflow_local_settings.py")).unwrap();
    let ended = airflow.run(&["dags", "list-import-errors", "--local", "--bundle-name", "dags-folder"]).expect(0);
    assert!(ended.said.contains("No data found"), "{}", ended.said);
    for (name, value) in [
        ("warehouse", "s3://lake/warehouse"),
        ("databricks_catalog", "main"),
        ("databricks_schema", "posts"),
        ("databricks_results", "/srv/results/{{ ds }}"),
    ] {
        airflow.set(name, value);
    }
    let mut command = airflow_environment("python", &environment.path("airflow"));
    command.arg(file("tests/e2e/airflow_dags.py")).arg(file("examples/airflow"));
    let output = command.envs(airflow.variables).output().unwrap();
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let told: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(told["errors"], json!({}));
    let daily = &told["dags"]["pinsql_daily"];
    let tables = TABLES.map(|table| format!("clean.{table}"));
    for task in daily["tasks"].as_object().unwrap().values() {
        assert_eq!((&task["retries"], &task["retry_seconds"]), (&json!(RETRIES), &json!(300.0)), "{task:#}");
    }
    for question in questions() {
        let mut after = tables.to_vec();
        after.sort();
        assert_eq!(daily["tasks"][format!("ask.{question}")]["after"], json!(after));
    }
    let databricks = &told["dags"]["pinsql_databricks"]["tasks"];
    for table in TABLES {
        let task = &databricks[format!("register.{table}")];
        let create =
            format!("CREATE TABLE IF NOT EXISTS {table}\nUSING DELTA\nLOCATION 's3://lake/warehouse/default/{table}'");
        assert_eq!(task["operator"], "DatabricksSqlOperator");
        assert_eq!(task["rendered"]["sql"], json!([create, format!("REFRESH TABLE {table}")]));
        assert_eq!((&task["rendered"]["catalog"], &task["rendered"]["schema"]), (&json!("main"), &json!("posts")));
    }
    let ask = &databricks["top_category_by_country"];
    assert_eq!(ask["rendered"]["_output_path"], "/srv/results/2026-01-02/top_category_by_country.csv");
    let asked = fs::read_to_string(file("sql/queries/top_category_by_country.sql")).unwrap();
    let asked = asked.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    assert_eq!(ask["rendered"]["sql"], json!(asked.trim_end_matches(';')), "the same question as pinsql is asked");
}
