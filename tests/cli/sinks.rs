//! CREATE SINK: checks and errors. Tests of the written data need a broker, and are in `tests/e2e`.

use insta::assert_snapshot;

use crate::scratch::Scratch;

const TOPIC: &str = "STREAM read_kafka(bootstrapServers => 'localhost:9092', subscribe => 'pins')";

/// The output of `pinsql check` for a sink. `TOPIC` is replaced by a topic.
fn check(sql: &str) -> String {
    let scratch = Scratch::new();
    scratch.file("raw/1.json", "{\"index\": 1}\n");
    scratch.file("sink.sql", sql.replace("FROM TOPIC", &format!("FROM {TOPIC}")));
    scratch.run(&["check", "sink.sql"])
}

#[test]
fn a_sink_is_checked_without_a_connection() {
    let options = "WITH ('flush.size' = 500, 'rotate.interval' = '30s', compression = 'gzip')";
    assert_snapshot!(
        "sink_checked",
        check(&format!("CREATE OR REFRESH SINK pins INTO 's3://lake/raw' {options} AS SELECT value FROM TOPIC"))
    );
    assert_snapshot!(
        "sink_checked_kafka",
        check(
            "CREATE SINK pins INTO 'kafka://a:9092,b:9092/clean' AS SELECT value, key FROM TOPIC WHERE value IS NOT NULL"
        )
    );
}

#[test]
fn invalid_sinks_are_errors() {
    for (name, sql) in [
        ("sink_without_place", "CREATE SINK pins AS SELECT value FROM TOPIC"),
        ("sink_without_query", "CREATE SINK pins INTO 's3://lake'"),
        ("sink_twice_over", "CREATE OR REFRESH SINK IF NOT EXISTS pins INTO 's3://lake' AS SELECT value FROM TOPIC"),
        ("sink_replace", "CREATE OR REPLACE SINK pins INTO 's3://lake' AS SELECT value FROM TOPIC"),
        ("sink_elsewhere", "CREATE SINK pins INTO 'gs://lake' AS SELECT value FROM TOPIC"),
        ("sink_into_null", "CREATE SINK pins INTO NULL AS SELECT value FROM TOPIC"),
        ("sink_into_parameter", "CREATE SINK pins INTO :into AS SELECT value FROM TOPIC"),
        ("sink_option_unknown", "CREATE SINK pins INTO 's3://lake' WITH ('flush.sise' = 3) AS SELECT value FROM TOPIC"),
        (
            "sink_option_of_connect",
            "CREATE SINK pins INTO 's3://lake' WITH ('rotate.interval.ms' = 60000) AS SELECT value FROM TOPIC",
        ),
        (
            "sink_option_twice",
            "CREATE SINK pins INTO 's3://lake' WITH ('flush.size' = 3, flush.size = 4) AS SELECT value FROM TOPIC",
        ),
        (
            "sink_option_wrong",
            "CREATE SINK pins INTO 's3://lake' WITH ('rotate.interval' = '60') AS SELECT value FROM TOPIC",
        ),
        ("sink_no_stream", "CREATE SINK pins INTO 's3://lake' AS SELECT 1 AS value"),
        (
            "sink_of_files",
            "CREATE SINK pins INTO 's3://lake' AS SELECT * FROM STREAM read_files('raw', format => 'json', schema => 'index INT')",
        ),
        ("sink_distinct", "CREATE SINK pins INTO 's3://lake' AS SELECT DISTINCT value FROM TOPIC"),
        (
            "sink_subquery",
            "CREATE SINK pins INTO 's3://lake' AS SELECT value FROM TOPIC WHERE offset < (SELECT max(index) FROM read_files('raw', format => 'json', schema => 'index INT'))",
        ),
        (
            "sink_unnest",
            "CREATE SINK pins INTO 's3://lake' AS SELECT unnest(split(CAST(value AS STRING), ',')) AS x FROM TOPIC",
        ),
        (
            "sink_join",
            "CREATE SINK pins INTO 's3://lake' AS SELECT m.value FROM TOPIC m JOIN read_files('raw', format => 'json', schema => 'index INT') r ON m.offset = r.index",
        ),
        ("sink_of_now", "CREATE SINK pins INTO 's3://lake' AS SELECT offset, current_timestamp() AS at FROM TOPIC"),
        ("sink_of_bytes", "CREATE SINK pins INTO 's3://lake' AS SELECT key, offset FROM TOPIC"),
        ("sink_two_names", "CREATE SINK pins INTO 's3://lake' AS SELECT offset AS a, partition AS a FROM TOPIC"),
        ("sink_kafka_place", "CREATE SINK pins INTO 'kafka://localhost:9092' AS SELECT value FROM TOPIC"),
        (
            "sink_kafka_option",
            "CREATE SINK pins INTO 'kafka://localhost:9092/a' WITH ('acks' = '1') AS SELECT value FROM TOPIC",
        ),
        (
            "sink_kafka_property",
            "CREATE SINK pins INTO 'kafka://localhost:9092/a' WITH ('kafka.acks' = '1') AS SELECT value FROM TOPIC",
        ),
        ("sink_kafka_column", "CREATE SINK pins INTO 'kafka://localhost:9092/a' AS SELECT value, offset FROM TOPIC"),
        ("sink_kafka_no_value", "CREATE SINK pins INTO 'kafka://localhost:9092/a' AS SELECT key FROM TOPIC"),
        ("sink_kafka_type", "CREATE SINK pins INTO 'kafka://localhost:9092/a' AS SELECT timestamp AS value FROM TOPIC"),
        (
            "sink_kinesis_place",
            "CREATE SINK pins INTO 'kinesis://a/b' AS SELECT value AS data, 'k' AS partitionKey FROM TOPIC",
        ),
        ("sink_kinesis_key", "CREATE SINK pins INTO 'kinesis://posts' AS SELECT value AS data FROM TOPIC"),
    ] {
        assert_snapshot!(name, check(sql));
    }
}

#[test]
fn a_sink_that_does_not_exist() {
    let scratch = Scratch::new();
    assert_snapshot!("sink_drop_nothing", scratch.run(&["-c", "DROP SINK pins"]));
    assert_snapshot!("sink_drop_if_exists", scratch.run(&["-c", "DROP SINK IF EXISTS pins"]));
    assert_snapshot!("sink_show_none", scratch.run(&["-c", "SHOW SINKS"]));
}
