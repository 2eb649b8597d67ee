//! Adapts expressions over the columns of a table to the columns of one data file.
//!
//! - A column is found in the file by its id or stored name (see `spec/stored_columns`). A column that the file lacks is NULL.
//! - A nested column whose type differs becomes the type of the table ([`nested::convert`]). DataFusion casts other columns. If
//!   the cast could change a value, reading the column is an error ([`require_same_values`]).
//! - The reader does not see FLOAT and DOUBLE columns in conditions: the bounds in a Parquet file ignore NaN, which SQL orders
//!   above all numbers, and Bloom filters distinguish 0.0 from -0.0. So it does not skip rows by such columns. The same is
//!   true of all columns in conditions that bounds cannot decide ([`keeps_order`]).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use datafusion::physical_plan::PhysicalExpr;

use crate::error::external;
use crate::read::conformed::require_same_values;
use crate::read::file_list::keeps_order;
use crate::read::nested;
use crate::spec::stored_columns::StoredColumn;
use pinsql_base::error::{Error, ErrorCode};

/// Makes the adapter of each file.
#[derive(Debug)]
pub(crate) struct ColumnAdapterFactory {
    columns: Vec<StoredColumn>,
}

impl ColumnAdapterFactory {
    /// The factory for files with these columns.
    pub(crate) fn new(columns: &[StoredColumn]) -> Self {
        Self { columns: columns.to_vec() }
    }
}

impl PhysicalExprAdapterFactory for ColumnAdapterFactory {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        // The names of columns that are not found must not be names of the table: a column that was dropped and added again has
        // the name of the old one.
        let mut seen: Vec<FieldRef> = file.fields().iter().enumerate().map(unnamed).collect();
        let mut conversions = vec![None; seen.len()];
        let mut refused = vec![None; seen.len()];
        for wanted in table.fields() {
            let known = self.columns.iter().find(|column| column.column.name() == wanted.name());
            let stored = known.map_or(wanted, |column| &column.stored);
            let Some(position) = nested::find(file.fields(), stored) else { continue };
            let given = file.field(position);
            let same = require_same_values(wanted.name(), given.data_type(), wanted.data_type());
            refused[position] = same.err().map(|error| match error {
                ArrowError::SchemaError(why) => why,
                other => other.to_string(),
            });
            let is_converted = wanted.data_type().is_nested() && given.data_type() != wanted.data_type();
            let data_type = if is_converted { wanted.data_type() } else { given.data_type() };
            let is_nullable = given.is_nullable() || is_converted;
            seen[position] = Arc::new(Field::new(wanted.name(), data_type.clone(), is_nullable));
            if is_converted || given.data_type().is_floating() {
                conversions[position] = Some((data_type.clone(), stored.data_type().clone()));
            }
        }
        let by_name = DefaultPhysicalExprAdapterFactory.create(table, Arc::new(Schema::new(seen)))?;
        Ok(Arc::new(ColumnAdapter { by_name, file, conversions, refused }))
    }
}

fn unnamed((position, field): (usize, &FieldRef)) -> FieldRef {
    Arc::new(field.as_ref().clone().with_name(format!("column {position} of the file")))
}

/// Where a column is used.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// It is read, and not part of a condition.
    Read,
    /// A condition, by which the reader may skip rows.
    Condition,
    /// A condition that bounds cannot decide. The reader does not see the column.
    Hidden,
}

/// The adapter of one file.
#[derive(Debug)]
struct ColumnAdapter {
    /// Works with the names of the table.
    by_name: Arc<dyn PhysicalExprAdapter>,
    file: SchemaRef,
    /// For each column of the file, the type to convert it to, and the same type with the names of the file.
    conversions: Vec<Option<(DataType, DataType)>>,
    /// For each column of the file, the reason why it cannot be read with the type of the table.
    refused: Vec<Option<String>>,
}

impl PhysicalExprAdapter for ColumnAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let expr = self.by_name.rewrite(expr)?;
        // A column on its own is read, and not part of a condition.
        if let Some(column) = expr.downcast_ref::<Column>() {
            return self.in_file(column, Place::Read);
        }
        let place = if keeps_order(&expr) { Place::Condition } else { Place::Hidden };
        let rename = |node: Arc<dyn PhysicalExpr>| match node.downcast_ref::<Column>() {
            Some(column) => Ok(Transformed::yes(self.in_file(column, place)?)),
            None => Ok(Transformed::no(node)),
        };
        expr.transform_up(rename).data()
    }
}

impl ColumnAdapter {
    /// The column with its name in the file, and its conversion. Fails if the conversion could change a value.
    fn in_file(&self, column: &Column, place: Place) -> Result<Arc<dyn PhysicalExpr>> {
        let position = column.index();
        let Some(field) = self.file.fields().get(position) else { return Ok(Arc::new(column.clone())) };
        if let Some(Some(why)) = self.refused.get(position) {
            let said = format!("a data file cannot be read: {why}");
            return Err(external(Error::new(ErrorCode::InvalidFile, said)));
        }
        let stored: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), position));
        let same = || (field.data_type().clone(), field.data_type().clone());
        let conversion = match (self.conversions.get(position), place) {
            (Some(Some((wanted, names))), _) if wanted.is_nested() => Some((wanted.clone(), names.clone())),
            (Some(Some((wanted, names))), Place::Condition) => Some((wanted.clone(), names.clone())),
            (_, Place::Hidden) => Some(same()),
            _ => None,
        };
        Ok(match conversion {
            Some((wanted, names)) => Arc::new(StoredValue { column: stored, wanted, names }),
            None => stored,
        })
    }
}

/// A column of a data file as the type of the table.
#[derive(Debug, Clone, Eq)]
struct StoredValue {
    column: Arc<dyn PhysicalExpr>,
    wanted: DataType,
    /// `wanted` with the names of the file.
    names: DataType,
}

impl PartialEq for StoredValue {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.wanted == other.wanted && self.names == other.names
    }
}

impl Hash for StoredValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.wanted.hash(state);
        self.names.hash(state);
    }
}

impl fmt::Display for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.column, f)
    }
}

impl PhysicalExpr for StoredValue {
    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        let field = self.column.return_field(schema)?;
        Ok(Arc::new(Field::new(field.name(), self.wanted.clone(), field.is_nullable())))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let values = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(nested::convert(&values, &self.wanted, &self.names)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [column] = children.as_slice() else {
            return Err(DataFusionError::Internal("a stored value has one column".to_owned()));
        };
        Ok(Arc::new(Self { column: Arc::clone(column), ..self.as_ref().clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(f)
    }
}
