//! Converts errors of DataFusion, Arrow and Parquet.
//!
//! DataFusion wraps errors several layers deep, and its kinds ("Schema error", "External error") mean nothing to the author of
//! a query. The conversion removes the layers. It finds our own errors and errors of storage below them. Any other error gets a
//! code, a message and a hint. It works by reference, because a repartition shares one error among all of its outputs.

mod grammar;
mod replaced;
mod wording;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::common::{Column, Diagnostic, SchemaError};
use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;

pub use self::grammar::{counted, with_article};
pub use self::replaced::duplicated_query_name;
use self::replaced::replaced;
use self::wording::{cast_failure, code_of, is_wrong_call, sentence, wrong_call};
use crate::error::{Error, ErrorCode, ErrorKind, Span, nearest};
use crate::storage_error::{causes, shorten, storage_failure};

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        engine_error("run the statement", &error)
    }
}

/// Converts an error of Arrow.
pub fn arrow_error(error: ArrowError) -> Error {
    DataFusionError::from(error).into()
}

/// Converts an error of DataFusion. If storage failed, `doing` completes the sentence "cannot …": `write the table a.b`.
pub fn engine_error(doing: &str, error: &DataFusionError) -> Error {
    let converted = match causes(error).find_map(|cause| cause.downcast_ref::<Error>()) {
        Some(ours) => copy_of(ours),
        None => storage_failure(doing, error).unwrap_or_else(|| convert(unwrapped(error))),
    };
    match error.diagnostic().and_then(diagnostic_span) {
        Some(span) => converted.at(span),
        None => converted,
    }
}

/// Wraps one of our errors for a DataFusion trait. The conversion [`From`] `DataFusionError` returns it unchanged.
pub fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// True if the statement itself is wrong, so that its place in the SQL helps.
pub fn is_about_sql(error: &Error) -> bool {
    error.kind() == ErrorKind::Sql
}

/// A shared error cannot be moved. The copy keeps the texts of its causes.
fn copy_of(ours: &Error) -> Error {
    Error {
        code: ours.code,
        message: ours.message.clone(),
        span: ours.span,
        hint: ours.hint.clone(),
        source: ours.source().map(|source| Box::new(CauseText::of(source)) as _),
    }
}

/// The texts of a chain of errors.
#[derive(Debug)]
struct CauseText {
    text: String,
    cause: Option<Box<CauseText>>,
}

impl CauseText {
    fn of(error: &(dyn StdError + 'static)) -> Self {
        Self { text: error.to_string(), cause: error.source().map(|cause| Box::new(Self::of(cause))) }
    }
}

impl fmt::Display for CauseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for CauseText {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// The innermost error of DataFusion. The outer ones only wrap it.
fn unwrapped(error: &DataFusionError) -> &DataFusionError {
    let engines = causes(error).filter_map(|cause| match cause.downcast_ref::<Arc<DataFusionError>>() {
        Some(shared) => Some(shared.as_ref()),
        None => cause.downcast_ref::<DataFusionError>(),
    });
    engines.last().unwrap_or(error)
}

fn convert(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::ArrowError(inner, _) => convert_arrow(inner),
        DataFusionError::SchemaError(inner, _) => schema_error(inner),
        DataFusionError::ResourcesExhausted(message) => memory_error(message),
        DataFusionError::Plan(message) => plan_error(message),
        DataFusionError::NotImplemented(message) => {
            replaced(message).unwrap_or_else(|| match code_of(message, ErrorCode::UnsupportedFeature) {
                ErrorCode::UnsupportedFeature => Error::new(ErrorCode::UnsupportedFeature, sentence(message))
                    .with_hint("this part of SQL is not supported"),
                code => Error::new(code, sentence(message)),
            })
        }
        DataFusionError::Configuration(message) => Error::new(ErrorCode::InvalidConfiguration, sentence(message)),
        DataFusionError::Execution(message) => execution_error(message),
        DataFusionError::ExecutionJoin(inner) => {
            Error::internal("a task of the engine ended early").caused_by(shorten(&inner.to_string()))
        }
        DataFusionError::SQL(inner, _) => Error::new(ErrorCode::ParseSyntaxError, sentence(&inner.to_string())),
        DataFusionError::ParquetError(inner) => parquet_error(inner),
        DataFusionError::External(inner) => convert_external(inner.as_ref()),
        // A window that DataFusion plans inside another expression, such as a tuple before IN.
        DataFusionError::Internal(message) if message.contains("Cannot run range queries on datatype") => {
            Error::new(ErrorCode::UnsupportedFeature, "a window in this place cannot be ordered by this type")
                .with_hint("compute the window in a subquery")
        }
        other => Error::internal(sentence(&other.strip_backtrace())),
    }
}

fn convert_external(error: &(dyn StdError + Send + Sync + 'static)) -> Error {
    if let Some(arrow) = error.downcast_ref::<ArrowError>() {
        return convert_arrow(arrow);
    }
    match error.downcast_ref::<ParquetError>() {
        Some(parquet) => parquet_error(parquet),
        None => Error::internal(sentence(&error.to_string())),
    }
}

fn convert_arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::CastError(message) | ArrowError::ParseError(message) => cast_failure(message),
        ArrowError::DivideByZero => {
            Error::new(ErrorCode::DivideByZero, "division by zero").with_hint("NULLIF(divisor, 0) gives NULL instead")
        }
        ArrowError::ArithmeticOverflow(_) => Error::new(ErrorCode::ArithmeticOverflow, sentence(&error.to_string())),
        ArrowError::MemoryError(message) => memory_error(message),
        ArrowError::ExternalError(inner) => convert_external(inner.as_ref()),
        other => execution_error(&other.to_string()),
    }
}

