//! The settings of the interactive shell: `[shell]` in `pinsql.toml`, and the environment variables for its files and its pager.

use std::path::PathBuf;

use serde::Deserialize;

/// The default of `rows_max`.
const ROWS_MAX: usize = 40;
/// The default of `history_entries_max`.
const HISTORY_ENTRIES_MAX: usize = 10_000;
/// The default of `pager_command`, if PAGER is not set.
const PAGER: &str = "less -SRFX";

/// The section in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShellLayer {
    /// The output mode at the start: a format of rows, or `line`.
    pub mode: Option<String>,
    /// The maximum number of rows in a table. Half of them are from the end. 0 shows all.
    pub rows_max: Option<usize>,
    /// Whether the shell prints the time of each statement.
    pub timer: Option<bool>,
    /// Whether the pager is on at the start.
    pub pager: Option<bool>,
    /// The command of the pager.
    pub pager_command: Option<String>,
    /// The path of the history file.
    pub history_file: Option<PathBuf>,
    /// The maximum number of entries in the history. 0 keeps none, and writes no file.
    pub history_entries_max: Option<usize>,
    /// The path of the file that the shell runs when it starts.
    pub startup_file: Option<PathBuf>,
}

/// The resolved settings of the shell. [`ShellLayer`] describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellConfig {
    pub mode: Option<String>,
    pub rows_max: usize,
    pub timer: bool,
    pub pager: bool,
    pub pager_command: String,
    /// `None` if there is no setting and no home folder.
    pub history_file: Option<PathBuf>,
    pub history_entries_max: usize,
    /// `None` if there is no setting and no home folder. The file may be absent.
    pub startup_file: Option<PathBuf>,
}

impl ShellConfig {
    /// Resolves the settings. `variable` returns the value of an environment variable.
    pub fn resolve(layer: ShellLayer, variable: impl Fn(&str) -> Option<String>) -> Self {
        // The XDG specification: a path that is not absolute is ignored.
        let folder = |name: &str, in_home: &str| {
            let given = variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
            given.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(in_home)))
        };
        let history = || folder("XDG_STATE_HOME", ".local/state").map(|state| state.join("pinsql/history"));
        let startup = || folder("XDG_CONFIG_HOME", ".config").map(|config| config.join("pinsql/shell.sql"));
        Self {
            mode: layer.mode,
            rows_max: layer.rows_max.unwrap_or(ROWS_MAX),
            timer: layer.timer.unwrap_or(false),
            pager: layer.pager.unwrap_or(false),
            pager_command: layer.pager_command.or_else(|| variable("PAGER")).unwrap_or_else(|| PAGER.to_owned()),
            history_file: layer.history_file.or_else(history),
            history_entries_max: layer.history_entries_max.unwrap_or(HISTORY_ENTRIES_MAX),
            startup_file: layer.startup_file.or_else(startup),
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
        assert_eq!(config.startup_file, Some(PathBuf::from("/home/a/.config/pinsql/shell.sql")));
        let config = resolve(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "/state")]);
        assert_eq!(file(&config).as_deref(), Some("/state/pinsql/history"));
        assert_eq!(file(&resolve(&[("XDG_STATE_HOME", "relative")])), None);
    }
}
