//! The features of the Delta protocol: one file and one line in [`FEATURES`] for each.
//!
//! A feature says in which protocol versions it is, what turns it on, and what pinsql does with a table that has it. Every
//! refusal of a table by its features comes from this table, so a new capability is a change of one file here and the code that
//! it needs. The model is the table of delta-kernel-rs (`table_features/mod.rs`). The names and the versions are those of the
//! protocol (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md>).
//!
//! A feature that is not in the table cannot be read or written.
//!
//! The commit checks again (`commit/base.rs`), since the newest version may have other features. This also refuses INSERT OVERWRITE
//! on an append-only table.
//!
//! Deliberately absent: requirements of one feature on another, since pinsql adds only features that have none.

mod allow_column_defaults;
mod append_only;
mod catalog_managed;
mod change_data_feed;
mod check_constraints;
mod checkpoint_protection;
mod clustering;
mod column_mapping;
mod deletion_vectors;
mod domain_metadata;
mod generated_columns;
mod iceberg_compat;
mod identity_columns;
mod in_commit_timestamp;
mod invariants;
mod require;
mod row_tracking;
#[cfg(test)]
mod tests;
mod timestamp_ntz;
mod type_widening;
mod v2_checkpoint;
mod vacuum_protocol_check;
mod variant_shredding;
mod variant_type;

use std::collections::HashMap;

use deltalake::kernel::StructField;

pub(crate) use self::change_data_feed::{CHANGE_DATA_FEED, has_change_data_feed};
pub(crate) use self::check_constraints::CONSTRAINT_PREFIX;
pub(crate) use self::in_commit_timestamp::{IN_COMMIT_TIMESTAMPS, IN_COMMIT_TIMESTAMPS_SINCE};
pub(crate) use self::invariants::INVARIANT_KEY;
pub(crate) use self::require::{Access, refuse_file_with_deletion_vector, refuse_removed_rows, require};

/// The features that pinsql knows.
pub(crate) static FEATURES: [Feature; 24] = [
    // Features that protocol versions include.
    append_only::FEATURE,
    invariants::FEATURE,
    check_constraints::FEATURE,
    change_data_feed::FEATURE,
    column_mapping::FEATURE,
    generated_columns::FEATURE,
    identity_columns::FEATURE,
    // Features that a protocol lists by name.
    allow_column_defaults::FEATURE,
    catalog_managed::FEATURE,
    checkpoint_protection::FEATURE,
    clustering::FEATURE,
    deletion_vectors::FEATURE,
    domain_metadata::FEATURE,
    iceberg_compat::V1,
    iceberg_compat::V2,
    iceberg_compat::V3,
    in_commit_timestamp::FEATURE,
    row_tracking::FEATURE,
    timestamp_ntz::FEATURE,
    type_widening::FEATURE,
    v2_checkpoint::FEATURE,
    vacuum_protocol_check::FEATURE,
    variant_shredding::FEATURE,
    variant_type::FEATURE,
];

/// A protocol lists its reader features from this reader version on.
pub(crate) const READER_VERSION_OF_FEATURES: i32 = 3;
/// A protocol lists its writer features from this writer version on.
pub(crate) const WRITER_VERSION_OF_FEATURES: i32 = 7;

/// One feature of the protocol.
#[derive(Debug)]
pub(crate) struct Feature {
    /// The name in `readerFeatures` and `writerFeatures`. `<name>-preview` is the same feature before its release.
    pub(crate) name: &'static str,
    pub(crate) kind: FeatureKind,
    /// The protocol versions that include the feature without listing it. `None` for a feature that is always listed.
    pub(crate) versions: Option<ProtocolVersions>,
    pub(crate) enablement: Enablement,
    /// True if pinsql adds the feature to the protocol of a table that turns it on.
    pub(crate) is_added: bool,
    /// The table property that turns the feature on, if pinsql refuses to set it, and the reason.
    pub(crate) refused_property: Option<(&'static str, &'static str)>,
    pub(crate) support: Support,
}

/// Who must support a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FeatureKind {
    Writer,
    ReaderAndWriter,
}

