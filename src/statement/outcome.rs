//! The results of statements, and the two ways to process one: run it or check it.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::physical_plan::ExecutionPlan;

use super::flow::Flow;
use super::rows::Rows;
use super::write::Written;
use pinsql_base::schema::type_name;

/// The result of a statement that ran.
#[derive(Debug)]
pub enum Outcome {
    /// Rows to print. Nothing has been read yet.
    Rows(Rows),
    /// A table was written and committed.
    Written(Box<Written>),
    /// A streaming table or a sink. Nothing of its stream has been read yet: `crate::stream` refreshes it.
    Stream(Box<Flow>),
    /// A table was committed without rows. The text is one line for the user. The warnings are about steps after the commit.
    Defined { text: String, warnings: Vec<String> },
    /// The statement did something else. The text is one line for the user.
    Done(String),
    /// The statement changed the session for the statements after it. There is nothing to print.
    Prepared,
}

/// The result of a statement that was only checked.
#[derive(Debug)]
pub enum Checked {
    /// The statement returns rows. `columns` is their schema as a column list: `ind INT, title STRING NOT NULL`.
    Rows { columns: String },
    /// The statement writes or defines a table or a sink with this name and these columns.
    Table { table: String, columns: String },
    /// The statement returns no rows and writes no table.
    NoOutput,
}

/// The hook for progress bars. It receives each plan that starts to write a table. The returned value is dropped when the plan
/// ends.
pub trait Watch: Sync {
    fn started(&self, plan: &Arc<dyn ExecutionPlan>) -> Box<dyn Send>;
}

/// Run or check a statement. A check reads no data, so the value of a subquery is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Run,
    Check,
}

/// The columns as a CREATE TABLE lists them: `ind INT, title STRING NOT NULL`.
pub(super) fn describe_columns(schema: &Schema) -> String {
    let columns = schema.fields().iter().map(|field| {
        let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
        format!("{} {}{not_null}", field.name(), type_name(field.data_type()))
    });
    columns.collect::<Vec<_>>().join(", ")
}
