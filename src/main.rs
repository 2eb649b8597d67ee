//! The `pinsql` program. All of it is in the library.

use std::process::ExitCode;

/// Decoding and hashing make many small allocations on several threads. The system allocator is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Read here: in the library, each commit would compile the library again.
    pinsql::cli::main(option_env!("PINSQL_COMMIT"))
}
