//! Where records come from.

pub mod objects;
pub mod rejects;
