//! The output, the exit codes and the errors that a user sees, as snapshots of whole runs of the program.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod bad_input;
mod changes;
mod commands;
mod completions;
mod definitions;
mod dependencies;
mod docs;
mod emulate;
mod gateway;
mod isolation;
mod language;
mod manual;
mod mysql;
mod packaging;
mod places;
mod repl;
mod repl_docs;
mod scratch;
mod sinks;
mod streams;
mod terminal;
mod udf_library;
mod version;
mod views;