fn execution_error(message: &str) -> Error {
    replaced(message).unwrap_or_else(|| Error::new(code_of(message, ErrorCode::ExecutionFailed), sentence(message)))
}

fn parquet_error(error: &ParquetError) -> Error {
    Error::new(ErrorCode::InvalidFile, "a Parquet file cannot be read")
        .caused_by(shorten(&sentence(&error.to_string())))
}

fn memory_error(message: &str) -> Error {
    Error::new(
        ErrorCode::OutOfMemory,
        "the memory limit is reached, and this statement cannot spill what it holds to disk",
    )
    .caused_by(shorten(message))
    .with_hint("give it more with --memory, or fewer partitions at once with --threads")
}

fn schema_error(error: &SchemaError) -> Error {
    let at_field = |failure: Error, field: &Column| match field.spans().first() {
        Some(span) => failure.at(span_of(span)),
        None => failure,
    };
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => at_field(column_not_found(field, valid_fields), field),
        SchemaError::AmbiguousReference { field } => {
            let failure = Error::new(
                ErrorCode::AmbiguousReference,
                format!("the column `{}` is ambiguous: more than one table has it", field.name),
            )
            .with_hint("put the table's name or alias before it");
            at_field(failure, field)
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new(ErrorCode::DuplicateColumn, format!("two columns are named `{name}`"))
                .with_hint("rename one with AS")
        }
    }
}

fn column_not_found(field: &Column, valid: &[Column]) -> Error {
    let error = Error::new(ErrorCode::UnresolvedColumn, format!("there is no column `{}`", field.flat_name()));
    let names = || valid.iter().map(|column| column.name.as_str());
    match nearest(&field.name, names()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None if valid.is_empty() => error.with_hint("a string is written in quotes"),
        None => error.with_hint(format!("the columns here: {}", names().collect::<Vec<_>>().join(", "))),
    }
}

/// Rewrites those messages of DataFusion's planner that are for developers.
fn plan_error(message: &str) -> Error {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    if let Some(name) = first.strip_prefix("Invalid function '").and_then(|rest| rest.split('\'').next()) {
        let error = Error::new(ErrorCode::UnresolvedRoutine, format!("there is no function `{name}`"));
        let suggestion = lines.next().and_then(|line| line.strip_prefix("Did you mean '")?.split('\'').next());
        return match suggestion {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        };
    }
    if is_wrong_call(message) {
        return wrong_call(message);
    }
    replaced(message).unwrap_or_else(|| Error::new(code_of(message, ErrorCode::InvalidStatement), sentence(message)))
}

fn diagnostic_span(diagnostic: &Diagnostic) -> Option<Span> {
    diagnostic.span.map(span_of)
}

fn span_of(span: datafusion::common::Span) -> Span {
    Span { start: (span.start.line, span.start.column), end: (span.end.line, span.end.column) }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn our_own_error_is_found_below_every_wrapper() {
        let own = || external(Error::new(ErrorCode::InvalidConfiguration, "mine").with_hint("h").caused_by("why"));
        let arrow = |error| DataFusionError::from(ArrowError::ExternalError(Box::new(error)));
        let parquet = |error| DataFusionError::from(ParquetError::External(Box::new(error)));
        let shared = Arc::new(own());
        for wrapped in [
            own(),
            own().context("outer"),
            arrow(own()).context("outer"),
            parquet(own()),
            parquet(arrow(own())),
            DataFusionError::IoError(io::Error::other(own())),
            DataFusionError::Collection(vec![own()]),
            DataFusionError::Shared(Arc::clone(&shared)),
            DataFusionError::External(Box::new(shared)),
        ] {
            let text = format!("{wrapped:?}");
            let error = Error::from(wrapped);
            let converted = (error.kind(), error.message.as_str(), error.hint.as_deref());
            assert_eq!(converted, (ErrorKind::Config, "mine", Some("h")), "{text}");
            assert_eq!(error.source.unwrap().to_string(), "why", "{text}");
        }
    }

    #[test]
    fn storage_is_found_below_the_engine() {
        let full = || object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
        };
        for wrapped in [
            DataFusionError::from(full()),
            DataFusionError::from(ParquetError::External(Box::new(full()))),
            DataFusionError::from(ParquetError::External(Box::new(io::Error::other(full())))),
            DataFusionError::Shared(Arc::new(DataFusionError::from(full()).context("outer"))),
            DataFusionError::IoError(io::ErrorKind::StorageFull.into()),
        ] {
            let converted = engine_error("write the table default.t", &wrapped);
            assert_eq!(converted.kind(), ErrorKind::Service);
            assert_eq!(converted.message, "cannot write the table default.t: the disk is full");
        }
    }

    #[test]
    fn a_failed_cast_has_the_same_text_shared_or_not() {
        let cast = || {
            let message = "Cannot cast string 'First' to value of Int32 type".to_owned();
            DataFusionError::from(ArrowError::CastError(message))
        };
        for error in [cast(), DataFusionError::Shared(Arc::new(cast())), DataFusionError::External(Box::new(cast()))] {
            let converted = Error::from(error);
            assert_eq!(
                (converted.kind(), converted.message.as_str()),
                (ErrorKind::Data, "cannot cast the string 'First' to INT")
            );
            assert!(converted.hint.unwrap().contains("TRY_CAST"));
        }
    }
}
