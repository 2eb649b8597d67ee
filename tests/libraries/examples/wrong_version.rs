//! A library of another version of the interface.

use pinsql_udf::abi::{Library, MAGIC};

static LIBRARY: Library =
    Library { magic: MAGIC, version: 99, crate_version: c"99.0.0".as_ptr(), functions: std::ptr::null(), functions_count: 0 };

#[unsafe(no_mangle)]
pub extern "C" fn pinsql_udf_v1() -> *const Library {
    &raw const LIBRARY
}
