//! Where records come from.

pub mod objects;
pub mod peek;
pub mod rejects;
pub mod slice;
pub mod stream;
