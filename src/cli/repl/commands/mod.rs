//! The commands of the shell: the list of them, and what each does.
//!
//! A command is one line that begins with a dot, or with a back-slash for those who know `psql`. What has a statement in SQL
//! runs that statement (`.tables` is SHOW TABLES), so that both always say the same.

mod catalog;
mod screen;
mod state;

use super::{Next, Shell};
use crate::cli::Failure;
use pinsql_base::error::{Error, nearest};

/// A command, as `.help` lists it.
#[derive(Debug)]
pub(super) struct Command {
    /// Its name, and others that mean the same.
    pub names: &'static [&'static str],
    pub arguments: &'static str,
    pub about: &'static str,
    /// What completes its argument.
    pub values: Values,
    action: Action,
}

/// What can stand as the argument of a command.
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
    command(
        &[".help", "\\?", "\\h"],
        "[COMMAND]",
        "lists the commands, or tells about one",
        Values::None,
        Action::Help,
    ),
    command(&[".quit", ".exit", "\\q"], "", "leaves the shell, as Ctrl-D does", Values::None, Action::Quit),
    command(
        &[".tables", "\\dt"],
        "[PATTERN]",
        "lists tables and views; * stands for any text",
        Values::Tables,
        Action::Tables,
    ),
    command(&[".views", "\\dv"], "[PATTERN]", "lists views", Values::None, Action::Views),
    command(&[".schemas", "\\dn"], "[PATTERN]", "lists schemas", Values::Schemas, Action::Schemas),
    command(&[".use", "\\c"], "SCHEMA", "makes a schema the one of names that give none", Values::Schemas, Action::Use),
    command(&[".schema"], "[TABLE]", "shows the columns of a table, or of all tables", Values::Tables, Action::Schema),
    command(&["\\d"], "[TABLE]", "describes a table; without one, lists the tables", Values::Tables, Action::Describe),
    command(
        &[".functions", "\\df"],
        "[PATTERN]",
        "lists functions with their arguments; * stands for any text",
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
    command(&["\\x"], "", "changes between line and table", Values::None, Action::Expanded),
    command(
        &[".rows"],
        "[COUNT|all]",
        "how many rows a table shows, half of them from the end",
        Values::Words(&["all"]),
        Action::Rows,
    ),
    command(&[".timer", "\\timing"], "[on|off]", "says how long each statement took", ON_OFF, Action::Timer),
    command(&[".pager"], "[on|off|COMMAND]", "shows results through a pager", ON_OFF, Action::Pager),
    command(
        &[".output", "\\o"],
        "[FILE]",
        "writes results to a file; without one, shows them again",
        Values::Path,
        Action::Output,
    ),
    command(&[".once"], "FILE", "writes the next result to a file", Values::Path, Action::Once),
    command(&[".last"], "[FORMAT]", "shows the last result again, whole", Values::Formats, Action::Last),
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
        "lists, sets and unsets what :name stands for in SQL",
        Values::Words(&["set", "unset"]),
        Action::Params,
    ),
    command(
        &[".history", "\\s"],
        "[TEXT]",
        "lists what was run, or what of it contains a text",
        Values::None,
        Action::History,
    ),
    command(&[".memory"], "", "says what memory is used and what it may be", Values::None, Action::Memory),
];

/// The command of that name, in any case.
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
    // As after a statement, a `;` may stand at the end.
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
    Ok(Next::Go)
}

fn refuse_arguments(command: &Command, rest: &str) -> Result<(), Error> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!("{} takes no argument", command.names[0])))
}

/// How a command is written, for the hint of an error.
fn usage(command: &Command) -> String {
    format!("{} {}", command.names[0], command.arguments).trim_end().to_owned()
}

/// The one word that `rest` has to be.
fn one_argument<'a>(command: &Command, rest: &'a str) -> Result<&'a str, Error> {
    if rest.is_empty() {
        return Err(Error::usage(format!("{} needs an argument", command.names[0])).with_hint(usage(command)));
    }
    Ok(unquoted(rest))
}

/// A file's name may stand in quotes.
fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('\'').or_else(|| inside('"')).unwrap_or(text)
}

/// `on` or `off`; without an argument, the other of what is.
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
    fn every_name_means_one_command() {
        let names: Vec<&str> = COMMANDS.iter().flat_map(|command| command.names).copied().collect();
        for (position, name) in names.iter().enumerate() {
            assert!(name.starts_with(['.', '\\']), "{name}");
            assert!(!names[..position].contains(name), "{name} is there twice");
        }
    }

    #[test]
    fn a_slip_names_the_nearest() {
        assert_eq!(named(".tabels").unwrap_err().hint.as_deref(), Some("did you mean .tables?"));
        assert_eq!(named(".xyzzy").unwrap_err().hint.as_deref(), Some(".help lists the commands"));
        assert!(find(".MODE").is_some());
    }
}
