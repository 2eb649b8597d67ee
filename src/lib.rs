//! pinsql runs SQL files over JSON objects and keeps the results as Delta Lake tables.

pub mod error;
pub mod schema;
pub mod source;
