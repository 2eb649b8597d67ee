//! The base of all crates of pinsql: errors, settings, units, SQL types, retries, and the clients of HTTP APIs and object stores.
//!
//! This crate never reads a flag or an environment variable of pinsql, never prints, and has no SQL statement and no table
//! format.
//!
//! The modules, in reading order:
//!
//! - [`error`]: the error type and its codes. [`engine_error`] converts errors of DataFusion, [`storage_error`] those of object
//!   stores and disks.
//! - [`rejects`]: the channel of records that could not be read.
//! - [`schema`]: Databricks' type names to Arrow types, and back.
//! - [`settings`]: settings that several crates read. [`units`]: durations and sizes as text.
//! - [`retry`]: delays between attempts, and a loop that retries an operation.
//! - [`store`]: local folders and S3. [`http`]: the common part of the clients of HTTP APIs.
//! - [`planning`]: methods of DataFusion's traits without `async_trait`, which compile faster.

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
