//! The folder of a table and its store: where it is, whether the store can commit, syncing and deleting files.

pub(crate) mod conditional_put;
pub(crate) mod delete;
pub(crate) mod durable;
pub(crate) mod lenient_log;
pub(crate) mod location;
pub(crate) mod log_store;
