//! Column invariants: conditions in the metadata of a column. The writer checks them (`write/conform.rs`).

use super::{Enablement, Feature, ProtocolVersions, Support};

/// The key of an invariant in the metadata of a field.
pub(crate) const INVARIANT_KEY: &str = "delta.invariants";

pub(super) const FEATURE: Feature = Feature {
    versions: Some(ProtocolVersions { reader: 1, writer: 2 }),
    enablement: Enablement::Column(|field| field.metadata().contains_key(INVARIANT_KEY)),
    support: Support::FULL,
    ..Feature::writer("invariants")
};
