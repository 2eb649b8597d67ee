//! Libraries of users: the example works, and broken libraries are errors that do not end the process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use insta::assert_snapshot;

use crate::scratch::Scratch;

/// The folder of the libraries. They are built once for all tests, as separate crates like those of users.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("udf_libraries");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (package, what) in [("examples/udf_library", "--lib"), ("tests/libraries", "--examples")] {
            let output = Command::new(env!("CARGO"))
                .args(["build", "--offline", "--quiet", what, "--manifest-path"])
                .arg(repository.join(package).join("Cargo.toml"))
                .env("CARGO_TARGET_DIR", &target)
                .env_remove("RUSTC_WORKSPACE_WRAPPER")
                .output()
                .unwrap();
            assert!(output.status.success(), "{package}: {}", String::from_utf8_lossy(&output.stderr));
        }
        target.join("debug")
    })
}

fn file_of(folder: &Path, library: &str) -> String {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    folder.join(format!("{prefix}{library}{suffix}")).display().to_string()
}

fn example() -> String {
    file_of(built(), "my_functions")
}

fn broken(library: &str) -> String {
    file_of(&built().join("examples"), library)
}

/// Runs SQL with the library as `library.so` in the same folder, so that errors show the same name on every machine.
fn run(scratch: &Scratch, library: &str, sql: &str) -> String {
    std::fs::copy(library, scratch.path().join("library.so")).unwrap();
    run_without(scratch, sql)
}

fn run_without(scratch: &Scratch, sql: &str) -> String {
    scratch.file("library.sql", sql);
    scratch.run(&["run", "library.sql", "--format", "csv"])
}

#[test]
fn sql_calls_the_functions_of_the_example() {
    let scratch = Scratch::new();
    let records =
        [r#"{"t": "tea", "a": 1, "b": 2}"#, r#"{"t": "bun", "a": 3, "b": 2}"#, r#"{"t": null, "a": 0, "b": 7}"#];
    scratch.file("in.json", format!("{}\n", records.join("\n")));
    let sql = "CREATE FUNCTION shout USING LIBRARY 'library.so';
CREATE TEMPORARY FUNCTION share AS 'ratio' USING LIBRARY 'library.so';
SELECT Shout('a' || 'b') AS constant, share(1, '4') AS quarter, session.shout('x') AS of_session, shout(CAST(NULL AS STRING)) AS nothing;
CREATE TABLE shares AS SELECT shout(t) AS t, share(a, b) AS s FROM read_files('in.json', schema => 't STRING, a INT, b INT');
SELECT * FROM shares ORDER BY s;
SELECT position, reason FROM shares_rejects;
DESCRIBE FUNCTION shout;
SHOW USER FUNCTIONS;
DROP TEMPORARY FUNCTION shout;
SELECT shout('gone');
";
    assert_snapshot!("udf_library", run(&scratch, &example(), sql));
}

#[test]
fn broken_libraries_are_errors() {
    let scratch = Scratch::new();
    let mut runs = Vec::new();
    let mut check = |library: &str, sql: &str| runs.push(run(&scratch, library, sql));
    check(&broken("wrong_version"), "CREATE FUNCTION f USING LIBRARY 'library.so';");
    check(&broken("other_table"), "CREATE FUNCTION f USING LIBRARY 'library.so';");
    check(&broken("panics_at_once"), "CREATE FUNCTION f USING LIBRARY 'library.so';");
    check(&example(), "CREATE FUNCTION shut USING LIBRARY 'library.so';");
    check(&example(), "CREATE FUNCTION f USING LIBRARY 'library.so';");
    check(&example(), "CREATE FUNCTION upper AS 'shout' USING LIBRARY 'library.so';");
    check(&example(), "CREATE FUNCTION silver.shout USING LIBRARY 'library.so';");
    check(
        &example(),
        "CREATE FUNCTION shout USING LIBRARY 'library.so';\nCREATE FUNCTION shout USING LIBRARY 'library.so';",
    );
    check(&example(), "CREATE FUNCTION shout USING LIBRARY 'library.so';\nSELECT shout('a', 'b');");
    check(&example(), "CREATE FUNCTION shout USING JAR 'library.so';");
    check(&example(), "CREATE FUNCTION f USING LIBRARY 's3://bucket/library.so';");
    check(&example(), "CREATE FUNCTION f USING LIBRARY 'nowhere/library.so';");
    check(&broken("faults"), "CREATE FUNCTION unknown_type USING LIBRARY 'library.so';");
    assert_snapshot!("udf_library_broken", runs.join("\n"));
}

/// The message of the system's loader is not compared, because it differs between systems.
#[test]
fn a_file_that_is_not_a_library_of_functions_is_an_error() {
    let scratch = Scratch::new();
    scratch.file("library.so", "this is no library\n");
    let said = run_without(&scratch, "CREATE FUNCTION f USING LIBRARY 'library.so';");
    assert!(said.contains("error[INVALID_LIBRARY]: library.so cannot be loaded as a library"), "{said}");
    assert!(said.contains("exit code 1"), "{said}");
    let said = run(&scratch, &broken("no_symbol"), "CREATE FUNCTION f USING LIBRARY 'library.so';");
    let no_functions = "error[INVALID_LIBRARY]: the library library.so has no functions for this version of pinsql";
    assert!(said.contains(no_functions), "{said}");
    assert!(said.contains("it does not export `pinsql_udf_v1`"), "{said}");
}

#[test]
fn functions_that_break_the_interface_are_errors() {
    let scratch = Scratch::new();
    let mut runs = Vec::new();
    for function in ["panics", "fails", "short", "long", "other_type", "not_utf8"] {
        let sql = format!(
            "CREATE FUNCTION {function} USING LIBRARY 'library.so';\nSELECT {function}(t) AS t FROM VALUES ('good'), ('bad') AS v (t);"
        );
        runs.push(run(&scratch, &broken("faults"), &sql));
    }
    assert_snapshot!("udf_library_faults", runs.join("\n"));
    let sql = "CREATE FUNCTION no_arguments USING LIBRARY 'library.so';
SELECT no_arguments() AS n FROM VALUES ('a'), ('b') AS v (t);";
    assert_snapshot!("udf_library_volatile", run(&scratch, &broken("faults"), sql));
}

/// The process continues, the bad record is rejected, and the other records are written.
#[test]
fn a_record_on_which_a_function_panics_is_rejected() {
    let scratch = Scratch::new();
    scratch.file("in.json", "{\"t\": \"good\"}\n{\"t\": \"bad\"}\n{\"t\": \"better\"}\n");
    let sql = "CREATE FUNCTION panics USING LIBRARY 'library.so';
CREATE TABLE checked AS SELECT panics(t) AS t FROM read_files('in.json', schema => 't STRING');
SELECT t FROM checked ORDER BY t;
SELECT position, reason FROM checked_rejects;
";
    assert_snapshot!("udf_library_panic", run(&scratch, &broken("faults"), sql));
}
