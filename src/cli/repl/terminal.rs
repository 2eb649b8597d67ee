//! How large the terminal is now: a result is fitted to it when it is shown, whatever it was at the start.

use std::ffi::{c_int, c_ulong, c_ushort};
use std::io;
use std::os::fd::AsRawFd;

/// What is assumed of a terminal that does not say.
const UNKNOWN: Size = Size { columns: 80, rows: 24 };

#[cfg(target_os = "linux")]
const GET_WINDOW_SIZE: c_ulong = 0x5413;
#[cfg(not(target_os = "linux"))]
const GET_WINDOW_SIZE: c_ulong = 0x4008_7468;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// The kernel's `struct winsize`.
#[repr(C)]
#[derive(Default)]
struct WindowSize {
    rows: c_ushort,
    columns: c_ushort,
    width_px: c_ushort,
    height_px: c_ushort,
}

unsafe extern "C" {
    fn ioctl(descriptor: c_int, request: c_ulong, ...) -> c_int;
}

/// The size of the terminal that standard output is.
pub(super) fn size() -> Size {
    let mut window = WindowSize::default();
    // SAFETY: this request writes one `struct winsize`, which `window` is, and keeps no pointer to it.
    let failed = unsafe { ioctl(io::stdout().as_raw_fd(), GET_WINDOW_SIZE, &raw mut window) } != 0;
    match window {
        WindowSize { rows, columns, .. } if !failed && rows > 0 && columns > 0 => {
            Size { columns: usize::from(columns), rows: usize::from(rows) }
        }
        _ => UNKNOWN,
    }
}
