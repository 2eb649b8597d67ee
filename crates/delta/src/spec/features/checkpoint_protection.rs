//! Checkpoints and log files before a version must stay, after a feature was dropped from the table.

use super::{Feature, Support};

pub(super) const FEATURE: Feature = Feature { support: Support::FULL, ..Feature::writer("checkpointProtection") };
