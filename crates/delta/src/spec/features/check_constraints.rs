//! CHECK constraints: conditions that every row must meet. The writer checks them (`write/conform.rs`).

use super::{Enablement, Feature, ProtocolVersions, Support};

/// The prefix of the properties that hold CHECK constraints.
pub(crate) const CONSTRAINT_PREFIX: &str = "delta.constraints.";

pub(super) const FEATURE: Feature = Feature {
    versions: Some(ProtocolVersions { reader: 1, writer: 3 }),
    enablement: Enablement::Properties(|properties| properties.keys().any(|key| key.starts_with(CONSTRAINT_PREFIX))),
    is_added: true,
    support: Support::FULL,
    ..Feature::writer("checkConstraints")
};
