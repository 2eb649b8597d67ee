//! Where records come from.

pub mod objects;
pub mod places;
pub mod rejects;
pub mod slice;
pub mod stream;
