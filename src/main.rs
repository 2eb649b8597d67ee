//! The `pinsql` program. All of it is in the library.

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

/// Decoding and hashing make many small allocations on several threads. The system allocator is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of mimalloc's option `purge_delay`: how long freed memory stays with the process, in milliseconds.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    /// Sets an option of mimalloc, which the allocator above links. Its crate has no function for this.
    fn mi_option_set(option: c_int, value: c_long);
}

/// Returns freed memory to the operating system at once. Otherwise the memory of a process that runs for hours grows to several
/// times its limit. It costs some processor time, so commands that end soon do not do it.
fn return_memory_at_once() {
    // SAFETY: the function takes two numbers, checks the first, and may be called at any time.
    unsafe { mi_option_set(PURGE_DELAY, 0) }
}

fn main() -> ExitCode {
    // Read here: in the library, each commit would compile the library again.
    pinsql::cli::main(option_env!("PINSQL_COMMIT"), return_memory_at_once)
}
