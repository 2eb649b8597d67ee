//! The property `delta.appendOnly`: rows may be added, and never changed or deleted.

use super::{Decision, Enablement, Feature, ProtocolVersions, Refusal, Support};

pub(super) const FEATURE: Feature = Feature {
    versions: Some(ProtocolVersions { reader: 1, writer: 2 }),
    enablement: Enablement::Properties(|properties| {
        properties.get("delta.appendOnly").is_some_and(|value| value == "true")
    }),
    support: Support { rewrite: Decision::IfEnabled(Refusal::AppendOnly), ..Support::FULL },
    ..Feature::writer("appendOnly")
};
