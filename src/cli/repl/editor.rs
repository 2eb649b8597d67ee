//! The line editor: reedline with completion, highlighting and validation of SQL.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use reedline::{
    Color, DefaultHinter, DescriptionMode, EditCommand, Emacs, IdeMenu, KeyCode, KeyModifiers, MenuBuilder, Prompt,
    PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline, ReedlineEvent, ReedlineMenu, Signal,
    ValidationResult, Validator, default_emacs_keybindings,
};

use super::complete::SqlCompleter;
use super::highlight::SqlHighlighter;
use super::history;
use super::input::pieces;
use crate::catalog::DEFAULT_SCHEMA;
use crate::config::ShellConfig;
use pinsql_base::error::{Error, ErrorCode, Result};

const MENU: &str = "completion";
/// Maximum number of lines of the completion menu, and of columns of its descriptions.
const MENU_LINES_MAX: u16 = 10;
const DESCRIPTION_COLUMNS_MAX: u16 = 60;

/// The result of reading an input.
pub(super) enum Input {
    Text(String),
    /// Ctrl-C: the input is discarded.
    Cleared,
    /// Ctrl-D on an empty line, SIGTERM, or a terminal that is gone.
    End,
}

pub(super) struct Editor {
    line: Reedline,
}

impl Editor {
    /// Creates the editor, and a warning if the history cannot be saved.
    pub(super) fn open(
        config: &ShellConfig,
        completer: SqlCompleter,
        terminated: &Arc<AtomicBool>,
        colors: bool,
    ) -> (Self, Option<Error>) {
        let (history, warning) = history::open(config);
        let menu = IdeMenu::default()
            .with_name(MENU)
            .with_marker("")
            .with_max_completion_height(MENU_LINES_MAX)
            .with_max_description_width(DESCRIPTION_COLUMNS_MAX)
            .with_max_description_height(MENU_LINES_MAX)
            .with_description_mode(DescriptionMode::PreferRight)
            .with_word_chars("_.:/-*=$");
        let mut keys = default_emacs_keybindings();
        keys.add_binding(
            KeyModifiers::NONE,
            KeyCode::Tab,
            ReedlineEvent::UntilFound(vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext]),
        );
        keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
        keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, ReedlineEvent::Edit(vec![EditCommand::InsertNewline]));
        let line = Reedline::create()
            .with_history(history)
            .with_completer(Box::new(completer))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
            .with_highlighter(Box::new(SqlHighlighter))
            .with_hinter(Box::new(DefaultHinter::default().with_style(Color::DarkGray.normal()).with_min_chars(2)))
            .with_validator(Box::new(CompleteStatements))
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_ansi_colors(colors)
            .with_break_signal(Arc::clone(terminated))
            .use_bracketed_paste(true);
        (Self { line }, warning)
    }

    /// Waits for a complete input.
    pub(super) fn read(&mut self, schema: &str) -> Result<Input> {
        let signal = self
            .line
            .read_line(&ShellPrompt::new(schema))
            .map_err(|error| Error::new(ErrorCode::SystemFailure, "the terminal cannot be read").caused_by(error))?;
        Ok(match signal {
            Signal::Success(text) => Input::Text(text),
            Signal::CtrlC => Input::Cleared,
            _ => Input::End,
        })
    }

    /// The newest entries of the history that contain `text`.
    pub(super) fn history(&self, text: &str, count_max: usize) -> Vec<String> {
        history::newest(self.line.history(), text, count_max)
    }
}

/// Enter runs complete input, and starts another line otherwise.
struct CompleteStatements;

impl Validator for CompleteStatements {
    fn validate(&self, line: &str) -> ValidationResult {
        if pieces(line).1 { ValidationResult::Complete } else { ValidationResult::Incomplete }
    }
}

/// `pinsql> `, with the current schema unless it is the default one.
struct ShellPrompt {
    left: String,
}

impl ShellPrompt {
    fn new(schema: &str) -> Self {
        let left = if schema == DEFAULT_SCHEMA { "pinsql".to_owned() } else { format!("pinsql:{schema}") };
        Self { left }
    }
}

impl Prompt for ShellPrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.left)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{:>width$}> ", "...", width = self.left.len()))
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let state = match search.status {
            PromptHistorySearchStatus::Passing => "search",
            PromptHistorySearchStatus::Failing => "no such entry",
        };
        Cow::Owned(format!(" ({state}: {}) ", search.term))
    }

    fn get_prompt_color(&self) -> Color {
        Color::Green
    }

    fn get_prompt_multiline_color(&self) -> Color {
        Color::DarkGray
    }

    fn get_indicator_color(&self) -> Color {
        Color::Green
    }
}