/// The first reader and writer versions that include a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProtocolVersions {
    pub(crate) reader: i32,
    pub(crate) writer: i32,
}

/// What turns a feature on in a table whose protocol has it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Enablement {
    /// The protocol alone.
    Listed,
    /// The table properties.
    Properties(fn(&HashMap<String, String>) -> bool),
    /// A top-level column.
    Column(fn(&StructField) -> bool),
}

/// What pinsql does with a table that has a feature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Support {
    /// Queries.
    pub(crate) read: Decision,
    /// `table_changes`.
    pub(crate) read_changes: Decision,
    /// INSERT, COPY INTO, streams, CREATE OR REPLACE, ALTER TABLE. All operations below need this one too.
    pub(crate) append: Decision,
    /// UPDATE, DELETE, MERGE and INSERT … REPLACE WHERE.
    pub(crate) rewrite: Decision,
    pub(crate) optimize: Decision,
    pub(crate) vacuum: Decision,
    pub(crate) restore: Decision,
}

/// Whether an operation is possible on a table that has a feature.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Decision {
    Supported,
    /// Refused if the protocol lists the feature, or includes it by its version.
    IfListed(Refusal),
    /// Refused if the metadata turns the feature on.
    IfEnabled(Refusal),
    /// Refused if the protocol lists the feature by name, or the metadata turns it on.
    IfListedOrEnabled(Refusal),
    /// Refused if a data file of the table uses the feature. The operation checks it when it lists the files.
    IfInFile(Refusal),
}

/// Why an operation is refused. The operation makes the sentence, see [`require`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    /// The feature is not implemented. A feature that has a hint is named alone, since the hint is about it.
    Missing { hint: Option<&'static str> },
    /// The feature is implemented for readers only. The text is what the table has, such as `column mapping`.
    ReadOnly { what: &'static str, hint: Option<&'static str> },
    /// The table does not allow the operation.
    AppendOnly,
}

use Decision::{IfListed, Supported};

/// The refusal of a feature that is not implemented, with the usual hint.
const MISSING: Refusal = Refusal::Missing { hint: None };

impl Support {
    /// Every operation is supported.
    const FULL: Self = Self::up_to_append(Supported, Supported, Supported);
    /// Readers ignore the feature, and every write is refused.
    const READ_ONLY: Self = Self::up_to_append(Supported, Supported, IfListed(MISSING));
    /// Nothing is supported. `table_changes` does not check it, since it opens the table like a query.
    const NONE: Self = Self::up_to_append(IfListed(MISSING), Supported, IfListed(MISSING));

    /// Every operation on files needs what an append needs.
    const fn up_to_append(read: Decision, read_changes: Decision, append: Decision) -> Self {
        Self { read, read_changes, append, rewrite: append, optimize: append, vacuum: append, restore: append }
    }
}

impl Feature {
    /// A writer feature that is always listed, cannot be read from the metadata, and is not implemented.
    const fn writer(name: &'static str) -> Self {
        Self {
            name,
            kind: FeatureKind::Writer,
            versions: None,
            enablement: Enablement::Listed,
            is_added: false,
            refused_property: None,
            support: Support::READ_ONLY,
        }
    }

    /// The same for a feature that readers must support too.
    const fn reader_and_writer(name: &'static str) -> Self {
        Self { kind: FeatureKind::ReaderAndWriter, support: Support::NONE, ..Self::writer(name) }
    }

    /// True if `listed` is this feature, or its preview.
    pub(crate) fn is_listed_as(&self, listed: &str) -> bool {
        listed.strip_prefix(self.name).is_some_and(|rest| rest.is_empty() || rest == "-preview")
    }

    /// True if a table with these properties turns the feature on.
    pub(crate) fn is_enabled_by(&self, properties: &HashMap<String, String>) -> bool {
        matches!(self.enablement, Enablement::Properties(is_on) if is_on(properties))
    }
}

/// Returns the feature that a protocol lists under this name.
fn find(listed: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.is_listed_as(listed))
}
