//! Refuses an operation on a table by the features of the table.

use deltalake::kernel::{Metadata, Protocol};

use super::{
    Decision, Enablement, FEATURES, Feature, FeatureKind, READER_VERSION_OF_FEATURES, Refusal, Support,
    WRITER_VERSION_OF_FEATURES, append_only, deletion_vectors, find,
};
use crate::spec::schema::parsed_schema;
use pinsql_base::error::{Error, ErrorCode, Result};

/// A kind of access to a table. See [`Support`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadChanges,
    Append,
    Rewrite,
    Optimize,
    Vacuum,
    Restore,
}

impl Access {
    /// The end of the sentence "cannot …", before the table's name.
    fn verb(self) -> &'static str {
        match self {
            Self::Read | Self::ReadChanges => "read the table",
            Self::Rewrite => "change rows of the table",
            Self::Append | Self::Optimize | Self::Vacuum | Self::Restore => "write the table",
        }
    }

    fn decision(self, support: &Support) -> Decision {
        match self {
            Self::Read => support.read,
            Self::ReadChanges => support.read_changes,
            Self::Append => support.append,
            Self::Rewrite => support.rewrite,
            Self::Optimize => support.optimize,
            Self::Vacuum => support.vacuum,
            Self::Restore => support.restore,
        }
    }
}

/// Refuses `access` to the table `name` if one of its features does not allow it. Every operation that writes also needs
/// [`Access::Append`], which the caller checks first.
pub(crate) fn require(access: Access, name: &str, protocol: &Protocol, metadata: &Metadata) -> Result<()> {
    let mut missing = Vec::new();
    for (list, listed) in [(List::Reader, reader_features(protocol)), (List::Writer, writer_features(protocol))] {
        if list == List::Writer && access == Access::Read {
            break;
        }
        for one in &listed {
            let known = find(&one.name);
            match access.decision(known.map_or(&Support::NONE, |feature| &feature.support)) {
                Decision::IfListed(refusal) => missing.push((list, one.name.clone(), refusal)),
                Decision::IfListedOrEnabled(refusal) if one.is_explicit => {
                    missing.push((list, one.name.clone(), refusal));
                }
                _ => {}
            }
        }
    }
    if let Some(error) = missing_error(access, name, &missing) {
        return Err(error);
    }
    for feature in &FEATURES {
        let (Decision::IfEnabled(refusal) | Decision::IfListedOrEnabled(refusal)) = access.decision(&feature.support)
        else {
            continue;
        };
        if is_enabled(feature, name, metadata)? {
            return Err(enabled_error(access, name, feature, refusal));
        }
    }
    Ok(())
}

/// The refusal of UPDATE, DELETE and MERGE when a data file has a deletion vector.
pub(crate) fn refuse_file_with_deletion_vector(access: Access, name: &str) -> Result<()> {
    match access.decision(&deletion_vectors::FEATURE.support) {
        Decision::IfInFile(refusal) => Err(enabled_error(access, name, &deletion_vectors::FEATURE, refusal)),
        _ => Ok(()),
    }
}

