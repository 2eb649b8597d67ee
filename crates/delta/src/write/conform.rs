//! Converts the rows of a query to rows of a table.
//!
//! Columns are matched by position, as for INSERT, or by name. They are cast to the types of the table, and checked: NOT NULL,
//! column invariants and CHECK constraints. The first row that violates a rule stops the write, and the error shows this row.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, is_not_null, prep_null_mask_filter};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::DFSchema;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::PhysicalExpr;

use crate::spec::partition_values::empty_as_null;
use crate::spec::rules::Rule;
use crate::spec::types::{assignable, sql_name};
use pinsql_base::engine_error::arrow_error;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The length at which an error cuts a row.
const SAMPLE_CHARS_MAX: usize = 400;

/// Plans the conditions of a table. The log has them as Databricks SQL, which only the parser of statements reads correctly.
pub trait PlanCondition: fmt::Debug + Send + Sync {
    fn plan(&self, sql: &str, columns: &DFSchema, state: &SessionState) -> Result<Expr>;
}

/// The session extension that plans conditions. Without it, DataFusion's SQL parser reads them.
#[derive(Debug)]
pub struct Conditions(pub Arc<dyn PlanCondition>);

/// How the columns of a query are matched with the columns of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// By position, as for INSERT. Both must have the same number of columns.
    Position,
    /// By name. Case is ignored. Columns of the table that the query does not have are NULL.
    Name,
}

pub(crate) struct Conform {
    schema: SchemaRef,
    /// For each column of the table, the index of the column of the query. `None` for a column that is NULL.
    sources: Vec<Option<usize>>,
    partition_columns: Vec<String>,
    checks: Vec<(Rule, Arc<dyn PhysicalExpr>)>,
}

impl fmt::Debug for Conform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.checks.iter().map(|(rule, _)| rule.name.as_str()).collect();
        f.debug_struct("Conform").field("schema", &self.schema).field("checks", &names).finish()
    }
}

impl Conform {
    /// Checks the columns and their types.
    pub(crate) fn try_new(
        table: &str,
        input: &Schema,
        matching: Matching,
        schema: SchemaRef,
        partition_columns: Vec<String>,
        rules: Vec<Rule>,
        state: &SessionState,
    ) -> Result<Self> {
        let sources = match matching {
            Matching::Position => by_position(table, input, &schema)?,
            Matching::Name => by_name(table, input, &schema)?,
        };
        for (source, to) in sources.iter().zip(schema.fields()) {
            let Some(from) = source.map(|source| input.field(source)) else { continue };
            if !assignable(from.data_type(), to.data_type()) {
                let (from_type, to_type) = (sql_name(from.data_type()), sql_name(to.data_type()));
                let said = format!("a {from_type} cannot be stored in the column {} of type {to_type}", to.name());
                return Err(Error::new(ErrorCode::InvalidAssignment, said)
                    .with_hint(format!("cast it: CAST({} AS {to_type})", from.name())));
            }
        }
        let checks = compile(table, rules, &schema, state)?;
        Ok(Self { schema, sources, partition_columns, checks })
    }

