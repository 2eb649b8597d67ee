//! What the Delta and storage crates report, in words for people.
//!
//! This is the one place where their errors become [`Error`]. The kind is found by walking the cause chain down to
//! the storage or the operating system, because the outer layers wrap everything alike: a full disk and a corrupt log
//! both arrive as "kernel error".

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;

use crate::error::{Error, ErrorKind};

/// An error of the Delta crates, while doing `what`: "cannot read the table default.pins".
pub fn delta_error(what: impl Into<String>, error: DeltaTableError) -> Error {
    let what = what.into();
    if let DeltaTableError::Transaction { source: TransactionError::UnsupportedTableFeatures(features) } = &error {
        let names: Vec<String> = features.iter().map(|feature| feature.to_string()).collect();
        return Error::data(format!("{what}: it uses Delta features that pinsql does not have: {}", names.join(", ")))
            .with_hint("a writer such as Spark can drop them with ALTER TABLE … DROP FEATURE");
    }
    if let DeltaTableError::Transaction { source: TransactionError::DeltaTableAppendOnly } = &error {
        return Error::data(format!("{what}: the table is append-only (delta.appendOnly = true)"));
    }
    let (kind, hint) = classify(&error).unwrap_or((ErrorKind::Internal, None));
    wrap(what, kind, hint, error)
}

/// An error of an object store or the file system behind it.
pub fn storage_error(what: impl Into<String>, error: object_store::Error) -> Error {
    let (kind, hint) = classify(&error).unwrap_or((ErrorKind::Service, None));
    wrap(what.into(), kind, hint, error)
}

/// An error met while a plan runs. One that pinsql's own nodes raised comes back as it was.
pub fn plan_error(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => external_error(inner),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => plan_error(*inner),
        DataFusionError::ArrowError(inner, _) => match *inner {
            ArrowError::ExternalError(inner) => external_error(inner),
            other => plan_failure(DataFusionError::ArrowError(Box::new(other), None)),
        },
        // A repartition hands one failure to every output, so it can only be looked at, not taken apart.
        DataFusionError::Shared(inner) => match Arc::try_unwrap(inner) {
            Ok(inner) => plan_error(inner),
            Err(inner) => shared_error(inner),
        },
        other => plan_failure(other),
    }
}

/// An error met by a writer of the table `name`: the storage's failures name the table, others are as they were.
pub(super) fn write_error(name: &str, error: DataFusionError) -> Error {
    match classify(&error) {
        Some((kind, hint)) if find::<Error>(&error).is_none() => {
            wrap(format!("cannot write the table {name}"), kind, hint, error)
        }
        _ => plan_error(error),
    }
}

fn external_error(inner: Box<dyn StdError + Send + Sync>) -> Error {
    let inner = match inner.downcast::<Error>() {
        Ok(own) => return *own,
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<DataFusionError>() {
        Ok(nested) => return plan_error(*nested),
        Err(inner) => inner,
    };
    match inner.downcast::<DeltaTableError>() {
        Ok(nested) => delta_error("the statement failed", *nested),
        Err(inner) => plan_failure(DataFusionError::External(inner)),
    }
}

fn shared_error(inner: Arc<DataFusionError>) -> Error {
    if let Some(own) = find::<Error>(inner.as_ref()) {
        let mut copy = Error::new(own.kind, own.message.clone());
        copy.span = own.span;
        copy.hint = own.hint.clone();
        return match own.source() {
            Some(cause) => copy.caused_by(cause.to_string()),
            None => copy,
        };
    }
    let (kind, hint) = plan_kind(&inner);
    wrap("the statement failed".to_owned(), kind, hint, DataFusionError::Shared(inner))
}

fn plan_failure(error: DataFusionError) -> Error {
    let (kind, hint) = plan_kind(&error);
    wrap("the statement failed".to_owned(), kind, hint, error)
}

fn plan_kind(error: &DataFusionError) -> (ErrorKind, Option<&'static str>) {
    if let Some(found) = classify(error) {
        return found;
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            (ErrorKind::Config, Some("give it more memory with --memory, or fewer partitions"))
        }
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_) => (ErrorKind::Sql, None),
        DataFusionError::ArrowError(..) | DataFusionError::ParquetError(_) | DataFusionError::Execution(_) => {
            (ErrorKind::Data, None)
        }
        _ => (ErrorKind::Internal, None),
    }
}

