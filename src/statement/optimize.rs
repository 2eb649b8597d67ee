//! OPTIMIZE (<https://docs.databricks.com/en/sql/language-manual/delta-optimize.html>).

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::DFSchema;
use datafusion::physical_plan::PhysicalExpr;
use serde_json::{Value, json};
use sqlparser::ast::{Expr, ExprWithAlias, Ident};

use super::ast::{Name, Optimize};
use super::query::parameters;
use super::rows::Rows;
use super::{Checked, object_names};
use crate::session::Session;
use crate::session::coercion::SparkCoercion;
use crate::statement::walk;
use pinsql_base::engine_error::with_article;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_delta::{self as delta, OptimizeRequest, Optimized, optimize, partition_schema};

const COLUMNS: &str = "path: STRING, metrics: STRUCT<numFilesAdded: BIGINT, numFilesRemoved: BIGINT, \
    filesAdded: STRUCT<min: BIGINT, max: BIGINT, avg: DOUBLE, totalFiles: BIGINT, totalSize: BIGINT>, \
    filesRemoved: STRUCT<min: BIGINT, max: BIGINT, avg: DOUBLE, totalFiles: BIGINT, totalSize: BIGINT>, \
    partitionsOptimized: BIGINT, \
    zOrderStats: STRUCT<strategyName: STRING, inputCubeFiles: STRUCT<num: BIGINT, size: BIGINT>, \
    inputOtherFiles: STRUCT<num: BIGINT, size: BIGINT>, inputNumCubes: BIGINT, mergedFiles: STRUCT<num: BIGINT, size: BIGINT>, \
    numOutputCubes: BIGINT, mergedNumCubes: BIGINT>, \
    numBatches: BIGINT, totalConsideredFiles: BIGINT, totalFilesSkipped: BIGINT, preserveInsertionOrder: BOOLEAN, \
    numFilesSkippedToReduceWriteAmplification: BIGINT, numBytesSkippedToReduceWriteAmplification: BIGINT, \
    startTimeMs: BIGINT, endTimeMs: BIGINT>";

pub(super) async fn execute(session: &Session, statement: &Optimize) -> Result<Rows> {
    object_names::refuse_temporary_view(session, &statement.table, "OPTIMIZE")?;
    let name = statement.table.table(session)?;
    let place = |error: Error| error.at(statement.table.span);
    let (location, table) = session.warehouse().open_table(&name).await.map_err(place)?;
    let partition_columns = partition_schema(&location, &table).map_err(place)?;
    let definition = delta::definition(&location, &table)?;
    let request = OptimizeRequest {
        partitions: predicate(session, statement, &partition_columns)?,
        predicate: statement.predicate.as_ref().map(ToString::to_string),
        z_order_by: statement
            .z_order_by
            .iter()
            .map(|column| column_path(column, &definition.schema()))
            .collect::<Result<_>>()?,
    };
    let is_z_order = !request.z_order_by.is_empty();
    let optimized = optimize(&location, request, &session.state()).await.map_err(place)?;
    for warning in &optimized.warnings {
        tracing::warn!(table = %name, "{warning}");
    }
    let path = location.url().as_str().trim_end_matches('/');
    Rows::typed(COLUMNS, &[json!({ "path": path, "metrics": metrics(&optimized, is_z_order) })])
}

pub(super) async fn check(session: &Session, statement: &Optimize) -> Result<Checked> {
    let name = statement.table.table(session)?;
    let opened = session.open_table(&name).await.map_err(|error| error.at(statement.table.span))?;
    for column in &statement.z_order_by {
        column_path(column, &opened.schema())?;
    }
    Ok(Checked::NoOutput)
}

