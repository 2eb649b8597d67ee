//! Libraries that break the interface, one in each file of `examples/`. `tests/cli/udf_library.rs` loads them.
