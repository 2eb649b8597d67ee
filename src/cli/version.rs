//! `pinsql --version`: the version and the libraries of this build, for bug reports.
//!
//! If a library has a constant with its version, that is used: Cargo.lock is wrong for an installation without `--locked`. The
//! versions of the others come from `build.rs`. The commit is known only if the build set it, as `make dist` does.

use std::fmt::Write as _;

/// The text that `--version` prints after the name of the program: the version, then a line for each part. `-V` prints the
/// first line.
pub(super) fn long(commit: Option<&str>) -> String {
    let mut text = env!("CARGO_PKG_VERSION").to_owned();
    let profile = if env!("PINSQL_OPT_LEVEL") == "0" { "unoptimized" } else { "optimized" };
    let parquet = parquet::file::properties::DEFAULT_CREATED_BY;
    let parts = [
        ("commit", commit.unwrap_or("not known").to_owned()),
        ("target", format!("{} ({profile})", env!("PINSQL_TARGET"))),
        ("datafusion", datafusion::DATAFUSION_VERSION.to_owned()),
        ("arrow", arrow::ARROW_VERSION.to_owned()),
        ("parquet", parquet.trim_start_matches("parquet-rs version ").to_owned()),
        ("deltalake-core", pinsql_delta::library_version().to_owned()),
        ("buoyant_kernel", env!("PINSQL_KERNEL_VERSION").to_owned()),
        ("object_store", env!("PINSQL_OBJECT_STORE_VERSION").to_owned()),
        ("rdkafka", rdkafka()),
    ];
    for (name, what) in parts {
        // Writing to a String does not fail.
        let _ = write!(text, "\n{name:<16}{what}");
    }
    text
}

#[cfg(feature = "kafka")]
fn rdkafka() -> String {
    format!("{} (librdkafka {})", env!("PINSQL_RDKAFKA_VERSION"), pinsql_sources::kafka::library_version())
}

#[cfg(not(feature = "kafka"))]
fn rdkafka() -> String {
    "not built in".to_owned()
}
