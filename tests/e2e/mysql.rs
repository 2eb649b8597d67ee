//! `read_mysql` with a real MariaDB server: types, pushdown, and memory use.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::environment::{Output, PATIENCE, TestEnvironment};
use crate::mariadb::{self, Database, PASSWORD};

const MEBIBYTE: u64 = 1 << 20;

/// The call of the table function for a table. `more` adds options at the end.
pub(crate) fn call(database: &Database<'_>, table: &str, more: &str) -> String {
    format!("read_mysql(table => '{table}', credentials => '{}'{more})", database.credentials_file())
}

fn rows(environment: &TestEnvironment, sql: &str) -> Vec<Value> {
    let output = environment.pinsql(&["-c", sql, "--format", "ndjson"]).output().success();
    assert!(!output.stderr.contains(PASSWORD));
    output.rows()
}

fn explain(environment: &TestEnvironment, sql: &str) -> String {
    let plans = rows(environment, &format!("EXPLAIN {sql}"));
    plans.iter().filter_map(|plan| plan["plan"].as_str()).collect::<Vec<_>>().join("\n")
}

fn fails(environment: &TestEnvironment, sql: &str, code: i32, words: &[&[&str]]) -> Output {
    environment.run_sql(sql).output().failure(code, words)
}

const TYPES: &str = r#"
SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+02:00';
CREATE TABLE kinds (
  id INT NOT NULL PRIMARY KEY,
  flag TINYINT(1), tiny TINYINT, tiny_u TINYINT UNSIGNED, small SMALLINT, small_u SMALLINT UNSIGNED,
  medium MEDIUMINT, medium_u MEDIUMINT UNSIGNED, plain INT, plain_u INT UNSIGNED, big BIGINT, big_u BIGINT UNSIGNED,
  year_of YEAR, amount DECIMAL(10,2), long_amount DECIMAL(38,10), huge DECIMAL(60,20), single FLOAT, twice DOUBLE,
  day DATE, at DATETIME, at_us DATETIME(6), stamp TIMESTAMP NULL, span TIME, span_ms TIME(3),
  fixed CHAR(5), vary VARCHAR(50), body LONGTEXT, latin VARCHAR(20) CHARACTER SET latin1,
  raw_fixed BINARY(3), raw BLOB, doc JSON, colour ENUM('red','green'), tags SET('a','b','c'),
  bit1 BIT(1), bit9 BIT(9), place POINT
) CHARACTER SET utf8mb4;
INSERT INTO kinds VALUES (1,
  1, -128, 255, -32768, 65535, -8388608, 16777215, -2147483648, 4294967295, -9223372036854775808, 18446744073709551615,
  2018, -12345678.90, 1234567890123456789012345678.0123456789, 1.5, 0.1, 0.1,
  '2018-03-27', '2018-03-27 05:24:10', '9999-12-31 23:59:59.999999', '2018-03-27 05:24:10', '-838:59:59', '01:02:03.5',
  'ab', '😀 é ‏ע', CONCAT('e', _utf8mb4 0xCC81, _utf8mb4 0xEE8080), 'café',
  'a', 0x00FF, '{"a": 1}', 'green', 'a,c', b'1', b'100000001', POINT(1, 2));
INSERT INTO kinds (id) VALUES (2);
INSERT INTO kinds (id, day, at, stamp) VALUES (3, '0000-00-00', '2026-00-10 01:02:03', 0);
"#;

