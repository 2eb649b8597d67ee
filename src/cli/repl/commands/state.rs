//! Commands for the session: parameters, memory, history, SQL files and plans.

use std::fs;

use indicatif::HumanBytes;

use super::super::{Next, Shell};
use super::{Command, local_path, named, one_argument, unquoted, usage};
use crate::cli::failure::Failure;
use crate::cli::script::Script;
use crate::config::Param;
use crate::statement::Rows;
use pinsql_base::error::{Error, Result};

/// Maximum number of listed entries of the history.
const ENTRIES_MAX: usize = 50;

/// Shows the plan of a query, or of the last one.
pub(super) async fn explain(shell: &mut Shell, rest: &str) -> Result<Next, Failure> {
    let (analyze, query) = match rest.split_once(char::is_whitespace) {
        Some((word, query)) if word.eq_ignore_ascii_case("ANALYZE") => ("ANALYZE ", query),
        _ if rest.eq_ignore_ascii_case("ANALYZE") => ("ANALYZE ", ""),
        _ => ("", rest),
    };
    let query = match (query, &shell.last_query) {
        ("", Some(last)) => last.clone(),
        ("", None) => {
            return Err(Error::usage("there is no query to explain").with_hint(".explain SELECT …").into());
        }
        (query, _) => query.to_owned(),
    };
    shell.run_sql(&format!("EXPLAIN {analyze}{query}")).await
}

/// Runs the statements and commands of a file in this session.
pub(super) async fn read(shell: &mut Shell, command: &Command, rest: &str) -> Result<Next, Failure> {
    let path = one_argument(command, rest)?;
    let script = Script::read(&local_path(path))?;
    // A file can run a file, so the future contains itself.
    Box::pin(shell.run_file(&script)).await
}

pub(super) async fn params(shell: &mut Shell, rest: &str) -> Result<()> {
    let mut words = rest.splitn(3, char::is_whitespace);
    let name =
        |word: Option<&str>| word.map(|word| word.trim_start_matches(':').to_owned()).filter(|name| !name.is_empty());
    match (words.next().unwrap_or_default(), name(words.next()), words.next()) {
        ("", None, None) => list_params(shell).await,
        ("set", Some(name), Some(value)) => {
            shell.session.set_param(&name, Some(param(value.trim())));
            Ok(())
        }
        ("unset", Some(name), None) => match shell.session.set_param(&name, None) {
            true => Ok(()),
            false => Err(Error::usage(format!("there is no parameter `{name}`"))),
        },
        _ => Err(Error::usage(".params does not accept these arguments").with_hint(usage(named(".params")?))),
    }
}

async fn list_params(shell: &mut Shell) -> Result<()> {
    let row = |(name, value): (&String, &Param)| {
        let (value, kind) = match value {
            Param::Boolean(value) => (value.to_string(), "BOOLEAN"),
            Param::Integer(value) => (value.to_string(), "BIGINT"),
            Param::Float(value) => (value.to_string(), "DOUBLE"),
            Param::String(value) => (value.clone(), "STRING"),
        };
        vec![Some(name.clone()), Some(value), Some(kind.to_owned())]
    };
    let rows = shell.session.params().iter().map(row).collect();
    shell.show(Rows::of_text(&["name", "value", "type"], rows)?).await
}

/// Parses a value as in a settings file: text in quotes is a STRING, other text has the type that it looks like.
fn param(text: &str) -> Param {
    let inside = unquoted(text);
    if inside.len() != text.len() {
        return Param::String(inside.to_owned());
    }
    match text.to_lowercase().as_str() {
        "true" => Param::Boolean(true),
        "false" => Param::Boolean(false),
        _ => match (text.parse(), text.parse()) {
            (Ok(integer), _) => Param::Integer(integer),
            (_, Ok(float)) if text.contains(|letter: char| letter.is_ascii_digit()) => Param::Float(float),
            _ => Param::String(text.to_owned()),
        },
    }
}

pub(super) fn history(shell: &Shell, text: &str) -> Result<()> {
    let mut listed = shell.history(text, ENTRIES_MAX).join("\n");
    if !listed.is_empty() {
        listed.push('\n');
    }
    shell.screen.print(&listed)
}

pub(super) async fn memory(shell: &mut Shell) -> Result<()> {
    let session = &shell.session;
    let mut rows = vec![
        ("statements use", session.memory_pool().reserved() as u64),
        ("statements may use", session.config().memory_bytes as u64),
        ("statements have on disk", session.spilled_bytes()),
    ];
    rows.extend(process_bytes("VmRSS:").map(|bytes| ("the process has", bytes)));
    rows.extend(process_bytes("VmHWM:").map(|bytes| ("the process has had at most", bytes)));
    let row = |(what, bytes): (&str, u64)| vec![Some(what.to_owned()), Some(HumanBytes(bytes).to_string())];
    shell.show(Rows::of_text(&["memory", "size"], rows.into_iter().map(row).collect())?).await
}

/// A size in bytes from `/proc/self/status`, if the system has that file.
fn process_bytes(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_value_decides_its_type() {
        assert_eq!(param("12"), Param::Integer(12));
        assert_eq!(param("'12'"), Param::String("12".to_owned()));
        assert_eq!(param("1.5"), Param::Float(1.5));
        assert_eq!(param("TRUE"), Param::Boolean(true));
        assert_eq!(param("inf"), Param::String("inf".to_owned()));
        assert_eq!(param("a b"), Param::String("a b".to_owned()));
    }
}
