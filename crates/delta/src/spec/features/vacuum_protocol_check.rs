//! VACUUM must check the protocol before it deletes files. Only VACUUM must support it, and `operations/vacuum` always checks
//! the protocol.

use super::{Feature, FeatureKind, Support};

pub(super) const FEATURE: Feature =
    Feature { kind: FeatureKind::ReaderAndWriter, support: Support::FULL, ..Feature::writer("vacuumProtocolCheck") };
