//! Row tracking: each row has an id and the version of its last change.

use super::{Enablement, Feature};

const ENABLE: &str = "delta.enableRowTracking";

pub(super) const FEATURE: Feature = Feature {
    enablement: Enablement::Properties(|properties| properties.get(ENABLE).is_some_and(|value| value == "true")),
    refused_property: Some((ENABLE, "it needs writer version 7")),
    ..Feature::writer("rowTracking")
};
