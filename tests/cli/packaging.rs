//! The parts of `make dist` that do not need a release build: the check of a program, and the archive.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::scratch::Scratch;

const PINSQL: &str = env!("CARGO_BIN_EXE_pinsql");

fn packaging(script: &str, arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(script);
    Command::new(script).args(arguments).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_program_that_needs_a_newer_glibc_is_an_error() {
    let fine = packaging("check_binary", &[PINSQL, "99.0"]);
    assert!(fine.status.success(), "{}", errors(&fine));
    let says = String::from_utf8_lossy(&fine.stdout).into_owned();
    assert!(says.contains("needs glibc 2.") && says.contains("libc.so.6"), "{says}");

    // 2.9 is older than 2.28, but a comparison of texts gives the opposite. Rust's standard library needs a newer
    // version than 2.9.
    let old = packaging("check_binary", &[PINSQL, "2.9"]);
    assert_eq!(old.status.code(), Some(1));
    assert!(errors(&old).contains("newer than 2.9:\n") && errors(&old).contains("@GLIBC_2."), "{}", errors(&old));
}

#[test]
fn a_program_that_needs_other_libraries_is_an_error() {
    let bash = packaging("check_binary", &["/bin/bash", "99.0"]);
    assert_eq!(bash.status.code(), Some(1));
    assert!(errors(&bash).contains("needs what not every Linux has: libtinfo.so.6"), "{}", errors(&bash));

    let script = packaging("check_binary", &[&format!("{}/test", env!("CARGO_MANIFEST_DIR")), "99.0"]);
    assert_eq!(script.status.code(), Some(1));
    assert!(errors(&script).contains("not a program that is linked with glibc"), "{}", errors(&script));
}

/// Packs a script that calls the program. Packing the test build of the program itself would take too long.
fn packed(scratch: &Scratch, out: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let script = scratch.file("pinsql", format!("#!/bin/sh\nexec '{PINSQL}' \"$@\"\n"));
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let out = scratch.path().join(out);
    let output = packaging("archive", &[script.to_str().unwrap(), out.to_str().unwrap()]);
    assert!(output.status.success(), "{}", errors(&output));
    out
}

#[test]
fn an_archive_is_complete_and_works_in_any_folder() {
    let scratch = Scratch::new();
    let out = packed(&scratch, "dist");
    let name = format!("pinsql-{}-{}-linux", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let script = format!("sha256sum --check --quiet {name}.tar.gz.sha256 && tar --extract --file {name}.tar.gz");
    assert!(Command::new("sh").args(["-c", &script]).current_dir(&out).status().unwrap().success());
    let folder = out.join(&name);
    let files = [
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "pinsql.toml",
        "docs/install.md",
        "sql/clean_pin.sql",
        "man/man1/pinsql.1",
        "completions/pinsql.bash",
        "completions/_pinsql",
        "completions/pinsql.fish",
    ];
    for file in files {
        assert!(std::fs::metadata(folder.join(file)).unwrap().len() > 0, "{file}");
    }
    let run = Command::new("./pinsql").args(["run", "sql/clean_pin.sql"]).current_dir(&folder).output().unwrap();
    assert!(run.status.success() && errors(&run).contains("pin_data: read 110 = written 100"), "{}", errors(&run));
}

#[test]
fn the_same_program_gives_the_same_archive() {
    let scratch = Scratch::new();
    let digest = |out: &str| {
        let mut files = std::fs::read_dir(packed(&scratch, out)).unwrap().map(|entry| entry.unwrap().path());
        let digest = files.find(|path| path.extension().is_some_and(|end| end == "sha256")).unwrap();
        std::fs::read_to_string(digest).unwrap()
    };
    let first = digest("first");
    // If the archive contained the time of a file, it would be different now.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(first, digest("second"));
}
