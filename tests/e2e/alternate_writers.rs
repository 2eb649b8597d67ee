//! pinsql and Spark take turns writing to one table in S3, for ten rounds. After each statement, both read all rows.
//!
//! They do not write at the same time, because a commit of Spark to S3 is safe only against other commits of the same
//! Spark.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::s3::{self, Identity, S3Server};
use crate::spark::{self, Session};

const ROUNDS: i64 = 10;

/// The expected table: the number of each id.
type Rows = BTreeMap<i64, i64>;

struct Turns<'a> {
    environment: TestEnvironment,
    spark: Session<'a>,
    path: PathBuf,
    wanted: Rows,
}

impl Turns<'_> {
    fn new(server: &S3Server) -> Self {
        let prefix = server.prefix("turns");
        let environment = TestEnvironment::new()
            .with_warehouse(server.url(&prefix))
            .with_variables(server.variables(Identity::Owner));
        let spark = spark::session();
        let settings = server.variables(Identity::Owner);
        for (variable, setting) in [
            ("AWS_ENDPOINT_URL", "fs.s3a.endpoint"),
            ("AWS_REGION", "fs.s3a.endpoint.region"),
            ("AWS_ACCESS_KEY_ID", "fs.s3a.access.key"),
            ("AWS_SECRET_ACCESS_KEY", "fs.s3a.secret.key"),
        ] {
            let (_, value) = settings.iter().find(|(name, _)| *name == variable).unwrap();
            spark.sql(&format!("SET {setting} = {value}"));
        }
        spark.sql("SET fs.s3a.path.style.access = true");
        let path = PathBuf::from(server.url(&prefix).replacen("s3://", "s3a://", 1)).join("default/turns");
        Self { environment, spark, path, wanted: Rows::new() }
    }

    fn ours(&self, statement: &str) {
        self.environment.run_sql(&statement.replace("{t}", "turns")).output().success();
        self.assert_both_read_all(statement);
    }

    fn theirs(&self, statement: &str) {
        self.spark.sql(&statement.replace("{t}", &spark::at(&self.path)));
        self.assert_both_read_all(statement);
    }

    fn assert_both_read_all(&self, after: &str) {
        let rows = |rows: Vec<Value>| -> Rows {
            let row = |row: &Value| (row["id"].as_i64().unwrap(), row["n"].as_i64().unwrap());
            let read: Rows = rows.iter().map(row).collect();
            assert_eq!(read.len(), rows.len(), "a row is there twice after {after}: {rows:?}");
            read
        };
        assert_eq!(rows(self.environment.query("SELECT * FROM turns")), self.wanted, "pinsql after {after}");
        assert_eq!(rows(self.spark.rows(&self.path)), self.wanted, "Spark after {after}");
    }

    fn round(&mut self, round: i64) {
        let first = round * 10;
        let given = |id: i64| (id, id * 100);
        self.wanted.extend((first..first + 3).map(given));
        let values: Vec<String> = (first..first + 3).map(|id| format!("({id}, {}, '{}')", id * 100, id % 2)).collect();
        self.ours(&format!("INSERT INTO {{t}} VALUES {}", values.join(", ")));

        // Even ids grow by one, and three new ids are added.
        self.wanted.iter_mut().filter(|(id, _)| *id % 2 == 0).for_each(|(_, n)| *n += 1);
        self.wanted.extend((first + 3..first + 6).map(given));
        self.theirs(&format!(
            "MERGE INTO {{t}} AS t USING (SELECT id FROM range(0, {})) AS s ON t.id = s.id
             WHEN MATCHED AND s.id % 2 = 0 THEN UPDATE SET n = t.n + 1
             WHEN NOT MATCHED AND s.id >= {} THEN INSERT (id, n, p) VALUES (s.id, s.id * 100, CAST(s.id % 2 AS STRING))",
            first + 6,
            first + 3
        ));

        // The first id of this round is deleted, and the ids divisible by three grow by ten.
        self.wanted.remove(&first);
        self.wanted.iter_mut().filter(|(id, _)| *id % 3 == 0).for_each(|(_, n)| *n += 10);
        self.wanted.insert(first + 6, given(first + 6).1);
        self.ours(&format!(
            "MERGE INTO {{t}} AS t USING (SELECT value AS id FROM generate_series(0, {})) AS s ON t.id = s.id
             WHEN MATCHED AND s.id = {first} THEN DELETE
             WHEN MATCHED AND s.id % 3 = 0 THEN UPDATE SET n = t.n + 10
             WHEN NOT MATCHED AND s.id = {} THEN INSERT (id, n, p) VALUES (s.id, s.id * 100, 'é/new')",
            first + 6,
            first + 6
        ));

        self.wanted.insert(first + 7, given(first + 7).1);
        self.theirs(&format!("INSERT INTO {{t}} VALUES ({}, {}, 'é *')", first + 7, (first + 7) * 100));
        match round % 2 {
            0 => self.ours("OPTIMIZE {t}"),
            _ => self.theirs("OPTIMIZE {t}"),
        }
    }
}

#[test]
fn pinsql_and_spark_write_to_one_table_in_s3_in_turn() {
    let mut turns = Turns::new(s3::server());
    turns.ours("CREATE TABLE {t} (id BIGINT, n BIGINT, p STRING) PARTITIONED BY (p)");
    for round in 0..ROUNDS {
        turns.round(round);
    }
    // The location that Spark uses leads to the same table.
    let by_place = turns.environment.query(&format!("SELECT id, n FROM {} ORDER BY id", spark::at(&turns.path)));
    let wanted: Vec<Value> = turns.wanted.iter().map(|(id, n)| json!({"id": id, "n": n})).collect();
    assert_eq!(by_place, wanted);
    // Both engines see every statement in the history.
    let spark = turns.spark.history(&turns.path);
    let (optimized, written): (Vec<&Value>, Vec<&Value>) =
        spark.iter().partition(|entry| entry["operation"] == "OPTIMIZE");
    assert_eq!(written.len() as i64, 1 + 4 * ROUNDS);
    // An OPTIMIZE without anything to do makes no version.
    assert!(optimized.len() as i64 > ROUNDS / 2, "{optimized:?}");
    let ours = turns.environment.query("DESCRIBE HISTORY turns");
    let operations = |entries: &[Value]| -> Vec<Value> {
        entries.iter().map(|entry| json!([entry["version"], entry["operation"]])).collect()
    };
    assert_eq!(operations(&ours), operations(&spark));
}
