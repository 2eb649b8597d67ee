//! A library that exports the symbol of pinsql with other data behind it.

#[unsafe(no_mangle)]
pub extern "C" fn pinsql_udf_v1() -> *const [u64; 5] {
    static TABLE: [u64; 5] = [7; 5];
    &raw const TABLE
}
