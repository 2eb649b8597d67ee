//! The command line: one file for each command, and the list of commands below.
//!
//! Flags do not go beyond this module. A command resolves them into a [`Config`](crate::config::Config) once and passes that on.
//! There is deliberately no command for a cluster: pinsql runs in one process.

mod check;
mod checkpoint;
mod completions;
#[cfg(feature = "kafka")]
mod emulate;
mod failure;
#[cfg(feature = "kafka")]
mod gateway;
mod include;
#[cfg(feature = "kafka")]
mod kafka_config;
mod man;
mod output;
mod progress;
mod repl;
mod rows;
mod run;
mod script;
mod settings;
mod signals;
mod status;
mod stream;
mod version;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind as ErrorOf};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::completions::Shell;
#[cfg(feature = "kafka")]
use self::emulate::EmulateArguments;
use self::failure::Failure;
#[cfg(feature = "kafka")]
use self::gateway::GatewayArguments;
use self::output::{Output, is_broken_pipe};
use self::script::Script;
use self::settings::Settings;
use self::signals::Signals;
use self::stream::StreamArguments;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result};

/// SQL files over JSON objects, kept as Delta Lake tables.
#[derive(Debug, Parser)]
#[command(name = "pinsql", version, max_term_width = 100, disable_help_subcommand = true)]
struct Arguments {
    /// Runs this SQL and prints its rows; can be repeated.
    #[arg(short = 'c', long = "command", value_name = "SQL", allow_hyphen_values = true)]
    sql: Vec<String>,

    /// Runs this SQL file; can be repeated, and combined with -c, in the given order.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    sql_files: Vec<PathBuf>,

    /// The order of `sql` and `sql_files`: true is a file.
    #[arg(skip)]
    sources: Vec<bool>,

    #[command(flatten)]
    settings: Settings,

    #[command(subcommand)]
    subcommand: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the statements of each file in order, and stops at the first error.
    Run {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Starts the interactive shell; on a terminal this is the default.
    Repl,
    /// Refreshes the streaming tables and sinks of the files continuously, until SIGTERM or Ctrl-C.
    Stream {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        arguments: StreamArguments,
    },
    /// Posts records like the users of the pipeline: to Kafka, to Kinesis, to their HTTP APIs, or as objects.
    #[cfg(feature = "kafka")]
    Emulate(Box<EmulateArguments>),
    /// Serves the HTTP API in front of Kafka and Kinesis, until SIGTERM or Ctrl-C.
    #[cfg(feature = "kafka")]
    Gateway(Box<GatewayArguments>),
    /// Inspects the checkpoint of a streaming table or a sink.
    Checkpoint {
        #[command(subcommand)]
        command: CheckpointCommand,
    },
    /// Parses, resolves and type-checks every statement without reading data, and prints the output schemas.
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Prints a script that makes a shell complete commands and flags.
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Prints the manual page of pinsql, or writes the pages of all commands into a folder.
    Man {
        /// The folder for the pages: pinsql.1, pinsql-run.1 and so on
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
}

impl Command {
    /// True if the command handles signals itself: to finish the work in progress, or in the shell to cancel a statement. The
    /// other commands end at once.
    fn handles_signals(&self) -> bool {
        match self {
            Self::Repl | Self::Stream { .. } => true,
            #[cfg(feature = "kafka")]
            Self::Emulate(_) | Self::Gateway(_) => true,
            _ => false,
        }
    }
}

impl Command {
    fn runs_until_signal(&self) -> bool {
        match self {
            Self::Stream { .. } => true,
            #[cfg(feature = "kafka")]
            Self::Emulate(_) | Self::Gateway(_) => true,
            _ => false,
        }
    }
}

#[derive(Debug, Subcommand)]
enum CheckpointCommand {
    /// Prints the position of a streaming table or a sink in its stream.
    Show {
        #[arg(value_name = "TABLE")]
        table: String,
    },
}

/// The stack size of a worker thread. pinsql and DataFusion traverse expressions recursively.
const STACK_BYTES: usize = 16 << 20;

/// The stack size of the thread that plans statements. A list of twenty thousand terms has that depth in a plan. The operating
/// system allocates only the pages that are used.
const PLANNING_STACK_BYTES: usize = 256 << 20;

/// The number of threads for blocking calls in a command that runs until a signal: a fixed number, and more for each processor. The
/// default of the runtime is 512. Every thread keeps some memory. A few calls wait for another call, so the number is not small.
const BLOCKING_THREADS: usize = 16;
const BLOCKING_THREADS_PER_PROCESSOR: usize = 8;

/// The time after which such a thread ends if it has no work: before the next batch. A thread that ends gives back its memory. The
/// default of the runtime is 10 seconds, in which every thread has work again.
const BLOCKING_THREAD_IDLE: Duration = Duration::from_millis(100);

/// Runs the program and returns its exit code. `commit` is the commit of the build, if the build set one. Commands that run until
/// a signal call `return_memory_at_once`, which sets up the allocator of the program.
pub fn main(commit: Option<&str>, return_memory_at_once: fn()) -> ExitCode {
    let arguments = match parse(std::env::args_os(), commit) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let output = Output { log_format: arguments.settings.log_format };
    init_logging(output);
    if arguments.subcommand.as_ref().is_some_and(Command::runs_until_signal) {
        return_memory_at_once();
    }
    // Each spilled batch and each connection of the gateway is an open file. The usual soft limit of 1,024 can be raised without
    // privileges. If this fails, the limit stays.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        output.error(&Error::internal(format!("pinsql stopped at {place}: {text}")), None);
    }));
    let planner = thread::Builder::new().stack_size(PLANNING_STACK_BYTES).spawn(move || execute(arguments, output));
    let Ok(planner) = planner else {
        output.error(&Error::new(ErrorCode::SystemFailure, "the operating system cannot start a thread"), None);
        return ExitCode::from(ErrorKind::Service.exit_code());
    };
    match planner.join() {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) if is_broken_pipe(&failure.error) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            output.error(&failure.error, failure.script.as_deref());
            ExitCode::from(failure.error.kind().exit_code())
        }
        // The panic hook has already printed the error.
        Err(_) => ExitCode::from(ErrorKind::Internal.exit_code()),
    }
}

