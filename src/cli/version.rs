//! `pinsql --version`: what this program is made of, which a report of a fault has to say.
//!
//! Libraries that tell their version are asked, since what Cargo.lock says is not what was built when someone installs without
//! `--locked`. For the others there is `build.rs`. The commit is known where the build was told it, as `make dist` does.

use std::fmt::Write as _;

/// What `--version` prints after the program's name: its version, then a line for each thing in it. `-V` prints the first line.
pub(super) fn long(commit: Option<&str>) -> String {
    let mut text = env!("CARGO_PKG_VERSION").to_owned();
    let profile = if cfg!(debug_assertions) { "unoptimized" } else { "optimized" };
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
        (
            "rdkafka",
            format!("{} (librdkafka {})", env!("PINSQL_RDKAFKA_VERSION"), pinsql_sources::kafka::library_version()),
        ),
    ];
    for (name, what) in parts {
        // Writing to a String does not fail.
        let _ = write!(text, "\n{name:<16}{what}");
    }
    text
}
