//! The `pinsql` program. All of it is in the library.

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

/// Decoding and hashing make many small allocations on several threads. The system allocator is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The numbers of options of mimalloc: how long freed memory stays with the process, in milliseconds; after how many requests for
/// a new page a thread gives its unused pages back; and the number of free pages that a thread keeps for each size.
const PURGE_DELAY: c_int = 15;
const GENERIC_COLLECT: c_int = 34;
const PAGE_FULL_RETAIN: c_int = 36;

/// The operation of `prctl` that switches huge pages off for a process.
#[cfg(target_os = "linux")]
const PR_SET_THP_DISABLE: c_int = 41;

unsafe extern "C" {
    /// Sets an option of mimalloc, which the allocator above links. Its crate has no function for this.
    fn mi_option_set(option: c_int, value: c_long);

    #[cfg(target_os = "linux")]
    fn prctl(operation: c_int, ...) -> c_int;
}

/// Returns freed memory to the operating system at once. Otherwise the memory of a process that runs for hours grows to several
/// times its limit. It costs some processor time, so commands that end soon do not do it.
fn return_memory_at_once() {
    for (option, value) in [(PURGE_DELAY, 0), (GENERIC_COLLECT, 1_000), (PAGE_FULL_RETAIN, 0)] {
        // SAFETY: the function takes two numbers, checks the first, and may be called at any time.
        unsafe { mi_option_set(option, value) }
    }
    // mimalloc asks for huge pages of 2 MB. A small block that is in use keeps all of its page, so freed memory does not go back.
    #[cfg(target_os = "linux")]
    {
        let (on, unused): (c_long, c_long) = (1, 0);
        // SAFETY: this operation takes four more numbers, and only changes how the system backs pages from now on. If the system
        // refuses, huge pages stay.
        unsafe { prctl(PR_SET_THP_DISABLE, on, unused, unused, unused) };
    }
}

fn main() -> ExitCode {
    // Read here: in the library, each commit would compile the library again.
    pinsql::cli::main(option_env!("PINSQL_COMMIT"), return_memory_at_once)
}
