//! Where records come from.

pub mod kinesis;
pub mod objects;
pub mod rejects;
pub mod slice;
pub mod stream;
