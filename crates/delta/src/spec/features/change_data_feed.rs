//! The property `delta.enableChangeDataFeed`: each commit records the changed rows.

use std::collections::HashMap;

use super::{Enablement, Feature, ProtocolVersions, Support};

/// The property that turns the change data feed on.
pub(crate) const CHANGE_DATA_FEED: &str = "delta.enableChangeDataFeed";

pub(super) const FEATURE: Feature = Feature {
    versions: Some(ProtocolVersions { reader: 1, writer: 4 }),
    enablement: Enablement::Properties(has_change_data_feed),
    is_added: true,
    support: Support::FULL,
    ..Feature::writer("changeDataFeed")
};

/// True if a table with these properties records the changed rows of each commit.
pub(crate) fn has_change_data_feed(properties: &HashMap<String, String>) -> bool {
    properties.get(CHANGE_DATA_FEED).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
