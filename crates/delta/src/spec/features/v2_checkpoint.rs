//! Checkpoints in several files, whose names are not fixed. deltalake reads them, and writes classic ones.

use super::{Feature, FeatureKind, Support};

pub(super) const FEATURE: Feature =
    Feature { kind: FeatureKind::ReaderAndWriter, support: Support::FULL, ..Feature::writer("v2Checkpoint") };
