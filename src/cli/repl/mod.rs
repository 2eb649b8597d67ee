//! `pinsql` and `pinsql repl`: the interactive shell.
//!
//! The shell has one session. So USE, temporary views, session variables and parameters last from statement to statement.
//! Statements run as in `pinsql run` (`cli::run`). The shell adds a line editor (`editor`, `complete`, `highlight`, `history`),
//! tables that fit the terminal (`display`, `chart`), and commands (`commands`). An error, Ctrl-C or a panic ends the
//! statement, not the shell (`stops`).
//!
//! Statements run on the thread that waits for keys, since it has the large stack for planning. Completion uses the runtime's
//! threads.
//!
//! Texts with commands that come from a pipe, a file or `-c` run here too ([`batch`]), without the line editor.

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

pub(super) use self::input::has_commands;
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

/// The width of the terminal.
pub(super) fn terminal_columns() -> usize {
    terminal::size().columns
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
    /// None if the commands do not come from a terminal.
    editor: Option<Editor>,
    /// The number of files that `.read` is in.
    files_open: usize,
}

/// Maximum depth of files that run files.
const FILES_DEPTH_MAX: usize = 32;

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
    let mut shell = Shell::open(&settings, output, true).await?;
    output.note(concat!("pinsql ", env!("CARGO_PKG_VERSION"), ": .help lists the commands; a statement ends with `;`"));
    if shell.start_up().await == Next::Leave {
        return Ok(());
    }
    loop {
        let schema = shell.session.current_schema();
        let Some(editor) = &mut shell.editor else { return Ok(()) };
        let text = match editor.read(&schema)? {
            Input::Text(text) => text,
            Input::Cleared => continue,
            Input::End => return Ok(()),
        };
        if shell.run_input(&Script::new("<shell>", text)).await == Next::Leave {
            return Ok(());
        }
    }
}

/// Runs texts with commands that do not come from a terminal. It stops at the first error. Tables have all rows and columns.
pub(super) async fn batch(scripts: Vec<Script>, settings: Settings, output: Output) -> Result<(), Failure> {
    if settings.report.is_some() {
        return Err(Error::usage("--report cannot be combined with commands of the shell").into());
    }
    // A syntax error is found before the first statement runs.
    for script in &scripts {
        for (piece, script) in placed_pieces(script) {
            if let Piece::Sql(_) = piece {
                statements(vec![script])?;
            }
        }
    }
    let mut shell = Shell::open(&settings, output, false).await?;
    for script in &scripts {
        if shell.run_text(script).await? == Next::Leave {
            break;
        }
    }
    Ok(())
}

/// The pieces of a script, each as a script with the same line numbers.
fn placed_pieces(script: &Script) -> Vec<(Piece<'_>, Script)> {
    let text = &script.text;
    let mut read = 0;
    let place = |piece: &Piece<'_>| match *piece {
        Piece::Command(_) => Script::new(script.name.clone(), String::new()),
        Piece::Sql(sql) => {
            let start = text[read..].find(sql).map_or(read, |start| read + start);
            read = start + sql.len();
            let lines = "\n".repeat(text[..start].matches('\n').count());
            Script::new(script.name.clone(), lines + sql)
        }
    };
    let (found, _) = pieces(text);
    let scripts: Vec<Script> = found.iter().map(place).collect();
    found.into_iter().zip(scripts).collect()
}

impl Shell {
    async fn open(settings: &Settings, output: Output, is_terminal: bool) -> Result<Self, Failure> {
        let config = settings.resolve()?;
        let format = if is_terminal { settings.shell_format(&config)? } else { settings.format(&config)? };
        let session = Arc::new(Session::new(config).await?);
        let stops = Stops::listen()?;
        let lookups = Lookups::new(Arc::clone(&session), Handle::current());
        let shell = &session.config().shell;
        let editor = is_terminal.then(|| {
            let completer = SqlCompleter::new(lookups.clone());
            let (editor, warning) = Editor::open(shell, completer, &stops.terminated, output.data_has_colors());
            if let Some(warning) = warning {
                let causes = warning.causes().join(": ");
                output.warning(&format!("{}: {causes}", warning.message));
            }
            editor
        });
        let screen = Screen {
            output,
            format,
            rows_max: shell.rows_max,
            is_terminal,
            is_paged: shell.pager && is_terminal,
            pager_command: shell.pager_command.clone(),
            file: None,
            once: None,
            last: None,
            memory: session.memory_pool(),
        };
        let (timer, allow_gap) = (shell.timer, settings.allow_gap);
        Ok(Self { session, output, screen, timer, allow_gap, last_query: None, stops, lookups, editor, files_open: 0 })
    }

    /// Runs the start-up file, if there is one. Its errors do not end the shell.
    async fn start_up(&mut self) -> Next {
        let Some(file) = self.session.config().shell.startup_file.clone().filter(|file| file.exists()) else {
            return Next::Continue;
        };
        match Script::read(&file) {
            Ok(script) => self.run_input(&script).await,
            Err(error) => {
                self.output.error(&error, None);
                Next::Continue
            }
        }
    }

    /// Runs the input, and prints its error.
    async fn run_input(&mut self, script: &Script) -> Next {
        let next = self.run_text(script).await.unwrap_or_else(|failure| {
            self.output.error(&failure.error, failure.script.as_deref());
            Next::Continue
        });
        self.lookups.forget();
        next
    }

    /// Runs a file of `.read`.
    async fn run_file(&mut self, script: &Script) -> Result<Next, Failure> {
        if self.files_open >= FILES_DEPTH_MAX {
            let what = format!("files run other files more than {FILES_DEPTH_MAX} levels deep");
            return Err(Error::new(ErrorCode::InvalidSqlFile, what).into());
        }
        self.files_open += 1;
        let next = self.run_text(script).await;
        self.files_open -= 1;
        next
    }

    /// Runs the input, and stops at the first piece that fails.
    async fn run_text(&mut self, script: &Script) -> Result<Next, Failure> {
        for (piece, script) in placed_pieces(script) {
            let next = match piece {
                Piece::Command(line) => commands::run(self, line).await?,
                Piece::Sql(_) => self.run_script(script).await?,
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
        self.editor.as_ref().map_or_else(Vec::new, |editor| editor.history(text, count_max))
    }
}

fn interrupted() -> Error {
    Error::new(ErrorCode::Interrupted, "interrupted")
}
