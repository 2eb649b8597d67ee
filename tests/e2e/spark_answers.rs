//! The expected results in `tests/slt/spark` come from Spark. This test runs the statements in Spark again.

use crate::spark;

#[test]
fn the_conformance_suite_has_the_results_of_spark() {
    let differences = spark::session().conformance();
    assert!(differences.is_empty(), "{differences}");
}
