//! The commands of the shell.
//!
//! A command is one line that begins with a dot, or with a backslash as in `psql`. If SQL has a statement for the same purpose,
//! the command runs that statement (`.tables` runs SHOW TABLES), so that both have the same output.

mod catalog;
mod screen;
mod state;

use std::path::PathBuf;

use super::{Next, Shell};
use crate::cli::failure::Failure;
use crate::config::variable;
use pinsql_base::error::{Error, nearest};

/// A command, as `.help` lists it.
#[derive(Debug)]
pub(super) struct Command {
    /// Its name, followed by its aliases.
    pub(crate) names: &'static [&'static str],
    pub(crate) arguments: &'static str,
    pub(crate) about: &'static str,
    /// The completions of its argument.
    pub(crate) values: Values,
    action: Action,
}

/// The possible arguments of a command.
#[derive(Debug, Clone, Copy)]
pub(super) enum Values {
    None,
    Words(&'static [&'static str]),
    Formats,
    Tables,
    Schemas,
    Functions,
    Path,
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Chart,
    Describe,
    Explain,
    Expanded,
    Functions,
    Help,
    History,
    Last,
    Memory,
    Mode,
    Once,
    Output,
    Pager,
    Params,
    Quit,
    Read,
    Rows,
    Schema,
    Schemas,
    Tables,
    Timer,
    Use,
    Views,
}

const ON_OFF: Values = Values::Words(&["on", "off"]);

const fn command(
    names: &'static [&'static str],
    arguments: &'static str,
    about: &'static str,
    values: Values,
    action: Action,
) -> Command {
    Command { names, arguments, about, values, action }
}

/// All commands, in the order of `.help`.
pub(super) const COMMANDS: &[Command] = &[
    command(&[".help", "\\?", "\\h"], "[COMMAND]", "lists the commands, or describes one", Values::None, Action::Help),
    command(&[".quit", ".exit", "\\q"], "", "leaves the shell, as Ctrl-D does", Values::None, Action::Quit),
    command(
        &[".tables", "\\dt"],
        "[PATTERN]",
        "lists tables and views; * matches any text",
        Values::Tables,
        Action::Tables,
    ),
    command(&[".views", "\\dv"], "[PATTERN]", "lists views", Values::None, Action::Views),
    command(&[".schemas", "\\dn"], "[PATTERN]", "lists schemas", Values::Schemas, Action::Schemas),
    command(&[".use", "\\c"], "SCHEMA", "sets the schema of names without one", Values::Schemas, Action::Use),
    command(&[".schema"], "[TABLE]", "shows the columns of a table, or of all tables", Values::Tables, Action::Schema),
    command(&["\\d"], "[TABLE]", "describes a table; without one, lists the tables", Values::Tables, Action::Describe),
    command(
        &[".functions", "\\df"],
        "[PATTERN]",
        "lists functions with their arguments; * matches any text",
        Values::Functions,
        Action::Functions,
    ),
    command(
        &[".mode"],
        "[FORMAT]",
        "shows rows as table, csv, tsv, json, ndjson, markdown or line",
        Values::Formats,
        Action::Mode,
    ),
    command(&["\\x"], "", "switches between line and table", Values::None, Action::Expanded),
    command(
        &[".rows"],
        "[COUNT|all]",
        "sets how many rows a table shows, half of them from the end",
        Values::Words(&["all"]),
        Action::Rows,
    ),
    command(&[".timer", "\\timing"], "[on|off]", "shows the time of each statement", ON_OFF, Action::Timer),
    command(&[".pager"], "[on|off|COMMAND]", "shows results through a pager", ON_OFF, Action::Pager),
    command(
        &[".output", "\\o"],
        "[FILE]",
        "writes results to a file; without one, to the terminal again",
        Values::Path,
        Action::Output,
    ),
    command(
        &[".once"],
        "FILE",
        "writes the next result to a file; its ending is the format",
        Values::Path,
        Action::Once,
    ),
    command(&[".last"], "[FORMAT]", "shows the last result again, in full", Values::Formats, Action::Last),
    command(
        &[".chart"],
        "bar|line [X] [Y…]",
        "draws the last result; without names it finds the columns",
        Values::Words(&["bar", "line"]),
        Action::Chart,
    ),
    command(
        &[".explain"],
        "[ANALYZE] [SQL]",
        "shows the plan of a query; without one, of the last",
        Values::None,
        Action::Explain,
    ),
    command(&[".read", "\\i"], "FILE", "runs the statements of a file", Values::Path, Action::Read),
    command(
        &[".params"],
        "[set NAME VALUE|unset NAME]",
        "lists, sets and unsets the parameters :name of SQL",
        Values::Words(&["set", "unset"]),
        Action::Params,
    ),
    command(
        &[".history", "\\s"],
        "[TEXT]",
        "lists the history, or its entries with a text",
        Values::None,
        Action::History,
    ),
    command(&[".memory"], "", "shows the used memory and its limits", Values::None, Action::Memory),
];

