//! Libraries that do what a library should not: each of `examples/` is one (`tests/cli/udf_library.rs`).
