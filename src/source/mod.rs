//! Where records come from.

pub mod rejects;
