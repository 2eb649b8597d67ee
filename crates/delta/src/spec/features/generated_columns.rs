//! Generated columns: a writer computes their values from an expression.

use super::{Decision, Enablement, Feature, ProtocolVersions, Refusal, Support};

/// The key of the expression in the metadata of a field.
const GENERATION_KEY: &str = "delta.generationExpression";

pub(super) const FEATURE: Feature = Feature {
    versions: Some(ProtocolVersions { reader: 1, writer: 4 }),
    enablement: Enablement::Column(|field| field.metadata().contains_key(GENERATION_KEY)),
    support: Support::up_to_append(
        Decision::Supported,
        Decision::Supported,
        Decision::IfEnabled(Refusal::ReadOnly { what: "generated columns", hint: None }),
    ),
    ..Feature::writer("generatedColumns")
};
