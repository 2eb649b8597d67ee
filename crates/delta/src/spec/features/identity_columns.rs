//! Identity columns: a writer gives each row a new number.

use super::{Feature, ProtocolVersions};

pub(super) const FEATURE: Feature =
    Feature { versions: Some(ProtocolVersions { reader: 1, writer: 6 }), ..Feature::writer("identityColumns") };
