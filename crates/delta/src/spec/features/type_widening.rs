//! Type widening: a column has a wider type than its older files.

use super::{Decision, Feature, MISSING, Support};

pub(super) const FEATURE: Feature = Feature {
    refused_property: Some(("delta.enableTypeWidening", "it needs reader version 3")),
    support: Support { read_changes: Decision::IfListed(MISSING), ..Support::NONE },
    ..Feature::reader_and_writer("typeWidening")
};
