//! The only writer to standard output and standard error.
//!
//! Standard output carries data and nothing else, so that it can be piped. Whatever is said about the data (ledgers,
//! notes, warnings, errors) goes to standard error, as text for people or, with `--log-format json`, as one JSON
//! object a line for machines.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::json;

use super::script::Script;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Span};

/// How what is said on standard error is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The two streams of the process.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub log_format: LogFormat,
}

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();
const BLUE: Style = AnsiColor::Blue.on_default().bold();

impl Output {
    /// Whether somebody watches: only then are there progress bars.
    pub fn is_watched(self) -> bool {
        self.log_format == LogFormat::Text && io::stderr().is_terminal()
    }

    /// Whether what is said is for machines.
    pub fn is_json(self) -> bool {
        self.log_format == LogFormat::Json
    }

    /// Whether the rows themselves go to a terminal.
    pub fn data_is_watched(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether data on the terminal may have colours: not with `NO_COLOR`, nor on a terminal that has none.
    pub fn data_has_colors(self) -> bool {
        anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
    }

    /// Standard output, to be flushed by whoever wrote the last of the data.
    pub fn data(self) -> impl Write {
        io::BufWriter::with_capacity(1 << 16, io::stdout().lock())
    }

    /// One line about what was done.
    pub fn note(self, text: &str) {
        self.say(text, || json!({"level": "info", "message": text}));
    }

    pub fn warning(self, text: &str) {
        self.say(&format!("{YELLOW}warning:{YELLOW:#} {text}"), || json!({"level": "warning", "message": text}));
    }

    /// One JSON object about what happens, for machines.
    pub fn record(self, record: &serde_json::Value) {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{record}");
    }

    /// An error, with the line of the script it points at.
    pub fn error(self, error: &Error, script: Option<&Script>) {
        self.say(render_error(error, script).trim_end(), || error_as_json(error, script));
    }

    fn say(self, text: &str, record: impl FnOnce() -> serde_json::Value) {
        // Nobody is left to tell when standard error is closed.
        let _ = match self.log_format {
            LogFormat::Text => writeln!(anstream::stderr().lock(), "{text}"),
            LogFormat::Json => writeln!(io::stderr().lock(), "{}", record()),
        };
    }
}

/// What remains of an error that standard output gave: a reader that went away is no error at all.
pub fn stdout_error(error: io::Error) -> Error {
    Error::new(ErrorCode::OutputFailure, "standard output cannot be written").caused_by(error)
}

/// Whether `error` says that the reader of standard output went away.
pub fn is_broken_pipe(error: &Error) -> bool {
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
