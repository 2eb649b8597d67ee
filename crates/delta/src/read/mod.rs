//! Reading files of a table, in other ways than queries do: the change data feed, the rows that a statement changes, single
//! files.
//!
//! Queries read through deltalake's provider (`table/open.rs`).

pub(crate) mod change_feed;
pub(crate) mod conformed;
pub(crate) mod parquet_scan;
pub(crate) mod stored_file;
pub(crate) mod target_files;
pub(crate) mod target_scan;
