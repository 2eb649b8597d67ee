//! SQL functions and operators with the behavior of Databricks.
//!
//! A function is here if DataFusion does not have it, or has it with another behavior or name. It replaces the function of
//! DataFusion with the same name. `docs/functions.md` lists the functions and the differences from Databricks. The functions of
//! the pipeline are in the crate `pinsql-udfs`.
//!
//! This crate registers nothing, parses no SQL and reads no file. The `pinsql` package registers [`all`], [`all_higher_order`]
//! and [`all_aggregates`] in a session. It also rewrites operators, casts and special forms to the functions here that SQL
//! cannot name.
//!
//! The modules, in reading order:
//!
//! - `row` and `plain`: the two ways to write a function with little code: per row, or per column. `lists` has the common code of
//!   ARRAY and MAP.
//! - [`numbers`], [`text`], `regex`, [`times`], [`conditions`]: scalar functions, a family each.
//! - [`casts`]: the functions that replace casts.
//! - [`arrays`], [`maps`], [`json`]: functions of nested types and of JSON text.
//! - [`higher_order`]: functions with a lambda.
//! - [`aggregates`]: aggregate functions. [`generators`]: functions that return rows, such as `explode`.

pub mod aggregates;
pub mod arrays;
pub mod casts;
pub mod conditions;
pub mod generators;
pub mod higher_order;
pub mod json;
mod lists;
pub mod maps;
pub mod numbers;
mod plain;
mod regex;
mod row;
pub mod text;
pub mod times;

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF};

pub use self::lists::expect_order;
pub use self::text::DECODE_BYTES;

/// All scalar functions that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    let mut functions = arrays::all();
    functions.push(casts::named_cast());
    functions.extend(conditions::all());
    functions.extend(json::all());
    functions.extend(maps::all());
    functions.extend(numbers::all());
    functions.extend(regex::all());
    functions.extend(text::all());
    functions.extend(times::all());
    functions
}

/// All functions with a lambda.
pub fn all_higher_order() -> Vec<Arc<HigherOrderUDF>> {
    higher_order::all()
}

/// All aggregate functions.
pub fn all_aggregates() -> Vec<AggregateUDF> {
    aggregates::all()
}

/// True if one of the operands is nullable. The result of most operators is NULL if an operand is NULL.
fn is_any_nullable(fields: &[FieldRef]) -> bool {
    fields.iter().any(|field| field.is_nullable())
}
