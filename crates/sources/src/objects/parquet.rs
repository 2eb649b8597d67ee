//! Reads Parquet with DataFusion's reader. The footers give the schema, and an error names a file that is not Parquet.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::DataFusionError;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use futures::{StreamExt, TryStreamExt, stream};

use super::bundle::DataObject;
use super::location::Location;
use super::read_ahead::Storage;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::normalize_schema;
use pinsql_base::storage_error::storage_error;

/// Inference reads this many footers, spread evenly over the listing.
const SAMPLE_FILES_MAX: usize = 1_000;

pub(super) fn format(state: &dyn Session) -> ParquetFormat {
    ParquetFormat::default().with_options(state.table_options().parquet.clone())
}

/// The name and the columns of each sampled file.
pub(super) async fn footers(
    state: &dyn Session,
    format: &ParquetFormat,
    objects: &[Arc<DataObject>],
    storage: &Storage,
) -> Result<Vec<(String, Schema)>> {
    let with_data: Vec<_> = objects.iter().filter(|object| object.meta.size > 0).collect();
    let count = with_data.len().min(SAMPLE_FILES_MAX);
    let chosen = (0..count).map(|index| with_data[index * with_data.len() / count]);
    let footers = chosen.map(|object| async move {
        let name = Location::display(&storage.url, &object.meta.location);
        match format.infer_schema(state, &storage.store, std::slice::from_ref(&object.meta)).await {
            Ok(footer) => Ok((name, normalize_schema(&footer))),
            Err(DataFusionError::ObjectStore(error)) => Err(storage_error(&format!("read {name}"), *error)),
            Err(error) => {
                Err(Error::new(ErrorCode::InvalidFile, format!("{name} cannot be read as Parquet")).caused_by(error))
            }
        }
    });
    stream::iter(footers).buffered(storage.limits.requests_max).try_collect().await
}

/// The columns of all files, merged by name.
pub(super) fn merge(footers: Vec<(String, Schema)>) -> Result<Schema> {
    let mut merged: Option<Schema> = None;
    for (name, schema) in footers {
        let merging = match merged {
            None => Ok(schema),
            Some(known) => Schema::try_merge([known, schema]),
        };
        merged = Some(merging.map_err(|error| {
            Error::new(ErrorCode::InvalidFile, format!("the columns of {name} do not fit those of the files before it"))
                .with_hint("give a schema, or read the files separately")
                .caused_by(error)
        })?);
    }
    merged.ok_or_else(|| {
        Error::new(ErrorCode::UnableToInferSchema, "no schema can be inferred: every file is empty")
            .with_hint("give one: schema => 'name TYPE, …'")
    })
}
