//! pinsql runs SQL files over JSON objects and keeps the results as Delta Lake tables.

pub mod catalog;
pub mod error;
pub mod sink;
pub mod source;
