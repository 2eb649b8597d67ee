//! The complete way in, as in `examples/local`: every post of the database's users is once in the tables of the batch
//! and of the stream, or in their rejects.

use std::path::PathBuf;
use std::process::Command;

use crate::environment::file;
use crate::python;

#[test]
fn every_acknowledged_record_is_once_in_the_tables_of_batch_and_stream() {
    let services: PathBuf = python::mariadb().parent().unwrap().into();
    let mut pipeline = Command::new(python::interpreter());
    pipeline.arg(file("examples/local/pipeline.py")).args(["--seconds", "12", "--rate", "40/s"]);
    pipeline.arg("--services").arg(services).args(["--pinsql", env!("CARGO_BIN_EXE_pinsql")]);
    let output = pipeline.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}:\n{stdout}\n{stderr}", output.status);
    assert!(stdout.contains("\nbatch and stream agree\n"), "{stdout}\n{stderr}");
}
