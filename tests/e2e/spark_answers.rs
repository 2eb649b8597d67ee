//! The answers in `tests/slt/spark` are Spark's: they are asked of Spark again.

use crate::environment::repository;
use crate::python::Script;

#[test]
fn the_conformance_suite_is_what_spark_gives() {
    let script = repository().join("tests/slt/spark/generate.py");
    Script::start(&script, &["--check"], &[]).succeed();
}
