//! Where records come from.

pub mod kafka;
pub mod kinesis;
pub mod mysql;
pub mod objects;
pub mod operators;
pub mod peek;
pub mod places;
pub mod slice;
pub mod stream;
