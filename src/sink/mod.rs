//! Where rows go.

pub mod delta;
