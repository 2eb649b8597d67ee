//! The Delta protocol without any table: types, properties, features, partition values, statistics, definitions and their
//! changes.
//!
//! Nothing here reads or writes a store.

pub(crate) mod alteration;
pub(crate) mod definition;
pub(crate) mod features;
pub(crate) mod float_bounds;
pub(crate) mod partition_values;
pub(crate) mod properties;
pub(crate) mod protocol;
pub(crate) mod rules;
pub(crate) mod schema;
pub(crate) mod statistics;
pub(crate) mod stored_columns;
pub(crate) mod transaction;
pub(crate) mod types;