/// The condition over the partition columns, as a physical expression.
fn predicate(session: &Session, statement: &Optimize, columns: &Arc<Schema>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(written) = &statement.predicate else { return Ok(None) };
    let mut expr = written.clone();
    parameters::bind(&mut expr, &session.params())?;
    let spell = |ident: &mut Ident| {
        let known = columns.fields().iter().find(|field| field.name().eq_ignore_ascii_case(&ident.value));
        match known {
            Some(field) => {
                ident.value.clone_from(field.name());
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(no_partition_column(ident, columns)),
        }
    };
    let spelled = walk::rewrite_expressions(&mut expr, |expr| match expr {
        Expr::Identifier(ident) => spell(ident),
        Expr::CompoundIdentifier(parts) => match parts.as_mut_slice() {
            // The name of the table before the column is redundant.
            [.., column] => {
                spell(column)?;
                *expr = Expr::Identifier(column.clone());
                ControlFlow::Continue(())
            }
            [] => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    });
    if let ControlFlow::Break(error) = spelled {
        return Err(error);
    }
    let state = session.state();
    let schema = DFSchema::try_from(columns.as_ref().clone())?;
    let place = |error: datafusion::error::DataFusionError| Error::from(error).at(statement.table.span);
    let logical = state
        .create_logical_expr_from_sql_expr(ExprWithAlias { expr, alias: None }, &schema)
        .and_then(|logical| SparkCoercion::new().coerce_expression(logical, &schema))
        .and_then(|logical| state.create_physical_expr(logical, &schema))
        .map_err(place)?;
    match logical.data_type(columns).map_err(place)? {
        DataType::Boolean => Ok(Some(logical)),
        other => Err(Error::new(
            ErrorCode::InvalidCondition,
            format!("the WHERE of OPTIMIZE is {}, and not a condition", with_article(&delta::sql_name(&other))),
        )
        .at(statement.table.span)),
    }
}

fn no_partition_column(ident: &Ident, columns: &Schema) -> Error {
    let error = Error::new(
        ErrorCode::InvalidCondition,
        format!("OPTIMIZE … WHERE can name partition columns only, and `{}` is none", ident.value),
    );
    let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
    let error = error.at(ident.span);
    match names.as_slice() {
        [] => error.with_hint("the table is not partitioned: leave the WHERE out"),
        names => error.with_hint(format!("the partition columns are {}", names.join(", "))),
    }
}

/// The dotted path of a column, in the case of the table.
fn column_path(name: &Name, schema: &Schema) -> Result<String> {
    let mut path = Vec::new();
    let mut fields = schema.fields().clone();
    for part in &name.parts {
        let Some(field) = fields.iter().find(|field| field.name().eq_ignore_ascii_case(&part.value)).cloned() else {
            let error =
                Error::new(ErrorCode::UnresolvedColumn, format!("ZORDER BY: there is no column `{}`", part.value))
                    .at(name.span);
            return Err(match nearest(&part.value, fields.iter().map(|field| field.name().as_str())) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error,
            });
        };
        path.push(field.name().clone());
        fields = match field.data_type() {
            DataType::Struct(fields) => fields.clone(),
            _ => arrow::datatypes::Fields::empty(),
        };
    }
    Ok(path.join("."))
}

fn metrics(optimized: &Optimized, is_z_order: bool) -> Value {
    let count = |files: &[u64]| json!({ "num": files.len(), "size": files.iter().sum::<u64>() });
    let z_order = is_z_order.then(|| {
        json!({
            "strategyName": "all",
            "inputCubeFiles": count(&[]),
            "inputOtherFiles": count(&optimized.removed),
            "inputNumCubes": 0,
            "mergedFiles": count(&optimized.removed),
            "numOutputCubes": optimized.partitions,
            "mergedNumCubes": null,
        })
    });
    json!({
        "numFilesAdded": optimized.added.len(),
        "numFilesRemoved": optimized.removed.len(),
        "filesAdded": sizes(&optimized.added),
        "filesRemoved": sizes(&optimized.removed),
        "partitionsOptimized": optimized.partitions,
        "zOrderStats": z_order,
        "numBatches": optimized.batches,
        "totalConsideredFiles": optimized.considered,
        "totalFilesSkipped": optimized.skipped,
        "preserveInsertionOrder": !is_z_order,
        "numFilesSkippedToReduceWriteAmplification": 0,
        "numBytesSkippedToReduceWriteAmplification": 0,
        "startTimeMs": optimized.started_ms,
        "endTimeMs": optimized.ended_ms,
    })
}

fn sizes(files: &[u64]) -> Value {
    let total: u64 = files.iter().sum();
    json!({
        "min": files.iter().min(),
        "max": files.iter().max(),
        "avg": if files.is_empty() { 0.0 } else { total as f64 / files.len() as f64 },
        "totalFiles": files.len(),
        "totalSize": total,
    })
}