#[test]
fn every_type_is_as_documented() {
    let environment = TestEnvironment::new();
    let database = mariadb::server().database("types");
    database.load(TYPES);
    let from = call(&database, "kinds", "");
    environment.run_sql(&format!("CREATE TABLE kinds AS SELECT * FROM {from}")).output().success();
    let types: Vec<String> = rows(&environment, "DESCRIBE kinds")
        .iter()
        .map(|row| format!("{} {}", row["col_name"].as_str().unwrap(), row["data_type"].as_str().unwrap()))
        .collect();
    assert_eq!(
        types,
        [
            "id INT",
            "flag BOOLEAN",
            "tiny TINYINT",
            "tiny_u SMALLINT",
            "small SMALLINT",
            "small_u INT",
            "medium INT",
            "medium_u INT",
            "plain INT",
            "plain_u BIGINT",
            "big BIGINT",
            "big_u DECIMAL(20,0)",
            "year_of INT",
            "amount DECIMAL(10,2)",
            "long_amount DECIMAL(38,10)",
            "huge STRING",
            "single FLOAT",
            "twice DOUBLE",
            "day DATE",
            "at TIMESTAMP",
            "at_us TIMESTAMP",
            "stamp TIMESTAMP",
            "span STRING",
            "span_ms STRING",
            "fixed STRING",
            "vary STRING",
            "body STRING",
            "latin STRING",
            "raw_fixed BINARY",
            "raw BINARY",
            "doc STRING",
            "colour STRING",
            "tags STRING",
            "bit1 BOOLEAN",
            "bit9 BINARY",
            "place BINARY",
        ]
    );
    let rows = rows(&environment, "SELECT * EXCEPT (long_amount) FROM kinds ORDER BY id");
    let expected = json!({
        "id": 1, "flag": true, "tiny": -128, "tiny_u": 255, "small": -32768, "small_u": 65535, "medium": -8388608,
        "medium_u": 16777215, "plain": -2147483648i64, "plain_u": 4294967295u64, "big": i64::MIN, "big_u": u64::MAX,
        "year_of": 2018, "amount": -12345678.9, "huge": "1.50000000000000000000", "single": 0.1, "twice": 0.1,
        "day": "2018-03-27", "span": "-838:59:59", "span_ms": "01:02:03.500", "fixed": "ab", "vary": "😀 é ‏ע",
        "body": "e\u{301}\u{e000}", "latin": "café", "raw_fixed": "YQAA", "raw": "AP8=", "doc": "{\"a\": 1}",
        "colour": "green", "tags": "a,c", "bit1": true, "bit9": "AQE=",
        "place": "AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA==",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&rows[0][name], value, "{name}");
    }
    // DATETIME has no time zone and is read as UTC. TIMESTAMP is an instant, written here at +02:00.
    let exact = "SELECT CAST(at AS STRING) AS at, CAST(at_us AS STRING) AS at_us, CAST(stamp AS STRING) AS stamp, \
                 CAST(long_amount AS STRING) AS amount FROM kinds WHERE id = 1";
    assert_eq!(
        environment.query(exact),
        [json!({
            "at": "2018-03-27 05:24:10",
            "at_us": "9999-12-31 23:59:59.999999",
            "stamp": "2018-03-27 03:24:10",
            "amount": "1234567890123456789012345678.0123456789",
        })]
    );
    for row in &rows[1..] {
        let given: Vec<&String> =
            row.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name).collect();
        assert_eq!(given, ["id"], "a zero date is NULL, as all else that was not given");
    }
}

#[test]
fn a_value_outside_its_type_is_an_error_with_the_column_name() {
    let environment = TestEnvironment::new();
    let database = mariadb::server().database("values");
    database.load(
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES';
         CREATE TABLE odd (id INT, flag TINYINT(1), day DATE, zero DATE);
         INSERT INTO odd VALUES (1, 1, '2020-01-01', '2020-01-01'), (2, 5, '2026-02-31', '0000-00-00')",
    );
    let fails = |column: &str, more: &str, words: &[&[&str]]| {
        let sql = format!("CREATE TABLE t AS SELECT {column} FROM {}", call(&database, "odd", more));
        fails(&environment, &sql, 1, words);
    };
    fails("flag", "", &[&["column `flag` holds 5, which is no BOOLEAN"], &["tinyInt1isBit => false"]]);
    fails("day", "", &[&["column `day` holds the date 2026-02-31, which is in no calendar"]]);
    fails(
        "zero",
        ", zeroDateTimeBehavior => 'EXCEPTION'",
        &[&["`zero` holds the date 0000-00-00"], &["CONVERT_TO_NULL"]],
    );
    fails("id", " ) WHERE (flag", &[&["`flag` holds 5"]]);
    let numbers = format!("SELECT sum(flag) AS flags FROM {}", call(&database, "odd", ", tinyInt1isBit => false"));
    assert_eq!(environment.value(&numbers), 6);
}

