//! What `[shell]` in `pinsql.toml` sets of the interactive shell, and what the environment says of its files and pager.

use std::path::PathBuf;

use serde::Deserialize;

/// Rows that a table on the terminal shows at most, when nobody says how many.
const ROWS_MAX: usize = 40;
/// Entries that the history keeps, when nobody says how many.
const HISTORY_ENTRIES_MAX: usize = 10_000;
/// What shows long results a page at a time, when neither a setting nor PAGER says what.
const PAGER: &str = "less -SRFX";

/// The section as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShellLayer {
    /// How rows are shown at the start: a format of rows, or `line`.
    pub mode: Option<String>,
    /// Rows that a table shows at most, half of them from the end; 0 shows all.
    pub rows_max: Option<usize>,
    /// Whether the time of each statement is said.
    pub timer: Option<bool>,
    /// Whether results go through the pager from the start.
    pub pager: Option<bool>,
    /// The command that pages.
    pub pager_command: Option<String>,
    /// The file of the history.
    pub history_file: Option<PathBuf>,
    /// Entries that the history keeps; 0 keeps none, and no file.
    pub history_entries_max: Option<usize>,
}

/// The settings of the shell in force at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellConfig {
    pub mode: Option<String>,
    pub rows_max: usize,
    pub timer: bool,
    pub pager: bool,
    pub pager_command: String,
    /// None when there is no place for it: neither a setting nor a home folder.
    pub history_file: Option<PathBuf>,
    pub history_entries_max: usize,
}

impl ShellConfig {
    /// `variable` looks a variable of the environment up.
    pub fn resolve(layer: ShellLayer, variable: impl Fn(&str) -> Option<String>) -> Self {
        // The XDG rules: a path that is not absolute is ignored.
        let state = variable("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let history = || state.or_else(home).map(|state| state.join("pinsql/history"));
        Self {
            mode: layer.mode,
            rows_max: layer.rows_max.unwrap_or(ROWS_MAX),
            timer: layer.timer.unwrap_or(false),
            pager: layer.pager.unwrap_or(false),
            pager_command: layer.pager_command.or_else(|| variable("PAGER")).unwrap_or_else(|| PAGER.to_owned()),
            history_file: layer.history_file.or_else(history),
            history_entries_max: layer.history_entries_max.unwrap_or(HISTORY_ENTRIES_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_where_the_environment_keeps_state() {
        let resolve = |variables: &'static [(&str, &str)]| {
            ShellConfig::resolve(ShellLayer::default(), |name| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let file = |config: &ShellConfig| config.history_file.as_ref().map(|path| path.display().to_string());
        let config = resolve(&[("HOME", "/home/a"), ("PAGER", "more")]);
        assert_eq!(file(&config).as_deref(), Some("/home/a/.local/state/pinsql/history"));
        assert_eq!((config.pager_command.as_str(), config.pager), ("more", false));
        let config = resolve(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "/state")]);
        assert_eq!(file(&config).as_deref(), Some("/state/pinsql/history"));
        assert_eq!(file(&resolve(&[("XDG_STATE_HOME", "relative")])), None);
    }
}
