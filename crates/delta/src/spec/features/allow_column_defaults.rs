//! Columns have DEFAULT values, which a writer must fill in.

use super::Feature;

pub(super) const FEATURE: Feature = Feature::writer("allowColumnDefaults");
