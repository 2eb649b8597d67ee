//! Column mapping: data files have other column names than the table, so that columns can be renamed and dropped.
//!
//! Queries map the names (`spec/stored_columns`, `read/column_adapter`). The writers do not, so a table that maps its columns is
//! read only.

use super::{Decision, Enablement, Feature, FeatureKind, MISSING, ProtocolVersions, Refusal, Support};

const MODE: &str = "delta.columnMapping.mode";

pub(super) const FEATURE: Feature = Feature {
    kind: FeatureKind::ReaderAndWriter,
    versions: Some(ProtocolVersions { reader: 2, writer: 5 }),
    enablement: Enablement::Properties(|properties| properties.get(MODE).is_some_and(|mode| mode != "none")),
    refused_property: Some((MODE, "it needs reader version 2")),
    support: Support::up_to_append(
        Decision::Supported,
        Decision::IfListedOrEnabled(MISSING),
        Decision::IfEnabled(Refusal::ReadOnly { what: "column mapping", hint: None }),
    ),
    ..Feature::writer("columnMapping")
};
