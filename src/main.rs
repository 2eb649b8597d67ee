//! The `pinsql` program: everything is in the library.

use std::process::ExitCode;

/// Decoding and hashing allocate many small pieces from several threads, which the system allocator does slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Read here and not in the library, which would be compiled again for each commit.
    pinsql::cli::main(option_env!("PINSQL_COMMIT"))
}
