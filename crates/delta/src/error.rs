//! Turns errors of the Delta crates into errors for users.
//!
//! Failures of storage and engine get the same texts as everywhere else (`pinsql_base`). Only errors about the table itself get
//! their texts here.

use std::error::Error as StdError;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;

use pinsql_base::engine_error::engine_error;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::storage_error::{causes, shorten, storage_failure};

/// Converts an error of the Delta crates. `doing` completes the sentence "cannot …", such as `read the table default.pins`.
pub fn delta_error(doing: &str, error: DeltaTableError) -> Error {
    if let DeltaTableError::Transaction { source: TransactionError::UnsupportedTableFeatures(features) } = &error {
        let names: Vec<String> = features.iter().map(|feature| feature.to_string()).collect();
        let said = format!("cannot {doing}: it uses Delta features that pinsql does not have: {}", names.join(", "));
        return Error::new(ErrorCode::UnsupportedTableFeature, said)
            .with_hint("a writer such as Spark can drop them with ALTER TABLE … DROP FEATURE");
    }
    if let Some(told) = storage_failure(doing, &error).or_else(|| storage_failure(doing, below_kernel(&error)?)) {
        return told;
    }
    if let Some(engine) = causes(&error).find_map(|cause| cause.downcast_ref::<DataFusionError>()) {
        return engine_error(doing, engine);
    }
    Error::new(code_of(&error), format!("cannot {doing}")).caused_by(shorten(&plain(&error.to_string())))
}

/// The storage error inside a kernel error, which does not return it as its source.
fn below_kernel<'a>(error: &'a DeltaTableError) -> Option<&'a (dyn StdError + 'static)> {
    match kernel_error(error)? {
        delta_kernel::Error::ObjectStore(storage) => Some(storage),
        delta_kernel::Error::IOError(system) => Some(system),
        _ => None,
    }
}

/// The kernel error that caused an error, without its backtrace.
fn kernel_error(error: &DeltaTableError) -> Option<&delta_kernel::Error> {
    let mut kernel = causes(error).find_map(|cause| cause.downcast_ref::<delta_kernel::Error>())?;
    while let delta_kernel::Error::Backtraced { source, .. } = kernel {
        kernel = source;
    }
    Some(kernel)
}

/// Carries an error through DataFusion.
pub(crate) fn external(error: impl Into<Box<dyn StdError + Send + Sync>>) -> DataFusionError {
    DataFusionError::External(error.into())
}

/// The table `name` does not exist.
pub(crate) fn table_not_found(name: &str) -> Error {
    Error::new(ErrorCode::TableOrViewNotFound, format!("there is no table {name}"))
}

/// CREATE TABLE meets a table that exists.
pub(crate) fn table_already_exists(name: &str) -> Error {
    Error::new(ErrorCode::TableOrViewAlreadyExists, format!("the table {name} already exists"))
        .with_hint("CREATE OR REPLACE TABLE replaces it, CREATE TABLE IF NOT EXISTS leaves it")
}

/// The log no longer has the version that a write is built on.
pub(crate) fn base_version_gone(name: &str) -> Error {
    Error::new(
        ErrorCode::ConcurrentWrite,
        format!("the log of {name} no longer has the version that this write is built on"),
    )
    .with_hint("the table was replaced, or so many versions came after it that the log was cleaned; run it again")
}

/// Converts an error of a writer of the table `name`.
pub(crate) fn write_error(name: &str, error: &DataFusionError) -> Error {
    engine_error(&format!("write the table {name}"), error)
}

/// Invalid content of a log is a fault of the data. Other errors are faults of pinsql.
fn code_of(error: &DeltaTableError) -> ErrorCode {
    match error {
        _ if matches!(kernel_error(error), Some(delta_kernel::Error::Unsupported(_))) => {
            ErrorCode::UnsupportedTableFeature
        }
        DeltaTableError::KernelError(_)
        | DeltaTableError::Kernel { .. }
        | DeltaTableError::Parquet { .. }
        | DeltaTableError::Arrow { source: ArrowError::JsonError(_) | ArrowError::ParseError(_) }
        | DeltaTableError::InvalidJsonLog { .. }
        | DeltaTableError::InvalidStatsJson { .. }
        | DeltaTableError::InvalidVersion(_)
        | DeltaTableError::InvalidData { .. }
        | DeltaTableError::NotATable(_)
        | DeltaTableError::NoSchema
        | DeltaTableError::PartitionError { .. }
        | DeltaTableError::MetadataError(_)
        | DeltaTableError::UnsupportedColumnMapping { .. } => ErrorCode::InvalidDeltaLog,
        _ => ErrorCode::Internal,
    }
}

/// Removes the names of the layers that an error passed.
fn plain(message: &str) -> String {
    const LAYERS: [&str; 9] = [
        "Kernel error: ",
        "Kernel: ",
        "Generic DeltaTable error: ",
        "Generic delta kernel error: ",
        "Generic error: ",
        "Arrow error: ",
        "Json error: ",
        "Parquet error: ",
        "External: ",
    ];
    let mut text = message.trim();
    while let Some(rest) = LAYERS.iter().find_map(|layer| text.strip_prefix(layer)) {
        text = rest;
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use std::io;

    use pinsql_base::error::ErrorKind;

    use super::*;

    #[test]
    fn storage_and_engine_errors_have_the_usual_texts() {
        let generic = |kind: io::ErrorKind| object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::from(kind)),
        };
        let full = delta_error("write the table t", DeltaTableError::from(generic(io::ErrorKind::StorageFull)));
        assert_eq!(
            (full.kind(), full.message.as_str()),
            (ErrorKind::Service, "cannot write the table t: the disk is full")
        );
        let lost = delta_error("write the table t", DeltaTableError::from(generic(io::ErrorKind::ConnectionReset)));
        assert_eq!(lost.kind(), ErrorKind::Service);
        let carried = DataFusionError::External(Box::new(Error::new(ErrorCode::InvalidValue, "row 7 is wrong")));
        let own = delta_error("x", DeltaTableError::GenericError { source: Box::new(carried) });
        assert_eq!(own.message, "row 7 is wrong");
    }

    #[test]
    fn a_broken_log_is_the_fault_of_the_data() {
        let broken = delta_error("read the table t", DeltaTableError::MetadataError("two\nlines".to_owned()));
        assert_eq!((broken.kind(), broken.message.as_str()), (ErrorKind::Data, "cannot read the table t"));
        assert_eq!(broken.source.unwrap().to_string(), "Table metadata is invalid: two");
    }
}
