//! The C interface between a library and pinsql. Any change here needs a new version and a new symbol.

use std::ffi::{c_char, c_void};

use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema};

/// The symbol that a library exports: a function without arguments that returns a [`Library`]. The [`Library`] is never freed.
pub const SYMBOL: &str = "pinsql_udf_v1";

/// The version of everything in this module.
pub const VERSION: u32 = 1;

/// The first bytes of a [`Library`]: `pinsqlfn`.
pub const MAGIC: u64 = u64::from_be_bytes(*b"pinsqlfn");

/// The table of a library. The version comes first, because the other fields depend on it.
#[repr(C)]
#[derive(Debug)]
pub struct Library {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// The version of this crate, for error messages. It ends with NUL.
    pub crate_version: *const c_char,
    /// The first of `functions_count` functions.
    pub functions: *const Exported,
    /// The number of functions.
    pub functions_count: usize,
}

// SAFETY: a `Library` is never modified after its creation, and everything it points to lives as long as the process.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

/// One function. Texts are UTF-8 and end with NUL.
#[repr(C)]
#[derive(Debug)]
pub struct Exported {
    /// The name of the function.
    pub name: *const c_char,
    /// SQL types.
    pub parameters: *const *const c_char,
    /// The number of parameters.
    pub parameters_count: usize,
    /// The SQL type of the result.
    pub returns: *const c_char,
    /// A line for DESCRIBE FUNCTION.
    pub documentation: *const c_char,
    /// 0 immutable, 1 stable, 2 volatile.
    pub volatility: u32,
    /// pinsql passes it back to the library with each call.
    pub context: *const c_void,
    /// The function itself.
    pub evaluate: Evaluate,
}

/// Evaluates a function over `rows` rows. The library takes ownership of the `arguments_count` arrays in `arguments`, and of
/// their schemas in `schemas`. On success (0) it writes its array to `result` and `result_schema`, otherwise a text to `error`.
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

/// [`Evaluate`] succeeded.
pub const DONE: i32 = 0;
/// [`Evaluate`] returned an error. Its text is in `error`.
pub const FAILED: i32 = 1;
/// [`Evaluate`] caught a panic. The message is in `error`.
pub const PANICKED: i32 = 2;

/// A text that the library allocates, and frees with `release`. Empty until it is written.
#[repr(C)]
#[derive(Debug)]
pub struct ErrorText {
    /// UTF-8, without NUL at the end.
    pub bytes: *mut u8,
    /// The length in bytes.
    pub length: usize,
    /// The capacity in bytes, for `release`.
    pub capacity: usize,
    /// Frees the text. None while the text is empty.
    pub release: Option<unsafe extern "C" fn(*mut ErrorText)>,
}

impl ErrorText {
    /// An empty text.
    pub fn empty() -> Self {
        Self { bytes: std::ptr::null_mut(), length: 0, capacity: 0, release: None }
    }
}
