//! The statements on tables, one module for each.

pub(crate) mod alter;
pub(crate) mod compact;
pub(crate) mod copy_into;
pub(crate) mod drop;
pub(crate) mod maintain;
pub(crate) mod optimize;
pub(crate) mod rejects;
pub(crate) mod restore;
pub(crate) mod rewrite;
pub(crate) mod vacuum;
pub(crate) mod write;
