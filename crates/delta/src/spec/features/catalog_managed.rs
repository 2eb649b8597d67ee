//! The catalog decides which commits are part of the table, so its log alone is not enough.

use super::Feature;

pub(super) const FEATURE: Feature = Feature::reader_and_writer("catalogManaged");
