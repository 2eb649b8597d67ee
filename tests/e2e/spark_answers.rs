//! The answers in `tests/slt/spark` are Spark's: they are asked of Spark again.

use crate::spark;

#[test]
fn the_conformance_suite_is_what_spark_gives() {
    let differences = spark::session().conformance();
    assert!(differences.is_empty(), "{differences}");
}
