//! What every crate of pinsql shares: errors, settings, units, SQL types, and the clients of HTTP APIs and object stores.
//!
//! This crate never reads a flag or the environment, never prints, and contains no SQL and no table format.
//!
//! The modules, in reading order:
//!
//! - [`error`]: the one error type and its codes; [`engine_error`] and [`storage_error`] convert errors of DataFusion and of object stores;
//! - [`rejects`]: the channel of records that could not be read;
//! - [`schema`]: Databricks' type names to Arrow types and back;
//! - [`settings`]: the settings that several crates read;
//! - [`units`]: durations and sizes as text;
//! - [`retry`]: delays between attempts, and a loop that retries an operation;
//! - [`store`]: local folders and S3; [`http`]: what the clients of HTTP APIs have in common.

pub mod engine_error;
pub mod error;
mod error_code;
pub mod http;
pub mod planning;
pub mod rejects;
pub mod retry;
pub mod schema;
pub mod settings;
pub mod storage_error;
pub mod store;
pub mod units;
