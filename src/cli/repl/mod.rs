//! `pinsql` and `pinsql repl`: the interactive shell.
//!
//! The shell has one session. So USE, temporary views, session variables and parameters last from statement to statement.
//! Statements run as in `pinsql run` (`cli::run`). The shell adds a line editor (`editor`, `complete`, `highlight`, `history`),
//! tables that fit the terminal (`display`, `chart`), and commands (`commands`). An error, Ctrl-C or a panic ends the
//! statement, not the shell (`stops`).
//!
//! Statements run on the thread that waits for keys, since it has the large stack for planning. Completion uses the runtime's
//! threads.

mod chart;
mod commands;
mod complete;
mod display;
mod editor;
mod highlight;
mod history;
mod input;
mod stops;
mod terminal;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;

use self::complete::{Lookups, SqlCompleter};
use self::display::Screen;
use self::editor::{Editor, Input};
use self::input::{Piece, pieces};
use self::stops::{Ended, Stops};
use super::failure::Failure;
use super::include::{Placed, statements};
use super::output::Output;
use super::run::{Runner, ShowRows};
use super::script::Script;
use super::settings::Settings;
use crate::session::Session;
use crate::statement::{Rows, StatementKind};
use pinsql_base::error::{Error, ErrorCode, Result};

/// True if standard input and standard output are terminals.
pub(super) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Whether the shell continues after a command or a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    Leave,
}

struct Shell {
    session: Arc<Session>,
    output: Output,
    screen: Screen,
    timer: bool,
    allow_gap: bool,
    /// The text of the last query, for `.explain`.
    last_query: Option<String>,
    stops: Stops,
    lookups: Lookups,
    editor: Editor,
}

/// Runs the shell until the user leaves it.
pub(super) async fn repl(settings: Settings, output: Output) -> Result<(), Failure> {
    if !has_terminal() {
        return Err(Error::usage("the shell needs a terminal for input and output")
            .with_hint("pinsql -c 'SQL', pinsql run FILE…, or SQL on standard input")
            .into());
    }
    if settings.report.is_some() {
        return Err(Error::usage("the shell has no --report: use it with `pinsql run`").into());
    }
    let mut shell = Shell::open(&settings, output).await?;
    output.note(concat!("pinsql ", env!("CARGO_PKG_VERSION"), ": .help lists the commands; a statement ends with `;`"));
    loop {
        let schema = shell.session.current_schema();
        let text = match shell.editor.read(&schema)? {
            Input::Text(text) => text,
            Input::Cleared => continue,
            Input::End => return Ok(()),
        };
        let next = shell.run_text(&text).await.unwrap_or_else(|failure| {
            output.error(&failure.error, failure.script.as_deref());
            Next::Continue
        });
        shell.lookups.forget();
        if next == Next::Leave {
            return Ok(());
        }
    }
}

impl Shell {
    async fn open(settings: &Settings, output: Output) -> Result<Self, Failure> {
        let config = settings.resolve()?;
        let format = settings.shell_format(&config)?;
        let session = Arc::new(Session::new(config).await?);
        let stops = Stops::listen()?;
        let lookups = Lookups::new(Arc::clone(&session), Handle::current());
        let shell = &session.config().shell;
        let completer = SqlCompleter::new(lookups.clone());
        let (editor, warning) = Editor::open(shell, completer, &stops.terminated, output.data_has_colors());
        if let Some(warning) = warning {
            let causes = warning.causes().join(": ");
            output.warning(&format!("{}: {causes}", warning.message));
        }
        let screen = Screen {
            output,
            format,
            rows_max: shell.rows_max,
            is_paged: shell.pager,
            pager_command: shell.pager_command.clone(),
            file: None,
            once: None,
            last: None,
            memory: session.memory_pool(),
        };
        let (timer, allow_gap) = (shell.timer, settings.allow_gap);
        Ok(Self { session, output, screen, timer, allow_gap, last_query: None, stops, lookups, editor })
    }

    /// Runs the input, and stops at the first piece that fails.
    async fn run_text(&mut self, text: &str) -> Result<Next, Failure> {
        for piece in pieces(text).0 {
            let next = match piece {
                Piece::Command(line) => commands::run(self, line).await?,
                Piece::Sql(sql) => self.run_sql(sql).await?,
            };
            if next == Next::Leave {
                return Ok(Next::Leave);
            }
        }
        Ok(Next::Continue)
    }

    async fn run_sql(&mut self, sql: &str) -> Result<Next, Failure> {
        self.run_script(Script::new("<shell>", sql.to_owned())).await
    }

    async fn run_script(&mut self, script: Script) -> Result<Next, Failure> {
        let text = script.text.clone();
        let placed = statements(vec![script])?;
        if let [Placed { statement, .. }] = placed.as_slice()
            && matches!(statement.kind, StatementKind::Query(_))
        {
            self.last_query = Some(text);
        }
        for placed in placed {
            if self.run_statement(&placed).await? == Next::Leave {
                return Ok(Next::Leave);
            }
        }
        Ok(Next::Continue)
    }

    async fn run_statement(&mut self, placed: &Placed) -> Result<Next, Failure> {
        let Self { session, output, screen, stops, allow_gap, .. } = self;
        let started = Instant::now();
        let mut runner = Runner { session, rows: screen, output: *output, allow_gap: *allow_gap };
        let ended = stops.run(runner.run_one(&placed.statement)).await;
        match ended {
            Ended::Done(Ok(_)) => {}
            Ended::Done(Err(error)) => {
                return Err(Failure::in_script(error.at(placed.statement.span), &placed.script));
            }
            Ended::Interrupted => return Err(interrupted().into()),
            Ended::Terminated => return Ok(Next::Leave),
            // The panic hook has printed the error.
            Ended::Failed => {}
        }
        if self.timer {
            self.output.note(&format!("{} ms", started.elapsed().as_millis()));
        }
        Ok(Next::Continue)
    }

    /// Runs the work of a command, unless a signal or a panic stops it.
    async fn guarded<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.stops.run(work).await {
            Ended::Done(result) => result,
            // At SIGTERM the editor ends the shell.
            Ended::Interrupted | Ended::Terminated | Ended::Failed => Err(interrupted()),
        }
    }

    /// Shows the rows of a command.
    async fn show(&mut self, rows: Rows) -> Result<()> {
        self.screen.show(rows.stream, None).await
    }

    fn history(&self, text: &str, count_max: usize) -> Vec<String> {
        self.editor.history(text, count_max)
    }
}

fn interrupted() -> Error {
    Error::new(ErrorCode::Interrupted, "interrupted")
}
