//! VACUUM must check the protocol before it deletes files.

use super::Feature;

pub(super) const FEATURE: Feature = Feature::reader_and_writer("vacuumProtocolCheck");
