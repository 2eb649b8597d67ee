//! Commands that list schemas, tables, columns and functions.

use std::sync::Arc;

use super::super::complete::functions::{Function, all};
use super::super::{Next, Shell};
use super::{Command, one_argument};
use crate::cli::failure::Failure;
use crate::statement::{self, Rows, name_pattern};
use pinsql_base::error::{Error, Result};

/// Runs a SHOW statement, with LIKE if there is a pattern.
pub(super) async fn show(shell: &mut Shell, statement: &str, pattern: &str) -> Result<Next, Failure> {
    let like = if pattern.is_empty() { String::new() } else { format!(" LIKE '{}'", pattern.replace('\'', "\\'")) };
    shell.run_sql(&format!("{statement}{like}")).await
}

pub(super) async fn use_schema(shell: &mut Shell, command: &Command, rest: &str) -> Result<Next, Failure> {
    let schema = one_argument(command, rest)?;
    shell.run_sql(&format!("USE {schema}")).await
}

/// The columns of one table, or of all tables of the current schema.
pub(super) async fn schema(shell: &mut Shell, table: &str) -> Result<Next, Failure> {
    if !table.is_empty() {
        return shell.run_sql(&format!("DESCRIBE TABLE {table}")).await;
    }
    let session = Arc::clone(&shell.session);
    let columns = async {
        let mut rows = Vec::new();
        for name in session.warehouse().tables(&session.current_schema()).await? {
            let columns = statement::columns(&session, &format!("SELECT * FROM `{name}`")).await?;
            let row = |(column, data_type)| vec![Some(name.clone()), Some(column), Some(data_type)];
            rows.extend(columns.into_iter().map(row));
        }
        Ok::<_, Error>(rows)
    };
    let rows = shell.guarded(columns).await?;
    shell.show(Rows::of_text(&["table", "column", "type"], rows)?).await?;
    Ok(Next::Continue)
}

pub(super) async fn describe(shell: &mut Shell, table: &str) -> Result<Next, Failure> {
    match table {
        "" => shell.run_sql("SHOW TABLES").await,
        _ => shell.run_sql(&format!("DESCRIBE TABLE {table}")).await,
    }
}

pub(super) async fn functions(shell: &mut Shell, pattern: &str) -> Result<()> {
    let matches = name_pattern(Some(pattern).filter(|pattern| !pattern.is_empty()))?;
    let functions = all(&shell.session).into_iter().filter(|function| matches(&function.name));
    let row = |function: Function| {
        vec![
            Some(function.name),
            Some(function.kind.to_owned()),
            Some(function.call),
            Some(function.description).filter(|text| !text.is_empty()),
        ]
    };
    shell.show(Rows::of_text(&["function", "kind", "call", "description"], functions.map(row).collect())?).await
}
