//! `--version` prints the versions of the libraries. They are those in Cargo.lock.

use crate::scratch::Scratch;

/// The version of a package in the lock file.
fn locked(package: &str) -> String {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let start = lock.find(&format!("name = \"{package}\"\nversion = \"")).unwrap();
    lock[start..].split('"').nth(3).unwrap().to_owned()
}

#[test]
fn the_short_form_is_one_line() {
    assert_eq!(
        Scratch::new().run(&["-V"]),
        concat!("$ pinsql -V\n--- stdout\npinsql ", env!("CARGO_PKG_VERSION"), "\n--- exit code 0\n")
    );
}

#[test]
fn the_long_form_names_the_libraries() {
    let transcript = Scratch::new().run(&["--version"]);
    let mut lines = transcript.lines().skip(2);
    assert_eq!(lines.next().unwrap(), concat!("pinsql ", env!("CARGO_PKG_VERSION")));
    let said: Vec<(&str, &str)> =
        lines.by_ref().map_while(|line| line.split_once(' ')).map(|(name, what)| (name, what.trim())).collect();
    let of = |name: &str| {
        said.iter().find(|(said, _)| *said == name).unwrap_or_else(|| panic!("no {name}:\n{transcript}")).1
    };
    for package in ["datafusion", "arrow", "parquet", "deltalake-core", "buoyant_kernel", "object_store"] {
        assert_eq!(of(package), locked(package), "{package}");
    }
    // The version of rdkafka-sys contains that of librdkafka: 4.10.0+2.12.1.
    let (_, librdkafka) = locked("rdkafka-sys").split_once('+').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(of("rdkafka"), format!("{} (librdkafka {librdkafka})", locked("rdkafka")));
    assert!(of("target").starts_with(std::env::consts::ARCH), "{transcript}");
    assert!(!of("commit").is_empty(), "{transcript}");
}
