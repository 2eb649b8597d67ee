//! An opened table: its snapshots, the shape of its files, what DESCRIBE shows, and the handle that a stream keeps.

pub(crate) mod describe;
pub(crate) mod handle;
pub(crate) mod live_files;
pub(crate) mod open;
pub(crate) mod shape;
pub(crate) mod upkeep;