#[test]
fn pushed_down_parts_are_in_the_plan_and_in_the_servers_log() {
    let environment = TestEnvironment::new();
    let database = mariadb::server().database("pushed");
    database.load(
        "CREATE TABLE pushed_rows (id INT PRIMARY KEY, title VARCHAR(20), at DATETIME, body TEXT);
         INSERT INTO pushed_rows SELECT seq, CONCAT('t', seq), '2020-01-01' + INTERVAL seq DAY, REPEAT('x', 100) FROM seq_1_to_50",
    );
    let from = call(&database, "pushed_rows", "");
    let check = |select: &str, rest: &str, wanted: &[&str], unwanted: &[&str]| {
        let plan = explain(&environment, &format!("SELECT {select} FROM {from} {rest}"));
        for text in wanted {
            assert!(plan.contains(text), "{rest}: no {text} in {plan}");
        }
        for text in unwanted {
            assert!(!plan.contains(text), "{rest}: {text} in {plan}");
        }
    };
    check(
        "title",
        "WHERE id > 40 LIMIT 3",
        &["sql=SELECT `title` FROM `pushed_rows` WHERE (`id` > ?) LIMIT 3, parameters=[40]"],
        &["FilterExec", "body"],
    );
    check(
        "id",
        "WHERE title = 't7' LIMIT 1",
        &["(`title` = ?) AND (CAST(CONVERT(`title` USING utf8mb4) AS BINARY) = CAST(? AS BINARY))", "LIMIT 1"],
        &["FilterExec"],
    );
    check(
        "id",
        "WHERE at > '2020-02-01' LIMIT 3",
        &["(`at` > ?)", "parameters=['2020-02-01']", "FilterExec"],
        &["LIMIT"],
    );
    check(
        "id",
        "WHERE upper(title) = 'T7' LIMIT 3",
        &["FilterExec", "sql=SELECT `id`, `title` FROM `pushed_rows`"],
        &["WHERE", "LIMIT"],
    );
    check(
        "count(*)",
        "WHERE id BETWEEN 1 AND 5",
        &["sql=SELECT COUNT(*) FROM `pushed_rows` WHERE (`id` >= ?) AND (`id` <= ?)"],
        &["FilterExec"],
    );
    assert!(!explain(&environment, &format!("SELECT * FROM {from}")).contains(PASSWORD));

    let title = format!("SELECT title FROM {from} WHERE id > 40 AND title LIKE 't4%' ORDER BY title");
    assert_eq!(environment.query(&title).len(), 9);
    assert_eq!(environment.value(&format!("SELECT count(*) AS rows FROM {from} WHERE id > 40")), 10);
    assert_eq!(environment.value(&format!("SELECT count(*) AS rows FROM (SELECT 1 FROM {from} LIMIT 7)")), 7);
    let asked = mariadb::server().statements("FROM `pushed_rows`").join("\n");
    assert!(asked.contains("Execute\tSELECT `title` FROM `pushed_rows` WHERE (`id` > 40) AND (CONVERT(`title` USING utf8mb4) COLLATE utf8mb4_bin LIKE 't4%' ESCAPE '|')"), "{asked}");
    assert!(asked.contains("Execute\tSELECT COUNT(*) FROM `pushed_rows` WHERE (`id` > 40)"), "{asked}");
}

#[test]
fn a_table_larger_than_the_memory_limit_is_streamed() {
    const ROWS: u64 = 200_000;
    let environment = TestEnvironment::new();
    let database = mariadb::server().database("large");
    database.load(&format!(
        "CREATE TABLE posts (id INT PRIMARY KEY, title VARCHAR(40), body VARCHAR(1000), at DATETIME);
         INSERT INTO posts SELECT seq, CONCAT('post ', seq), REPEAT(MD5(seq), 16), '2020-01-01' + INTERVAL seq SECOND FROM seq_1_to_{ROWS}"
    ));
    let from = call(&database, "posts", "");
    let sql = format!("CREATE TABLE posts AS SELECT * FROM {from}");
    let output =
        environment.run_sql(&sql).arguments(&["--memory", "64MB", "--report", "report.json"]).output().success();
    assert!(
        output.stderr.contains("read 200000 = written 200000 + filtered 0 + duplicates 0 + rejected 0"),
        "{}",
        output.describe()
    );
    assert!(output.memory_max_bytes < 350 * MEBIBYTE, "{} MiB", output.memory_max_bytes / MEBIBYTE);
    let report = fs::read_to_string(environment.path("report.json")).unwrap();
    assert!(
        report.contains(&format!("mysql://127.0.0.1:{}/{}/posts", database.server.port(), database.name)),
        "{report}"
    );
    assert!(!report.contains(PASSWORD));
    assert_eq!(environment.value("SELECT sum(id) FROM posts"), ROWS * (ROWS + 1) / 2);

    // Rows that the server filters are never read. Rows that are filtered here are read.
    let filtered = format!("CREATE TABLE few AS SELECT id FROM {from} WHERE id <= 10 AND upper(title) <> 'POST 3'");
    let output = environment.run_sql(&filtered).output().success();
    assert!(output.stderr.contains("few: read 10 = written 9 + filtered 1"), "{}", output.describe());
    let limited = format!("CREATE TABLE some AS SELECT id FROM {from} LIMIT 12");
    let output = environment.run_sql(&limited).output().success();
    assert!(output.stderr.contains("some: read 12 = written 12 + filtered 0"), "{}", output.describe());
}

#[test]
fn a_limit_stops_the_servers_query_early() {
    let environment = TestEnvironment::new();
    let database = mariadb::server().database("endless");
    // Ten billion rows. A reader that reads all of them does not finish.
    let query = "SELECT seq AS stopped_early FROM seq_1_to_10000000000";
    let from = format!("read_mysql(query => '{query}', credentials => '{}')", database.credentials_file());
    let sql = format!("SELECT stopped_early FROM {from} WHERE CAST(stopped_early AS STRING) LIKE '%7' LIMIT 3");
    assert!(!explain(&environment, &sql).contains("sql=SELECT `stopped_early` FROM (SELECT seq AS stopped_early FROM seq_1_to_10000000000\n) AS pinsql_query LIMIT"));
    assert_eq!(environment.query(&sql).len(), 3);
    let running = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%stopped_early%' AND id <> connection_id()";
    let started = std::time::Instant::now();
    while database.query(running) != ["0"] {
        assert!(started.elapsed() < PATIENCE, "the server still works on it");
        std::thread::sleep(Duration::from_millis(100));
    }
}
