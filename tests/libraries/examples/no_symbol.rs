//! A library for another purpose, without the symbol of pinsql.

#[unsafe(no_mangle)]
pub extern "C" fn something_else() {}
