//! Commands for the format and the destination of results.

use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;

use super::super::Shell;
use super::super::chart::{self, Shape};
use super::super::terminal;
use super::{COMMANDS, Command, local_path, named, one_argument, switch, unquoted, usage};
use crate::cli::rows::Format;
use crate::cli::rows::file::ResultFile;
use crate::cli::settings::{format_name, format_of};
use pinsql_base::error::{Error, ErrorCode, Result};

pub(super) fn help(shell: &Shell, rest: &str) -> Result<()> {
    if !rest.is_empty() {
        let dotted = format!(".{rest}");
        let command = named(rest).or_else(|error| named(&dotted).map_err(|_| error))?;
        let others = also(command, "  (also ", ")");
        return shell.screen.print(&format!("{}{others}\n  {}\n", usage(command), command.about));
    }
    let width = COMMANDS.iter().map(|command| usage(command).width()).max().unwrap_or(0);
    let mut text = String::new();
    for command in COMMANDS {
        let usage = usage(command);
        let others = also(command, " (", ")");
        let _ = writeln!(text, "{usage}{}  {}{others}", " ".repeat(width - usage.width()), command.about);
    }
    text.push_str(
        "A statement ends with `;` and may take several lines. Tab completes, Ctrl-R searches the history, Ctrl-C\n\
         stops a statement or clears the line.\n",
    );
    shell.screen.print(&text)
}

/// The other names of a command.
fn also(command: &Command, before: &str, after: &str) -> String {
    let others = command.names.get(1..).filter(|others| !others.is_empty());
    others.map_or_else(String::new, |others| format!("{before}{}{after}", others.join(", ")))
}

pub(super) fn mode(shell: &mut Shell, rest: &str) -> Result<()> {
    if rest.is_empty() {
        return shell.screen.print(&format!("{}\n", format_name(shell.screen.format)));
    }
    shell.screen.format = format_of(rest).map_err(as_usage)?;
    Ok(())
}

pub(super) fn expanded(shell: &mut Shell) {
    shell.screen.format = if shell.screen.format == Format::Line { Format::Table } else { Format::Line };
    shell.output.note(&format!("rows are shown as {}", format_name(shell.screen.format)));
}

pub(super) fn rows(shell: &mut Shell, rest: &str) -> Result<()> {
    match rest {
        "" => {
            let shown = match shell.screen.rows_max {
                0 => "all".to_owned(),
                count => count.to_string(),
            };
            shell.screen.print(&format!("{shown}\n"))
        }
        "all" => {
            shell.screen.rows_max = 0;
            Ok(())
        }
        count => {
            let count = count.parse().ok().filter(|count| *count > 0);
            shell.screen.rows_max = count.ok_or_else(|| {
                Error::usage(format!("`{rest}` is not a number of rows")).with_hint(".rows 100, .rows all")
            })?;
            Ok(())
        }
    }
}

pub(super) fn timer(shell: &mut Shell, rest: &str) -> Result<()> {
    shell.timer = switch(rest, shell.timer)?;
    shell.output.note(if shell.timer { "the timer is on" } else { "the timer is off" });
    Ok(())
}

pub(super) fn pager(shell: &mut Shell, rest: &str) -> Result<()> {
    match switch(rest, shell.screen.is_paged) {
        Ok(is_paged) => shell.screen.is_paged = is_paged,
        // Any other text is the command of the pager.
        Err(_) => {
            shell.screen.pager_command = unquoted(rest).to_owned();
            shell.screen.is_paged = true;
        }
    }
    shell.output.note(&match shell.screen.is_paged {
        true => format!("results go through `{}`", shell.screen.pager_command),
        false => "results are shown without a pager".to_owned(),
    });
    Ok(())
}

pub(super) fn output(shell: &mut Shell, rest: &str) -> Result<()> {
    shell.screen.file = match unquoted(rest) {
        "" => None,
        path => Some(ResultFile::for_all(&local_path(path)).map_err(as_usage)?),
    };
    shell.output.note(&match &shell.screen.file {
        Some(file) => format!("results are written to {} until the next .output", file.path.display()),
        None => "results are shown here".to_owned(),
    });
    Ok(())
}

pub(super) fn once(shell: &mut Shell, rest: &str) -> Result<()> {
    let path = one_argument(named(".once")?, rest)?;
    shell.screen.once = Some(ResultFile::create(&local_path(path)).map_err(as_usage)?);
    Ok(())
}

pub(super) async fn last(shell: &mut Shell, rest: &str) -> Result<()> {
    let format = if rest.is_empty() { shell.screen.format } else { format_of(rest).map_err(as_usage)? };
    shell.screen.show_again(format).await
}

pub(super) async fn chart(shell: &mut Shell, rest: &str) -> Result<()> {
    let mut words = rest.split_whitespace();
    let shape = match words.next() {
        Some("bar") => Shape::Bar,
        Some("line") => Shape::Line,
        other => {
            let error = match other {
                Some(other) => Error::usage(format!("there is no chart type `{other}`")),
                None => Error::usage(".chart needs a chart type"),
            };
            return Err(error.with_hint(".chart bar, .chart line"));
        }
    };
    let names: Vec<&str> = words.collect();
    let Some(kept) = shell.screen.last.as_ref() else {
        return Err(Error::usage("there is no result to draw").with_hint("run a query first"));
    };
    let colors = shell.output.data_has_colors();
    let drawn = chart::draw(kept, shape, &names, terminal::size(), colors)?;
    shell.screen.print(&drawn)
}

/// The same error as a usage error: here a command is wrong, not a setting.
fn as_usage(error: Error) -> Error {
    Error { code: ErrorCode::InvalidUsage, ..error }
}