fn execute(arguments: Arguments, output: Output) -> Result<(), Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_stack_size(STACK_BYTES);
    if arguments.subcommand.as_ref().is_some_and(Command::runs_until_signal) {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        builder.max_blocking_threads(BLOCKING_THREADS + BLOCKING_THREADS_PER_PROCESSOR * processors);
        builder.thread_keep_alive(BLOCKING_THREAD_IDLE);
    }
    let runtime = builder.build().map_err(|error| {
        Error::new(ErrorCode::SystemFailure, "the operating system cannot start a thread").caused_by(error)
    })?;
    let handles_signals = match &arguments.subcommand {
        Some(command) => command.handles_signals(),
        None => arguments.sources.is_empty() && repl::has_terminal(),
    };
    let work = dispatch(arguments, output);
    if handles_signals {
        return runtime.block_on(work);
    }
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let outcome = tokio::select! {
            outcome = work => outcome,
            // Dropping the work removes its spill files and data files. The statement has committed nothing.
            () = signals.next() => {
                let message = "interrupted: the statement in progress has committed nothing";
                Err(Error::new(ErrorCode::Interrupted, message).into())
            }
        };
        pinsql_delta::finish_discards().await;
        outcome
    })
}

async fn dispatch(arguments: Arguments, output: Output) -> Result<(), Failure> {
    let Arguments { sql, sql_files, sources, settings, subcommand } = arguments;
    if !sources.is_empty() && subcommand.is_some() {
        let flag = if sql.is_empty() { "-f" } else { "-c" };
        return Err(Error::usage(format!("{flag} cannot be combined with a command")).into());
    }
    let given = (!sources.is_empty()).then(|| given_scripts(sql, sql_files, sources));
    match (subcommand, given) {
        (Some(Command::Repl), _) => repl::repl(settings, output).await,
        (Some(Command::Run { files }), _) => run::run(read_scripts(&files), settings, output).await,
        (Some(Command::Stream { files, arguments }), _) => {
            stream::stream(read_scripts(&files)?, arguments, settings, output).await
        }
        #[cfg(feature = "kafka")]
        (Some(Command::Emulate(arguments)), _) => Ok(emulate::emulate(*arguments, settings, output).await?),
        #[cfg(feature = "kafka")]
        (Some(Command::Gateway(arguments)), _) => gateway::gateway(*arguments, output).await,
        (Some(Command::Checkpoint { command: CheckpointCommand::Show { table } }), _) => {
            checkpoint::show(&table, settings, output).await
        }
        (Some(Command::Check { files }), _) => check::check(read_scripts(&files)?, settings, output).await,
        (Some(Command::Completions { shell }), _) => {
            Ok(completions::completions(shell, Arguments::command(), output)?)
        }
        (Some(Command::Man { out }), _) => Ok(man::man(out.as_deref(), Arguments::command(), output)?),
        (None, Some(scripts)) => run_scripts(scripts, settings, output).await,
        (None, None) if !io::stdin().is_terminal() => {
            run_scripts(read_standard_input().map(|script| vec![script]), settings, output).await
        }
        (None, None) if repl::has_terminal() => repl::repl(settings, output).await,
        (None, None) => Err(Error::usage("there is nothing to run")
            .with_hint("pinsql run FILE…, pinsql -c 'SQL', or SQL on standard input; the shell needs a terminal for its output")
            .into()),
    }
}

