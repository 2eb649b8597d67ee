//! In-commit timestamps: a commit holds its own time, so that it does not depend on the modification time of a file.
//!
//! `VERSION AS OF` and the history read them (`log/versions.rs`). Commits of pinsql do not have them yet.

use super::{Enablement, Feature};

/// The property that turns in-commit timestamps on.
pub(crate) const IN_COMMIT_TIMESTAMPS: &str = "delta.enableInCommitTimestamps";
/// The property with the first version that has one.
pub(crate) const IN_COMMIT_TIMESTAMPS_SINCE: &str = "delta.inCommitTimestampEnablementVersion";

pub(super) const FEATURE: Feature = Feature {
    enablement: Enablement::Properties(|properties| {
        properties.get(IN_COMMIT_TIMESTAMPS).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }),
    refused_property: Some((IN_COMMIT_TIMESTAMPS, "it needs writer version 7")),
    ..Feature::writer("inCommitTimestamp")
};
