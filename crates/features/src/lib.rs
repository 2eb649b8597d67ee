//! One set of features of the dependencies for every crate of the workspace. There is no code here.
//!
//! Cargo unites the features of the packages that a command selects. Without this crate, `cargo test -p pinsql-json` asks for fewer
//! features of DataFusion than `./test` does, and compiles it again; so does `cargo build` after `cargo test`. `pinsql-base` depends on
//! this crate, and all others depend on `pinsql-base`.
//!
//! `tests/runner/features` compares the features of each crate with those of the workspace, and prints what is missing here.
