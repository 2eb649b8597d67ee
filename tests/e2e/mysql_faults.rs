//! Faults between pinsql and a database, credentials and their permissions, and the queries of a check.

use std::time::{Duration, Instant};

use pinsql::config::DatabaseEnvironment;
use pinsql_sources::mysql::{Database as Drawn, DatabaseOptions};
use serde_json::{Value, json};

use crate::environment::{PATIENCE, TestEnvironment};
use crate::mariadb::{self, Mariadb, PASSWORD, STRANGER, USER};
use crate::raw;

fn credentials(environment: &TestEnvironment, lines: &str) -> String {
    let path = environment.write("creds.yaml", lines);
    format!("credentials => '{path}'")
}

#[test]
fn every_failure_has_an_error_with_a_hint() {
    let environment = TestEnvironment::new();
    let database = mariadb::server().database("failures");
    database.load("CREATE TABLE pin_data (id INT)");
    let (port, name) = (database.server.port(), database.name.clone());
    let file = |user: &str, password: &str, database: &str, port: u16| {
        let lines =
            format!("HOST: 127.0.0.1\nUSER: {user}\nPASSWORD: {password}\nDATABASE: {database}\nPORT: {port}\n");
        credentials(&environment, &lines)
    };
    let fails = |what: &str, code: i32, words: &[&[&str]]| {
        let output = environment.run_sql(&format!("SELECT * FROM read_mysql({what})")).output().failure(code, words);
        assert!(!output.stderr.contains(PASSWORD) && !output.stdout.contains(PASSWORD));
    };
    let server = format!("127.0.0.1:{port}");
    let table = "table => 'pin_data'";
    let wrong = file(USER, "not-the-password", &name, port);
    fails(
        &format!("{table}, {wrong}"),
        1,
        &[&[&format!("{server} refuses the user {USER}")], &["Access denied"], &["USER and PASSWORD"]],
    );
    let near = name.replace("failures", "failure");
    let wrong = file(USER, PASSWORD, &near, port);
    fails(
        &format!("{table}, {wrong}"),
        1,
        &[&[&format!("there is no database `{near}`")], &[&format!("did you mean `{name}`?")]],
    );
    let stranger = file(STRANGER, PASSWORD, &name, port);
    fails(
        &format!("{table}, {stranger}"),
        1,
        &[&[&format!("the user {STRANGER} may not use the database `{name}`")], &["GRANT SELECT"]],
    );
    let [closed] = crate::service::free_ports();
    let away = file(USER, PASSWORD, &name, closed);
    fails(
        &format!("{table}, {away}"),
        3,
        &[&[&format!("127.0.0.1:{closed} cannot be reached")], &["refused"], &["host and port"]],
    );
    let right = file(USER, PASSWORD, &name, port);
    fails(
        &format!("table => 'pin_dat', {right}"),
        1,
        &[&[&format!("there is no table `{name}.pin_dat` on {server}")], &["did you mean `pin_data`?"]],
    );
    fails(&format!("query => 'SELEC 1', {right}"), 1, &[&["refuses the query"], &["syntax"]]);
    fails(&format!("query => 'SELECT ? AS a', {right}"), 1, &[&["1 parameter markers"]]);
    fails(&format!("query => 'DELETE FROM pin_data', {right}"), 1, &[&["refuses the query"]]);
    fails(
        &format!("{table}, {right}, sslMode => 'VERIFY_IDENTITY'"),
        1,
        &[&["no TLS connection"], &["certificate"], &["sslCa"]],
    );
}

#[test]
fn a_server_that_never_responds_is_a_timeout() {
    let environment = TestEnvironment::new();
    // It accepts connections but sends nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let sql = format!(
        "SELECT * FROM read_mysql(table => 't', url => 'mysql://u@127.0.0.1:{port}/d', connectTimeout => '1s')"
    );
    environment.run_sql(&sql).output().failure(3, &[&["has not answered for 1 s"], &["connectTimeout"]]);
    let database = mariadb::server().database("silent");
    let sleeping = format!(
        "SELECT * FROM read_mysql(query => 'SELECT SLEEP(60) AS a', credentials => '{}', socketTimeout => '1s')",
        database.credentials_file()
    );
    environment.run_sql(&sleeping).output().failure(3, &[&["has not answered for 1 s"], &["socketTimeout"]]);
}

