//! Hands the program what only the build knows of it: the target, and the versions of libraries that do not tell theirs.
//!
//! Most libraries say their version themselves (see `src/cli/version.rs`). These do not, so theirs are what `Cargo.lock` says.

use std::error::Error;
use std::fs;

/// The packages that are asked for in `Cargo.lock`, and the variable in which the program finds the answer.
const PACKAGES: [(&str, &str); 3] = [
    ("buoyant_kernel", "PINSQL_KERNEL_VERSION"),
    ("object_store", "PINSQL_OBJECT_STORE_VERSION"),
    ("rdkafka", "PINSQL_RDKAFKA_VERSION"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock")?;
    for (package, variable) in PACKAGES {
        let version = locked_version(&lock, package).ok_or_else(|| format!("Cargo.lock has no {package}"))?;
        println!("cargo::rustc-env={variable}={version}");
    }
    let target = std::env::var_os("TARGET").ok_or("cargo gave no TARGET")?;
    println!("cargo::rustc-env=PINSQL_TARGET={}", target.display());
    let level = std::env::var_os("OPT_LEVEL").ok_or("cargo gave no OPT_LEVEL")?;
    println!("cargo::rustc-env=PINSQL_OPT_LEVEL={}", level.display());
    Ok(())
}

/// The version that the lock file gives `package`.
fn locked_version<'lock>(lock: &'lock str, package: &str) -> Option<&'lock str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| **line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}
