//! pinsql runs SQL files over JSON objects and streams and keeps the results as Delta Lake tables.
//!
//! This crate is the engine and the program. The crates in `crates/` are below it and do not depend on it. Only [`cli`] prints or
//! reads flags, and no other module ends the process.
//!
//! The modules, in reading order:
//!
//! - [`cli`] turns flags into a config, runs a command and prints the results;
//! - [`config`] is the resolved configuration;
//! - [`session`] creates the DataFusion session of a run;
//! - [`statement`] parses, plans and runs a statement;
//! - [`stream`] is the loop that runs a statement over each micro-batch;
//! - `write_path` is the order of every write, for statements and for streams;
//! - [`ledger`] counts what became of every record;
//! - [`catalog`] finds schemas, tables, views and functions.
//!
//! `ARCHITECTURE.md` describes how they fit together and what is deliberately absent.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod ledger;
pub mod session;
pub mod statement;
pub mod stream;
mod write_path;
