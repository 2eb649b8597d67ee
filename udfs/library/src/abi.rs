//! What a library and pinsql agree on, in C. A change of anything here is another version, and another symbol.

use std::ffi::{c_char, c_void};

use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema};

/// The symbol that a library exports: a function without arguments that gives a [`Library`], which lives as long as the process.
pub const SYMBOL: &str = "pinsql_udf_v1";

/// The version of everything in this module.
pub const VERSION: u32 = 1;

/// The first bytes of a [`Library`]: `pinsqlfn`.
pub const MAGIC: u64 = u64::from_be_bytes(*b"pinsqlfn");

/// What a library has. The version comes before what depends on it.
#[repr(C)]
#[derive(Debug)]
pub struct Library {
    pub magic: u64,
    pub version: u32,
    /// Of this crate, for error messages; ends with a NUL.
    pub crate_version: *const c_char,
    pub functions: *const Exported,
    pub functions_count: usize,
}

// SAFETY: a `Library` is never written to after it was made, and what it points to lives as long as the process.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

/// One function. Texts are UTF-8 and end with a NUL.
#[repr(C)]
#[derive(Debug)]
pub struct Exported {
    pub name: *const c_char,
    /// SQL types.
    pub parameters: *const *const c_char,
    pub parameters_count: usize,
    pub returns: *const c_char,
    pub documentation: *const c_char,
    /// 0 immutable, 1 stable, 2 volatile.
    pub volatility: u32,
    /// Goes back to the library with each call.
    pub context: *const c_void,
    pub evaluate: Evaluate,
}

/// Evaluates a function over `rows` rows. The library takes the `arguments_count` arrays out of `arguments`, and the schemas that say
/// their types out of `schemas`; on success (0) it puts its own into `result` and `result_schema`, otherwise a text into `error`.
pub type Evaluate = unsafe extern "C" fn(
    context: *const c_void,
    arguments: *mut FFI_ArrowArray,
    schemas: *mut FFI_ArrowSchema,
    arguments_count: usize,
    rows: usize,
    result: *mut FFI_ArrowArray,
    result_schema: *mut FFI_ArrowSchema,
    error: *mut ErrorText,
) -> i32;

/// What [`Evaluate`] returns.
pub const DONE: i32 = 0;
pub const FAILED: i32 = 1;
pub const PANICKED: i32 = 2;

/// A text that the library has made and takes back by `release`. Empty until it is put.
#[repr(C)]
#[derive(Debug)]
pub struct ErrorText {
    pub bytes: *mut u8,
    pub length: usize,
    pub capacity: usize,
    pub release: Option<unsafe extern "C" fn(*mut ErrorText)>,
}

impl ErrorText {
    pub fn empty() -> Self {
        Self { bytes: std::ptr::null_mut(), length: 0, capacity: 0, release: None }
    }
}
