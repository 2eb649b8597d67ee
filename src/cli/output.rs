//! The only module that writes to standard output and standard error.
//!
//! Standard output has only data, so that it can be piped. Messages (ledgers, notes, warnings, errors) go to standard error: as
//! text, or with `--log-format json` as one JSON object per line.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::json;

use super::script::Script;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Span};

/// The format of messages on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The two streams of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) log_format: LogFormat,
}

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();
const BLUE: Style = AnsiColor::Blue.on_default().bold();

impl Output {
    /// True if messages are text on a terminal. Only then there are progress bars.
    pub(crate) fn is_watched(self) -> bool {
        self.log_format == LogFormat::Text && io::stderr().is_terminal()
    }

    /// True if messages are JSON.
    #[cfg(feature = "kafka")]
    pub(crate) fn is_json(self) -> bool {
        self.log_format == LogFormat::Json
    }

    /// True if standard output is a terminal.
    pub(crate) fn data_is_watched(self) -> bool {
        io::stdout().is_terminal()
    }

    /// True if data may have colours: not with `NO_COLOR`, and not on a terminal without colours.
    pub(crate) fn data_has_colors(self) -> bool {
        anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
    }

    /// A buffered writer to standard output. The caller must flush it.
    pub(crate) fn data(self) -> impl Write {
        io::BufWriter::with_capacity(1 << 16, io::stdout().lock())
    }

    /// Prints one line of information.
    pub(crate) fn note(self, text: &str) {
        self.message(text, || json!({"level": "info", "message": text}));
    }

    /// Prints a warning.
    pub(crate) fn warning(self, text: &str) {
        self.message(&format!("{YELLOW}warning:{YELLOW:#} {text}"), || json!({"level": "warning", "message": text}));
    }

    /// Prints one JSON object as a line on standard error.
    pub(crate) fn record(self, record: &serde_json::Value) {
        // If standard error is closed, there is no place for a message.
        let _ = writeln!(io::stderr().lock(), "{record}");
    }

    /// Prints an error with its code, and the line of the script that its span refers to.
    pub(crate) fn error(self, error: &Error, script: Option<&Script>) {
        self.message(render_error(error, script).trim_end(), || error_as_json(error, script));
    }

    fn message(self, text: &str, record: impl FnOnce() -> serde_json::Value) {
        // If standard error is closed, there is no place for a message.
        let _ = match self.log_format {
            LogFormat::Text => writeln!(anstream::stderr().lock(), "{text}"),
            LogFormat::Json => writeln!(io::stderr().lock(), "{}", record()),
        };
    }
}

/// The error of a failed write to standard output. [`is_broken_pipe`] recognizes the harmless case.
pub(crate) fn stdout_error(error: io::Error) -> Error {
    Error::new(ErrorCode::OutputFailure, "standard output cannot be written").caused_by(error)
}

/// True if the reader of standard output has closed it, as `head` does. The program then ends with success.
pub(crate) fn is_broken_pipe(error: &Error) -> bool {
    let cause = error.source.as_ref().and_then(|source| source.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn render_error(error: &Error, script: Option<&Script>) -> String {
    let mut text = format!("{RED}error[{}]:{RED:#} {}\n", error.code, error.message);
    if let Some(script) = script {
        match error.span {
            Some(span) if span.start.0 > 0 => render_place(&mut text, script, span),
            _ if script.is_file() => push_line(&mut text, format_args!("  {BLUE}-->{BLUE:#} {}", script.name)),
            _ => {}
        }
    }
    for cause in error.causes() {
        push_line(&mut text, format_args!("{CYAN}caused by:{CYAN:#} {cause}"));
    }
    if let Some(hint) = &error.hint {
        push_line(&mut text, format_args!("{CYAN}hint:{CYAN:#} {hint}"));
    }
    if error.kind() == ErrorKind::Internal {
        push_line(&mut text, format_args!("this is a fault of pinsql, not of your SQL or data"));
    }
    text
}

fn render_place(text: &mut String, script: &Script, span: Span) {
    let (line, column) = span.start;
    push_line(text, format_args!("  {BLUE}-->{BLUE:#} {}:{line}:{column}", script.name));
    let Some(source) = usize::try_from(line).ok().and_then(|line| script.text.lines().nth(line.checked_sub(1)?)) else {
        return;
    };
    let gutter = line.to_string().len();
    let before: String = source
        .chars()
        .take(usize::try_from(column).unwrap_or(1).saturating_sub(1))
        .map(|character| if character == '\t' { '\t' } else { ' ' })
        .collect();
    let width = if span.end.0 == line { span.end.1.saturating_sub(column).max(1) } else { 1 };
    let carets = "^".repeat(usize::try_from(width).unwrap_or(1));
    push_line(text, format_args!(" {:gutter$} {BLUE}|{BLUE:#}", ""));
    push_line(text, format_args!(" {BLUE}{line} |{BLUE:#} {source}"));
    push_line(text, format_args!(" {:gutter$} {BLUE}|{BLUE:#} {before}{RED}{carets}{RED:#}", ""));
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{line}");
}

fn error_as_json(error: &Error, script: Option<&Script>) -> serde_json::Value {
    json!({
        "level": "error",
        "code": error.code.name(),
        "message": error.message,
        "file": script.map(|script| script.name.as_str()),
        "line": error.span.map(|span| span.start.0),
        "column": error.span.map(|span| span.start.1),
        "causes": error.causes(),
        "hint": error.hint,
        "exit_code": error.kind().exit_code(),
    })
}
