//! Deletion vectors: bitmaps of the deleted rows of a file, in place of a new file.
//!
//! Queries apply them (`read/deletion_vectors`). What works on files alone (OPTIMIZE, VACUUM, RESTORE) refuses every table that
//! may have them. UPDATE, DELETE and MERGE refuse a table only if one of its files has one.

use super::{Decision, Feature, FeatureKind, MISSING, Refusal, Support};

pub(super) const FEATURE: Feature = Feature {
    kind: FeatureKind::ReaderAndWriter,
    refused_property: Some(("delta.enableDeletionVectors", "it needs reader version 3")),
    support: Support {
        read_changes: Decision::IfListed(MISSING),
        rewrite: Decision::IfInFile(Refusal::ReadOnly {
            what: "deletion vectors",
            hint: Some("a writer such as Spark takes them out with REORG TABLE … APPLY (PURGE)"),
        }),
        optimize: Decision::IfListed(MISSING),
        vacuum: Decision::IfListed(MISSING),
        restore: Decision::IfListed(MISSING),
        ..Support::FULL
    },
    ..Feature::writer("deletionVectors")
};
