//! `pinsql check`: what a script would give, without reading data.

use std::io::Write;

use super::Failure;
use super::output::{Output, stdout_error};
use super::script::Script;
use super::settings::Settings;
use crate::error::Result;
use crate::session::Session;
use crate::statement::{self, Checked};

/// Checks every statement of `scripts`. A table that one statement declares is known to those after it.
pub(super) async fn check(scripts: Vec<Script>, settings: Settings, output: Output) -> Result<(), Failure> {
    let session = Session::new(settings.resolve()?).await?;
    for script in scripts {
        if let Err(error) = check_script(&session, &script, output).await {
            return Err(Failure::in_script(error, script));
        }
    }
    Ok(())
}

async fn check_script(session: &Session, script: &Script, output: Output) -> Result<()> {
    for statement in statement::parse(&script.text)? {
        let checked = statement::check(session, &statement).await.map_err(|error| error.at(statement.span))?;
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
