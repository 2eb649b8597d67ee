//! Where rows go.

pub mod delta;
pub mod kafka;
pub mod kinesis;
