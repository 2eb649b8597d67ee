//! VARIANT columns whose common fields are columns of their own in the files.

use super::Feature;

pub(super) const FEATURE: Feature = Feature::reader_and_writer("variantShredding");