    pub(crate) fn batch(&self, input: &RecordBatch) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(self.sources.len());
        for (field, source) in self.schema.fields().iter().zip(&self.sources) {
            let Some(column) = source.map(|source| input.column(source)) else {
                columns.push(new_null_array(field.data_type(), input.num_rows()));
                continue;
            };
            let options = CastOptions { safe: false, ..CastOptions::default() };
            let mut cast = match column.data_type() == field.data_type() {
                true => column.clone(),
                false => cast_with_options(column, field.data_type(), &options).map_err(|error| {
                    let said =
                        format!("a value does not fit the column {} {}", field.name(), sql_name(field.data_type()));
                    Error::new(ErrorCode::CastInvalidInput, said).caused_by(arrow_error(error).message)
                })?,
            };
            if self.partition_columns.contains(field.name()) {
                cast = empty_as_null(cast).map_err(|error| Error::internal("cannot build a batch").caused_by(error))?;
            }
            columns.push(cast);
        }
        self.check_not_null(&columns)?;
        let options = RecordBatchOptions::new().with_row_count(Some(input.num_rows()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(|error| {
            Error::new(ErrorCode::ConstraintViolation, "a row does not fit the table").caused_by(error)
        })?;
        self.check_rules(&batch)?;
        Ok(batch)
    }

    fn check_not_null(&self, columns: &[ArrayRef]) -> Result<()> {
        for (field, column) in self.schema.fields().iter().zip(columns) {
            if !field.is_nullable() && column.null_count() > 0 {
                let present =
                    is_not_null(column).map_err(|error| Error::internal("cannot look for NULL").caused_by(error))?;
                return Err(Error::new(
                    ErrorCode::ConstraintViolation,
                    format!("the column {} is NOT NULL, but a row has no value for it", field.name()),
                )
                .with_hint(format!("the row is {}", self.sample(columns, &present))));
            }
        }
        Ok(())
    }

    fn check_rules(&self, batch: &RecordBatch) -> Result<()> {
        for (rule, check) in &self.checks {
            let outcome = check.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()))?;
            // NULL is a violation too, as in Spark's Delta.
            let holds = match outcome.as_boolean() {
                known if known.null_count() == 0 => known.clone(),
                partly_known => prep_null_mask_filter(partly_known),
            };
            if holds.true_count() < batch.num_rows() {
                return Err(Error::new(
                    ErrorCode::ConstraintViolation,
                    format!("a row breaks the constraint {}: {}", rule.name, rule.sql),
                )
                .with_hint(format!("the row is {}", self.sample(batch.columns(), &holds))));
            }
        }
        Ok(())
    }

    /// The first row for which `holds` is false: `ind = 7, title = NULL`.
    fn sample(&self, columns: &[ArrayRef], holds: &BooleanArray) -> String {
        let Some(row) = (0..holds.len()).find(|row| !holds.value(*row)) else { return String::new() };
        let options = FormatOptions::default().with_null("NULL");
        let values = self.schema.fields().iter().zip(columns).filter_map(|(field, column)| {
            let formatter = ArrayFormatter::try_new(column, &options).ok()?;
            Some(format!("{} = {}", field.name(), formatter.value(row).try_to_string().ok()?))
        });
        let text = values.collect::<Vec<_>>().join(", ");
        match text.char_indices().nth(SAMPLE_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

fn by_position(table: &str, input: &Schema, schema: &Schema) -> Result<Vec<Option<usize>>> {
    let (given, wanted) = (input.fields().len(), schema.fields().len());
    if given == wanted {
        return Ok((0..wanted).map(Some).collect());
    }
    Err(Error::new(
        ErrorCode::ColumnArityMismatch,
        format!("the query gives {given} columns, but the table {table} has {wanted}"),
    )
    .with_hint(format!("its columns are {}", column_names(schema))))
}

fn by_name(table: &str, input: &Schema, schema: &Schema) -> Result<Vec<Option<usize>>> {
    let find =
        |schema: &Schema, name: &str| schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name));
    if let Some(unknown) = input.fields().iter().find(|field| find(schema, field.name()).is_none()) {
        let said = format!("the table {table} has no column `{}`", unknown.name());
        return Err(Error::new(ErrorCode::UnresolvedColumn, said)
            .with_hint(format!("its columns are {}", column_names(schema))));
    }
    let sources = schema.fields().iter().map(|field| match find(input, field.name()) {
        None if !field.is_nullable() => {
            let said = format!("the column {} of {table} is NOT NULL, and the query does not give it", field.name());
            Err(Error::new(ErrorCode::ConstraintViolation, said)
                .with_hint(format!("ALTER TABLE {table} ALTER COLUMN {} DROP NOT NULL", field.name())))
        }
        found => Ok(found),
    });
    sources.collect()
}

fn compile(
    table: &str,
    rules: Vec<Rule>,
    schema: &SchemaRef,
    state: &SessionState,
) -> Result<Vec<(Rule, Arc<dyn PhysicalExpr>)>> {
    let columns = DFSchema::try_from(schema.as_ref().clone())?;
    let conditions = state.config().get_extension::<Conditions>();
    let plan = |sql: &str| {
        let expression = match &conditions {
            Some(conditions) => conditions.0.plan(sql, &columns, state)?,
            None => state.create_logical_expr(sql, &columns)?,
        };
        Ok::<_, Error>(state.create_physical_expr(expression, &columns)?)
    };
    let compile_one = |rule: Rule| match plan(&rule.sql) {
        Ok(check) => Ok((rule, check)),
        Err(error) => {
            let said = format!("the constraint {} of {table} cannot be checked: {}", rule.name, rule.sql);
            Err(Error::new(ErrorCode::InvalidCondition, said).caused_by(error.message))
        }
    };
    rules.into_iter().map(compile_one).collect()
}

fn column_names(schema: &Schema) -> String {
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
}
