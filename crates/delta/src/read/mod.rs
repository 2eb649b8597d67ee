//! Reading files of a table: queries, the change data feed, the rows that a statement changes, single files.

pub(crate) mod change_feed;
pub(crate) mod column_adapter;
pub(crate) mod conformed;
pub(crate) mod deletion_vectors;
pub(crate) mod file_list;
pub(crate) mod nested;
pub(crate) mod parquet_scan;
pub(crate) mod row_counts;
pub(crate) mod stored_file;
pub(crate) mod table_scan;
pub(crate) mod target_scan;
