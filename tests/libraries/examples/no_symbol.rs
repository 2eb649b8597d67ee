//! A library of something else.

#[unsafe(no_mangle)]
pub extern "C" fn something_else() {}