fn wrap(
    what: String,
    kind: ErrorKind,
    hint: Option<&'static str>,
    error: impl StdError + Send + Sync + 'static,
) -> Error {
    let wrapped = Error::new(kind, what).caused_by(error);
    match hint {
        Some(hint) => wrapped.with_hint(hint),
        None => wrapped,
    }
}

/// The kind and the hint of the cause that says most about the world outside: the operating system's word before the
/// store's, because a store wraps it.
fn classify(error: &(dyn StdError + 'static)) -> Option<(ErrorKind, Option<&'static str>)> {
    let from_system = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).find_map(classify_io);
    from_system.or_else(|| find::<object_store::Error>(error).map(classify_store))
}

fn classify_io(error: &io::Error) -> Option<(ErrorKind, Option<&'static str>)> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Some((ErrorKind::Config, Some("the user that runs pinsql must be allowed to write there")))
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Some((ErrorKind::Config, Some("choose a folder that can be written with --warehouse")))
        }
        io::ErrorKind::NotADirectory => {
            Some((ErrorKind::Config, Some("a file stands where a folder is needed; choose another --warehouse")))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some((ErrorKind::Service, Some("the disk is full: free some space and run it again")))
        }
        _ => None,
    }
}

fn classify_store(error: &object_store::Error) -> (ErrorKind, Option<&'static str>) {
    match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            (ErrorKind::Config, Some("check the credentials, and that they may read, list and write there"))
        }
        object_store::Error::NotFound { .. } => (ErrorKind::Config, Some("check that the bucket or the folder exists")),
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } => (
            ErrorKind::Config,
            Some("Delta tables need a store that can create an object only if it is absent (If-None-Match)"),
        ),
        _ => (ErrorKind::Service, None),
    }
}

/// The first error of type `E` in the cause chain, the error itself included.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref::<E>())
}

/// The error and its causes, outermost first.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |current| cause_of(*current))
}

/// An error that an I/O error carries is not its source (`source` skips it), but it is its cause.
fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(io_error) => io_error.get_ref().map(|inner| inner as _),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: io::Error) -> object_store::Error {
        object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(source) }
    }

    #[test]
    fn the_deepest_cause_decides_the_kind() {
        let full = delta_error("x", DeltaTableError::from(generic(io::ErrorKind::StorageFull.into())));
        assert_eq!((full.kind, full.hint.is_some()), (ErrorKind::Service, true));
        let readonly = delta_error("x", DeltaTableError::from(generic(io::ErrorKind::ReadOnlyFilesystem.into())));
        assert_eq!(readonly.kind, ErrorKind::Config);
        let carried = io::Error::other(generic(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(storage_error("x", generic(carried)).kind, ErrorKind::Config);
        let reset = storage_error("x", generic(io::ErrorKind::ConnectionReset.into()));
        assert_eq!(reset.kind, ErrorKind::Service);
    }

    #[test]
    fn an_error_of_our_own_comes_back_through_the_plan() {
        let own = || DataFusionError::External(Box::new(Error::data("row 7 is wrong").with_hint("mend it")));
        let direct = plan_error(own().context("while writing"));
        assert_eq!((direct.kind, direct.message.as_str()), (ErrorKind::Data, "row 7 is wrong"));

        let shared = Arc::new(own());
        let _held = shared.clone();
        let copied = plan_error(DataFusionError::Shared(shared));
        assert_eq!(copied.message, "row 7 is wrong");
        assert_eq!(copied.hint.as_deref(), Some("mend it"));
    }
}
