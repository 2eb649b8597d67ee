//! `pinsql check`: the output schemas of a script, without reading data.

use std::io::Write;

use super::failure::Failure;
use super::include::{Placed, statements_with};
use super::output::{Output, stdout_error};
use super::script::Script;
use super::settings::Settings;
use crate::session::Session;
use crate::statement::{self, Checked};

/// Checks every statement of `scripts`. A statement can use the tables that earlier ones define.
pub(super) async fn check(scripts: Vec<Script>, settings: Settings, output: Output) -> Result<(), Failure> {
    let session = Session::new(settings.resolve()?).await?;
    for Placed { statement, script } in statements_with(scripts, &settings.params, &session.params())? {
        let checked = statement::check(&session, &statement).await;
        let checked = checked.map_err(|error| Failure::in_script(error.at(statement.span), &script))?;
        let (line, _) = statement.span.start;
        let text = match checked {
            Checked::Table { table, columns } => format!("{}:{line}: {table} ({columns})", script.name),
            Checked::Rows { columns } => format!("{}:{line}: rows ({columns})", script.name),
            Checked::NoOutput => format!("{}:{line}: ok", script.name),
        };
        writeln!(output.data(), "{text}").map_err(stdout_error)?;
    }
    Ok(())
}