/// The refusal of a commit that removes rows from an append-only table.
pub(crate) fn refuse_removed_rows(name: &str, metadata: &Metadata) -> Result<()> {
    match is_enabled(&append_only::FEATURE, name, metadata)? {
        true => Err(enabled_error(Access::Append, name, &append_only::FEATURE, Refusal::AppendOnly)),
        false => Ok(()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Reader,
    Writer,
}

/// A feature of a protocol.
struct Listed {
    name: String,
    /// False if the protocol includes it by its version.
    is_explicit: bool,
}

fn reader_features(protocol: &Protocol) -> Vec<Listed> {
    let version = protocol.min_reader_version();
    if version >= READER_VERSION_OF_FEATURES {
        let names = protocol.reader_features().into_iter().flatten();
        return names.map(|name| Listed { name: name.to_string(), is_explicit: true }).collect();
    }
    included(|feature| {
        let is_for_readers = feature.kind == FeatureKind::ReaderAndWriter;
        is_for_readers && feature.versions.is_some_and(|versions| versions.reader <= version)
    })
}

fn writer_features(protocol: &Protocol) -> Vec<Listed> {
    let version = protocol.min_writer_version();
    if version >= WRITER_VERSION_OF_FEATURES {
        let names = protocol.writer_features().into_iter().flatten();
        return names.map(|name| Listed { name: name.to_string(), is_explicit: true }).collect();
    }
    included(|feature| feature.versions.is_some_and(|versions| versions.writer <= version))
}

fn included(is_included: impl Fn(&Feature) -> bool) -> Vec<Listed> {
    let features = FEATURES.iter().filter(|feature| is_included(feature));
    features.map(|feature| Listed { name: feature.name.to_owned(), is_explicit: false }).collect()
}

fn is_enabled(feature: &Feature, name: &str, metadata: &Metadata) -> Result<bool> {
    match feature.enablement {
        Enablement::Listed => Ok(false),
        Enablement::Properties(is_on) => Ok(is_on(metadata.configuration())),
        Enablement::Column(is_on) => Ok(parsed_schema(name, metadata)?.fields().any(is_on)),
    }
}

/// The error for features that the protocol lists.
fn missing_error(access: Access, name: &str, missing: &[(List, String, Refusal)]) -> Option<Error> {
    let names = |wanted: &dyn Fn(List, &Refusal) -> bool| -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (list, feature, refusal) in missing {
            if wanted(*list, refusal) && !names.contains(&feature.as_str()) {
                names.push(feature);
            }
        }
        names
    };
    let unsupported = |said: String| Error::new(ErrorCode::UnsupportedTableFeature, said);
    match access {
        Access::ReadChanges => {
            let all = names(&|_, _| true);
            (!all.is_empty()).then(|| changes_error(name, &all.join(", ")))
        }
        Access::Optimize | Access::Vacuum | Access::Restore => {
            let first = *names(&|_, _| true).first()?;
            let said = format!("the table {name} uses {first}, with which pinsql cannot do this");
            let hint = format!("a writer such as Spark can drop them with ALTER TABLE … DROP FEATURE {first}");
            Some(unsupported(said).with_hint(hint))
        }
        Access::Read | Access::Append | Access::Rewrite => {
            let lacks = |verb: &str, names: &str| {
                unsupported(format!("cannot {verb} {name}: it uses Delta features that pinsql does not have: {names}"))
            };
            for list in [List::Reader, List::Writer] {
                let without_hint = names(&|of, refusal| of == list && hint_of(refusal).is_none());
                if !without_hint.is_empty() {
                    let error = lacks(access.verb(), &without_hint.join(", "));
                    return Some(
                        error.with_hint("a writer such as Spark can drop them with ALTER TABLE … DROP FEATURE"),
                    );
                }
            }
            let (_, feature, refusal) = missing.first()?;
            let error = lacks(Access::Read.verb(), feature);
            Some(match hint_of(refusal) {
                Some(hint) => error.with_hint(hint),
                None => error,
            })
        }
    }
}

fn hint_of(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::Missing { hint } | Refusal::ReadOnly { hint, .. } => *hint,
        Refusal::AppendOnly => None,
    }
}

fn changes_error(name: &str, features: &str) -> Error {
    let said = format!("the changes of {name} cannot be read: the table uses {features}");
    Error::new(ErrorCode::UnsupportedTableFeature, said)
        .with_hint("the table itself can be read, at each of its versions: VERSION AS OF")
}

/// The error for a feature that the metadata or a data file uses.
fn enabled_error(access: Access, name: &str, feature: &Feature, refusal: Refusal) -> Error {
    let verb = access.verb();
    match refusal {
        Refusal::Missing { .. } if access == Access::ReadChanges => changes_error(name, feature.name),
        Refusal::Missing { .. } => {
            let said =
                format!("cannot {verb} {name}: it uses Delta features that pinsql does not have: {}", feature.name);
            Error::new(ErrorCode::UnsupportedTableFeature, said)
        }
        Refusal::ReadOnly { what, hint } => {
            let said = format!("cannot {verb} {name}: it has {what}, which pinsql reads but does not write");
            let error = Error::new(ErrorCode::UnsupportedTableFeature, said);
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        }
        Refusal::AppendOnly => {
            let said = format!("cannot {verb} {name}: the table is append-only (delta.appendOnly = true)");
            Error::new(ErrorCode::AppendOnlyTable, said)
        }
    }
}
