//! Writing data files. Nothing is committed here.

pub(crate) mod conform;
pub(crate) mod data_file;
pub(crate) mod run;
pub(crate) mod uncommitted;
pub(crate) mod write_exec;
pub(crate) mod writer;
