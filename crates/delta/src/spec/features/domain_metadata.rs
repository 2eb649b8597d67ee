//! Named JSON documents in the log, which other features use.

use super::Feature;

pub(super) const FEATURE: Feature = Feature::writer("domainMetadata");
