//! Columns of the type TIMESTAMP_NTZ.

use super::{Feature, FeatureKind, Support};

pub(super) const FEATURE: Feature =
    Feature { kind: FeatureKind::ReaderAndWriter, support: Support::FULL, ..Feature::writer("timestampNtz") };
