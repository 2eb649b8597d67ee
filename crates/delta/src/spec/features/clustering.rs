//! Liquid clustering: OPTIMIZE orders the files by the columns of CLUSTER BY.

use super::Feature;

pub(super) const FEATURE: Feature = Feature::writer("clustering");