/// The command with this name, ignoring case.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.names.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

fn named(name: &str) -> Result<&'static Command, Error> {
    find(name).ok_or_else(|| {
        let error = Error::usage(format!("there is no command {name}"));
        let names = COMMANDS.iter().flat_map(|command| command.names).copied();
        match nearest(name, names) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error.with_hint(".help lists the commands"),
        }
    })
}

/// Runs one line.
pub(super) async fn run(shell: &mut Shell, line: &str) -> Result<Next, Failure> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    // A final `;` is allowed, as after a statement.
    let rest = rest.trim().trim_end_matches(';').trim_end();
    let command = named(name.trim_end_matches(';'))?;
    match command.action {
        Action::Quit => {
            refuse_arguments(command, rest)?;
            return Ok(Next::Leave);
        }
        Action::Help => screen::help(shell, rest)?,
        Action::Mode => screen::mode(shell, rest)?,
        Action::Expanded => {
            refuse_arguments(command, rest)?;
            screen::expanded(shell);
        }
        Action::Rows => screen::rows(shell, rest)?,
        Action::Timer => screen::timer(shell, rest)?,
        Action::Pager => screen::pager(shell, rest)?,
        Action::Output => screen::output(shell, rest)?,
        Action::Once => screen::once(shell, rest)?,
        Action::Last => screen::last(shell, rest).await?,
        Action::Chart => screen::chart(shell, rest).await?,
        Action::Tables => return catalog::show(shell, "SHOW TABLES", rest).await,
        Action::Views => return catalog::show(shell, "SHOW VIEWS", rest).await,
        Action::Schemas => return catalog::show(shell, "SHOW SCHEMAS", rest).await,
        Action::Use => return catalog::use_schema(shell, command, rest).await,
        Action::Schema => return catalog::schema(shell, rest).await,
        Action::Describe => return catalog::describe(shell, rest).await,
        Action::Functions => catalog::functions(shell, rest).await?,
        Action::Explain => return state::explain(shell, rest).await,
        Action::Read => return state::read(shell, command, rest).await,
        Action::Params => state::params(shell, rest).await?,
        Action::History => state::history(shell, rest)?,
        Action::Memory => {
            refuse_arguments(command, rest)?;
            state::memory(shell).await?;
        }
    }
    Ok(Next::Continue)
}

fn refuse_arguments(command: &Command, rest: &str) -> Result<(), Error> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!("{} takes no argument", command.names[0])))
}

/// The syntax of a command, for the hint of an error.
fn usage(command: &Command) -> String {
    format!("{} {}", command.names[0], command.arguments).trim_end().to_owned()
}

/// The required argument, without quotes.
fn one_argument<'a>(command: &Command, rest: &'a str) -> Result<&'a str, Error> {
    if rest.is_empty() {
        return Err(Error::usage(format!("{} needs an argument", command.names[0])).with_hint(usage(command)));
    }
    Ok(unquoted(rest))
}

/// The text without its quotes, if it has any.
fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('\'').or_else(|| inside('"')).unwrap_or(text)
}

/// The path, with the home folder for a leading `~`, as in a shell.
pub(super) fn local_path(text: &str) -> PathBuf {
    let rest = text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match rest.zip(variable("HOME")) {
        Some((rest, home)) => PathBuf::from(home + rest),
        None => PathBuf::from(text),
    }
}

/// Parses `on` or `off`. Without an argument, the switch changes.
fn switch(rest: &str, is_on: bool) -> Result<bool, Error> {
    match rest.to_lowercase().as_str() {
        "" => Ok(!is_on),
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(Error::usage(format!("`{other}` is neither on nor off"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_commands_are_unique() {
        let names: Vec<&str> = COMMANDS.iter().flat_map(|command| command.names).copied().collect();
        for (position, name) in names.iter().enumerate() {
            assert!(name.starts_with(['.', '\\']), "{name}");
            assert!(!names[..position].contains(name), "{name} is there twice");
        }
    }

    #[test]
    fn a_typo_suggests_the_nearest_command() {
        assert_eq!(named(".tabels").unwrap_err().hint.as_deref(), Some("did you mean .tables?"));
        assert_eq!(named(".xyzzy").unwrap_err().hint.as_deref(), Some(".help lists the commands"));
        assert!(find(".MODE").is_some());
    }
}