#[test]
fn tls_is_used_if_it_is_requested() {
    let environment = TestEnvironment::new();
    let database = mariadb::server().database("tls");
    let file = database.credentials_file();
    let status =
        "SELECT variable_value AS cipher FROM information_schema.session_status WHERE variable_name = \\'Ssl_cipher\\'";
    let cipher = |options: &str| {
        let sql = format!("SELECT cipher FROM read_mysql(query => '{status}', credentials => '{file}'{options})");
        environment.value(&sql).as_str().unwrap().to_owned()
    };
    assert!(cipher("").starts_with("TLS_"));
    assert!(cipher(", sslMode => 'REQUIRED'").starts_with("TLS_"));
    assert_eq!(cipher(", sslMode => 'DISABLED'"), "");
    let certificate = database.server.certificate().display().to_string();
    assert!(cipher(&format!(", sslMode => 'verify_identity', sslCa => '{certificate}'")).starts_with("TLS_"));

    database.load(&format!("CREATE OR REPLACE USER 'secured'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL; GRANT ALL ON *.* TO 'secured'@'127.0.0.1'"));
    let lines = format!("USER: secured\nPASSWORD: {PASSWORD}\nHOST: 127.0.0.1\nPORT: {}\n", database.server.port());
    let secured = credentials(&environment, &lines);
    let sql =
        |mode: &str| format!("SELECT * FROM read_mysql(query => 'SELECT 1 AS one', {secured}, sslMode => '{mode}')");
    assert_eq!(environment.query(&sql("REQUIRED")), [json!({"one": 1})]);
    environment.run_sql(&sql("DISABLED")).output().failure(1, &[&["refuses the user secured"]]);
}

