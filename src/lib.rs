//! pinsql runs SQL files over JSON objects and streams and keeps the results as Delta Lake tables.
//!
//! This crate is the engine and the program. The parts below it are crates of their own in `crates/`. The modules, in the order
//! in which a statement meets them:
//!
//! - [`cli`] turns flags into a config and prints the results;
//! - [`config`] is the resolved configuration;
//! - [`session`] is the one maker of an engine session;
//! - [`stream`] is the loop that runs a statement over each micro-batch;
//! - [`statement`] parses, resolves and runs;
//! - [`catalog`] finds tables;
//! - [`ledger`] accounts for every record.
//!
//! `ARCHITECTURE.md` says how they fit together and what is deliberately absent.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod ledger;
pub mod session;
pub mod statement;
pub mod stream;
mod write_path;