/// Runs SQL, or SQL with commands of the shell between its statements.
async fn run_scripts(scripts: Result<Vec<Script>>, settings: Settings, output: Output) -> Result<(), Failure> {
    match scripts {
        Ok(scripts) if scripts.iter().any(|script| repl::has_commands(&script.text)) => {
            repl::batch(scripts, settings, output).await
        }
        scripts => run::run(scripts, settings, output).await,
    }
}

/// The texts of -c and -f in their order.
fn given_scripts(sql: Vec<String>, files: Vec<PathBuf>, sources: Vec<bool>) -> Result<Vec<Script>> {
    let (mut sql, mut files) = (sql.into_iter(), files.into_iter());
    let mut scripts = Vec::with_capacity(sources.len());
    for is_file in sources {
        match is_file {
            true => scripts.extend(files.next().map(|file| Script::read(&file)).transpose()?),
            false => scripts.extend(sql.next().map(|text| Script::new("<command line>", text))),
        }
    }
    Ok(scripts)
}

/// Reads all files before the first statement runs, so that a missing file has no side effects.
fn read_scripts(files: &[PathBuf]) -> Result<Vec<Script>> {
    files.iter().map(|file| Script::read(file)).collect()
}

fn read_standard_input() -> Result<Script> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Error::usage("standard input is not SQL text").caused_by(error))?;
    Ok(Script::new("<standard input>", text))
}

/// Prints clap's own text for a usage error, help or version. Its exit codes 0 and 2 are also ours.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Prints the logs of the libraries if `PINSQL_LOG` has a tracing filter, such as `debug`.
fn init_logging(output: Output) {
    let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("PINSQL_LOG") else { return };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match output.log_format {
        output::LogFormat::Text => subscriber.init(),
        output::LogFormat::Json => subscriber.json().init(),
    }
}

/// Parses the command line. The long version has the commit, which is not a constant, so clap's derived `parse` is not enough.
fn parse(arguments: impl IntoIterator<Item = OsString>, commit: Option<&str>) -> Result<Arguments, clap::Error> {
    // clap needs a static string, so it is leaked once.
    let mut command = Arguments::command().long_version(&*version::long(commit).leak());
    let matches = command.try_get_matches_from_mut(arguments).map_err(with_tip)?;
    let mut arguments = Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    arguments.sources = order_of_sources(&matches);
    Ok(arguments)
}

/// Whether each of -c and -f is a file, in the order of the command line.
fn order_of_sources(matches: &ArgMatches) -> Vec<bool> {
    let places = |name: &str, is_file: bool| {
        matches.indices_of(name).into_iter().flatten().map(move |place| (place, is_file)).collect::<Vec<_>>()
    };
    let mut sources = [places("sql", false), places("sql_files", true)].concat();
    sources.sort_unstable();
    sources.into_iter().map(|(_, is_file)| is_file).collect()
}

/// Adds a tip if a SQL file is in the place of a command.
fn with_tip(mut error: clap::Error) -> clap::Error {
    if let (ErrorOf::InvalidSubcommand, Some(ContextValue::String(given))) =
        (error.kind(), error.get(ContextKind::InvalidSubcommand))
        && Path::new(given).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
    {
        let tip = format!("to run a SQL file: `pinsql run {given}`");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        parse(std::iter::once(&"pinsql").chain(arguments).map(OsString::from), None)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        assert!(parsed(&["run"]).is_err());
        assert_eq!(
            parsed(&["run", "a.sql", "--param", "a=b=c"]).unwrap().settings.params,
            [("a".to_owned(), "b=c".to_owned())]
        );
    }

    #[test]
    fn texts_and_files_keep_their_order() {
        let arguments = parsed(&["-c", "SELECT 1", "-f", "a.sql", "-c", "-- 2", "--file", "b.sql"]).unwrap();
        assert_eq!(arguments.sources, [false, true, false, true]);
        assert_eq!((arguments.sql.len(), arguments.sql_files.len()), (2, 2));
        assert!(parsed(&["run", "a.sql"]).unwrap().sources.is_empty());
    }
}
