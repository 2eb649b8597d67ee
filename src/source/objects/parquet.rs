//! Parquet through DataFusion's reader: its footers give the schema, and a file that is no Parquet is named.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use futures::{StreamExt, TryStreamExt, stream};

use super::bundle::DataObject;
use super::location::Location;
use super::read_ahead::Storage;
use crate::error::{Error, Result};
use crate::schema::normalize_schema;

/// Inference looks at this many footers, spread over the listing.
const SAMPLE_FILES_MAX: usize = 1_000;

pub(super) fn format(state: &dyn Session) -> ParquetFormat {
    ParquetFormat::default().with_options(state.table_options().parquet.clone())
}

pub(super) async fn infer_schema(
    state: &dyn Session,
    format: &ParquetFormat,
    objects: &[Arc<DataObject>],
    storage: &Storage,
) -> Result<Schema> {
    let with_data: Vec<_> = objects.iter().filter(|object| object.meta.size > 0).collect();
    let count = with_data.len().min(SAMPLE_FILES_MAX);
    let footers = (0..count).map(|index| with_data[index * with_data.len() / count]).map(|object| async move {
        let name = || Location::display(&storage.url, &object.meta.location);
        let footer = format.infer_schema(state, &storage.store, std::slice::from_ref(&object.meta)).await;
        let footer =
            footer.map_err(|error| Error::data(format!("{} cannot be read as Parquet", name())).caused_by(error))?;
        Ok((name(), normalize_schema(&footer)))
    });
    let schemas: Vec<(String, Schema)> =
        stream::iter(footers).buffered(storage.limits.requests_max).try_collect().await?;
    let mut merged: Option<Schema> = None;
    for (name, schema) in schemas {
        let merging = match merged {
            None => Ok(schema),
            Some(known) => Schema::try_merge([known, schema]),
        };
        merged = Some(merging.map_err(|error| {
            Error::data(format!("the columns of {name} do not fit those of the files before it"))
                .with_hint("give a schema, or read them apart")
                .caused_by(error)
        })?);
    }
    merged.ok_or_else(|| {
        Error::data("no schema can be inferred: every file is empty").with_hint("give one: schema => 'name TYPE, …'")
    })
}