#[test]
fn a_killed_server_leaves_no_table() {
    let environment = TestEnvironment::new();
    let mut server = Mariadb::start();
    let sql = format!(
        "CREATE TABLE t AS SELECT * FROM read_mysql(query => 'SELECT seq AS mid_scan FROM seq_1_to_10000000000', credentials => '{}')",
        server.credentials_file()
    );
    let running = environment.run_sql(&sql).start();
    let started = Instant::now();
    while server.statements("Execute").is_empty() {
        assert!(started.elapsed() < PATIENCE, "the scan never began: {}", running.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
    server.kill();
    running
        .wait()
        .failure(3, &[&["was lost", "is overloaded or shutting down"], &[&format!("127.0.0.1:{}", server.port())]]);
    environment.pinsql(&["-c", "SELECT * FROM t"]).output().failure(1, &[&["no table"]]);
    server.begin();
    server.load("CREATE TABLE again (id INT); INSERT INTO again VALUES (7)");
    let again = format!("SELECT id FROM read_mysql(table => 'again', credentials => '{}')", server.credentials_file());
    assert_eq!(environment.value(&again), 7);
}

#[test]
fn check_and_describe_read_no_rows() {
    let environment = TestEnvironment::new();
    let database = mariadb::server().database("checked");
    database
        .load("CREATE TABLE checked_only (id BIGINT UNSIGNED, title TEXT); INSERT INTO checked_only VALUES (1, 'a')");
    let from = format!("read_mysql(table => 'checked_only', credentials => '{}')", database.credentials_file());
    let file =
        environment.write("check.sql", format!("CREATE TABLE t AS SELECT id, title FROM {from};\nSELECT id FROM t;"));
    let output = environment.pinsql(&["check", &file]).output().success();
    assert!(output.stdout.contains("DECIMAL(20,0)"), "{}", output.describe());
    let described = format!("CREATE TEMPORARY VIEW v AS SELECT * FROM {from}; DESCRIBE v;");
    assert!(environment.run_sql(&described).output().success().stdout.contains("DECIMAL(20,0)"));
    let asked = mariadb::server().statements("checked_only`");
    assert!(!asked.is_empty() && asked.iter().all(|line| line.contains("Prepare")), "{asked:?}");
    let wrong = environment.write("wrong.sql", format!("SELECT tittle FROM {from}"));
    environment.pinsql(&["check", &wrong]).output().failure(1, &[&["no column `tittle`"], &["did you mean `title`?"]]);
}

#[test]
fn the_environment_can_select_the_database() {
    let database = mariadb::server().database("environment");
    database.load("CREATE TABLE t (id INT); INSERT INTO t VALUES (7)");
    let sql = "SELECT id FROM read_mysql(table => 't')";
    let environment = TestEnvironment::new().with_variables(database.variables());
    assert_eq!(environment.value(sql), 7);
    let file = TestEnvironment::new().with_variables([("PINSQL_DB_CREDENTIALS", database.credentials_file())]);
    assert_eq!(file.value(sql), 7);
    let url = format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{}/{}", database.server.port(), database.name);
    let by_url = TestEnvironment::new().with_variables([("PINSQL_DB_URL", url.clone())]);
    assert_eq!(by_url.value(sql), 7);
    let in_sql = format!("SELECT id FROM read_mysql(table => 't', url => '{url}')");
    let output = TestEnvironment::new().run_sql(&in_sql).output();
    let output = output.failure(1, &[&["the URL of a database must not have a password"], &["PINSQL_DB_PASSWORD"]]);
    assert!(!output.stderr.contains(PASSWORD), "{}", output.describe());
}

#[test]
fn a_stream_joins_a_database_table() {
    let environment = TestEnvironment::new();
    let database = mariadb::server().database("joined");
    database
        .load("CREATE TABLE names (id BIGINT, name VARCHAR(10)); INSERT INTO names VALUES (1, 'one'), (3, 'three')");
    environment.write("raw/records.json", raw::numbered(0, 10));
    let raw = environment.path("raw").display().to_string();
    let sql = format!(
        "CREATE STREAMING TABLE joined AS SELECT r.id, n.name FROM STREAM read_files('{raw}', format => 'json', \
         schema => 'id BIGINT') AS r JOIN read_mysql(table => 'names', credentials => '{}') AS n ON r.id = n.id",
        database.credentials_file()
    );
    environment.run_sql(&sql).output().success();
    let names: Vec<Value> =
        environment.query("SELECT name FROM joined ORDER BY id").into_iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["one", "three"]);
    let stream = format!(
        "CREATE STREAMING TABLE s AS SELECT * FROM STREAM read_mysql(table => 'names', credentials => '{}')",
        database.credentials_file()
    );
    environment.run_sql(&stream).output().failure(1, &[&["read_mysql cannot be read as a stream"]]);
}

#[tokio::test]
async fn rows_are_selected_by_number_from_memory_or_from_the_server() {
    let database = mariadb::server().database("drawn");
    database.load(
        "CREATE TABLE geolocation_data (ind INT, timestamp DATETIME, latitude DOUBLE, country VARCHAR(50), ok TINYINT(1));
         INSERT INTO geolocation_data VALUES (7528, '2020-08-28 03:52:47', -89.9787, 'Albania', 1),
           (2863, '2020-04-27 13:34:16.000000', -5.34445, 'Curaçao 😀', 0), (9, NULL, NULL, NULL, NULL)",
    );
    let file = database.credentials_file();
    let options = DatabaseOptions::resolve(Some(file.as_ref()), None, &DatabaseEnvironment::default()).unwrap();
    let expected = [
        r#"{"ind":7528,"timestamp":"2020-08-28T03:52:47","latitude":-89.9787,"country":"Albania","ok":1}"#,
        r#"{"ind":2863,"timestamp":"2020-04-27T13:34:16","latitude":-5.34445,"country":"Curaçao 😀","ok":0}"#,
        r#"{"ind":9,"timestamp":null,"latitude":null,"country":null,"ok":null}"#,
    ];
    let held = Drawn::connect(&options).await.unwrap();
    let asked = Drawn::connect(&options).await.unwrap().with_memory_max(100);
    for mut drawn in [held, asked] {
        assert_eq!(drawn.count("geolocation_data").await.unwrap(), 3);
        let rows = drawn.rows("geolocation_data", &[2, 0, 1, 0]).await.unwrap();
        assert_eq!(
            rows.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
            [expected[2], expected[0], expected[1], expected[0]]
        );
        let gone = drawn.rows("geolocation_data", &[3]).await.unwrap_err();
        assert_eq!(gone.message, "row 3 of `geolocation_data` no longer exists");
        let unknown = drawn.count("geolocation_dat").await.unwrap_err();
        assert_eq!(
            unknown.message,
            format!("there is no table `{}.geolocation_dat` on 127.0.0.1:{}", database.name, database.server.port())
        );
        assert_eq!(unknown.hint.as_deref(), Some("did you mean `geolocation_data`?"));
        assert_eq!(drawn.count("geolocation_data").await.unwrap(), 3);
    }
}
