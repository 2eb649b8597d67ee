//! Reads Parquet with DataFusion's reader. The footers give the schema, and an error names a file that is not Parquet.
//!
//! Names of columns that differ only in upper and lower case are one column, in one file or in several.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
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
        let schema = match &merged {
            Some(known) => respelled(&schema, known),
            None => schema,
        };
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

/// The columns of a file in the spelling of `known`. A file that has several spellings of a name keeps them.
fn respelled(file: &Schema, known: &Schema) -> Schema {
    let respell = |field: &FieldRef| match other_spelling(field.name(), known, file) {
        Some(name) => Arc::new(field.as_ref().clone().with_name(name)),
        None => field.clone(),
    };
    Schema::new(file.fields().iter().map(respell).collect::<Vec<_>>())
}

/// The spelling in `known` of a column of `file`, if it differs.
fn other_spelling(name: &str, known: &Schema, file: &Schema) -> Option<String> {
    let is_same = |field: &&FieldRef| field.name().to_lowercase() == name.to_lowercase();
    if known.index_of(name).is_ok() || file.fields().iter().filter(is_same).count() > 1 {
        return None;
    }
    known.fields().iter().find(is_same).map(|field| field.name().clone())
}

/// Makes the adapter of each file, for names that differ in case.
#[derive(Debug)]
pub(super) struct CaseAdapterFactory;

impl PhysicalExprAdapterFactory for CaseAdapterFactory {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> DataFusionResult<Arc<dyn PhysicalExprAdapter>> {
        let seen = Arc::new(respelled(&file, &table));
        let by_name = DefaultPhysicalExprAdapterFactory.create(table, seen)?;
        Ok(Arc::new(CaseAdapter { by_name, file }))
    }
}

/// The adapter of one file.
#[derive(Debug)]
struct CaseAdapter {
    /// Works with the spelling of the table.
    by_name: Arc<dyn PhysicalExprAdapter>,
    file: SchemaRef,
}

impl PhysicalExprAdapter for CaseAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let respell = |node: Arc<dyn PhysicalExpr>| {
            let column = node.downcast_ref::<Column>();
            let stored = column.and_then(|column| Some((self.file.fields().get(column.index())?, column)));
            match stored {
                Some((field, column)) if field.name() != column.name() => {
                    let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), column.index()));
                    Ok(Transformed::yes(column))
                }
                _ => Ok(Transformed::no(node)),
            }
        };
        self.by_name.rewrite(expr)?.transform_up(respell).data()
    }
}
