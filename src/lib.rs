//! pinsql runs SQL files over JSON objects and streams and keeps the results as Delta Lake tables.
//!
//! The modules, in the order in which a statement meets them:
//!
//! - [`cli`] turns flags into a config and prints what comes back;
//! - [`config`] is what the user set, resolved once;
//! - [`session`] is the one maker of an engine session;
//! - [`stream`] is the loop that runs a statement over each micro-batch;
//! - [`statement`] parses, resolves and runs;
//! - [`operators`] is what plans have beside DataFusion's own nodes;
//! - [`source`] is where records come from, [`schema`] the types that SQL gives them;
//! - [`catalog`] finds tables, [`sink`] writes them;
//! - [`gateway`] is the HTTP API in front of Kafka and Kinesis;
//! - [`http`] is what the clients of HTTP APIs have in common;
//! - [`ledger`] accounts for every record;
//! - [`store`] is the local file system and S3;
//! - [`emulate`] posts records as the users of the pipeline do;
//! - [`error`] is what a person reads when any of it fails: [`engine_error`] and [`storage_error`] put the libraries' errors
//!   into it.
//!
//! `ARCHITECTURE.md` says how they fit together and what is deliberately absent.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod emulate;
pub mod engine_error;
pub mod error;
pub mod gateway;
pub mod http;
pub mod ledger;
pub mod operators;
pub mod schema;
pub mod session;
pub mod sink;
pub mod source;
pub mod statement;
pub mod storage_error;
pub mod store;
pub mod stream;
pub mod units;
