//! `pinsql stream`: the streaming tables and sinks of the files, refreshed until somebody stops them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;

use super::Failure;
use super::output::Output;
use super::script::{Placed, Script, statements_with};
use super::settings::{Settings, parse_duration};
use super::signals::Signals;
use super::status::Status;
use crate::session::Session;
use crate::statement::{self, Flow, Outcome, StatementKind, Watch};
use crate::stream::{Both, FollowOptions, Health, Metrics, Pages, follow, listen};
use pinsql_base::error::{Error, ErrorCode, Result};

/// The flags of a stream.
#[derive(Debug, Args)]
pub(super) struct StreamArguments {
    /// The time from one micro-batch to the next, such as 200ms; a backlog is worked off without waiting
    #[arg(long, env = "PINSQL_TRIGGER", value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    trigger: Duration,

    /// How long the batches in hand may take after SIGTERM or Ctrl-C
    #[arg(long, env = "PINSQL_SHUTDOWN_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    shutdown_timeout: Duration,

    /// Serve /metrics (Prometheus) and /healthz here, such as 127.0.0.1:9090
    #[arg(long, env = "PINSQL_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Runs the statements that define things, and then follows every streaming table and sink until a signal comes.
pub(super) async fn stream(
    scripts: Vec<Script>,
    arguments: StreamArguments,
    settings: Settings,
    output: Output,
) -> Result<(), Failure> {
    let session = Session::new(settings.resolve()?).await?;
    let placed = statements_with(scripts, &settings.params, &session.params())?;
    let (flows, places) = define(&session, placed, output).await?;
    let (stop, stopped) = watch::channel(false);
    let options = FollowOptions { trigger: arguments.trigger, allow_gap: settings.allow_gap, stop: stopped };
    let pages = Arc::new(Pages {
        metrics: Metrics::new(),
        health: Health::new(flows.iter().map(|flow| &flow.name), arguments.trigger),
    });
    let listening = match arguments.listen {
        Some(address) => Some(listen(address, Arc::clone(&pages)).await?),
        None => None,
    };
    if let Some(listening) = &listening {
        output.note(&format!("serving http://{0}/metrics and http://{0}/healthz", listening.address));
    }
    let status = Status::new(output);
    // Who is told that a batch landed finds it counted.
    let observer = Both(pages.as_ref(), &status);
    let signals = Signals::listen()?;
    let outcome = tokio::select! {
        outcome = follow(&session, &flows, options, &observer) => outcome,
        error = overdue(signals, stop, arguments.shutdown_timeout, output) => return Err(error.into()),
    };
    status.finish();
    outcome.map_err(|(index, error)| match places.into_iter().nth(index) {
        Some((span, script)) => Failure::in_script(error.at(span), &script),
        None => error.into(),
    })
}

/// All streaming tables and sinks of the scripts, each with its place. A statement that reads or writes data has no place in a stream.
async fn define(
    session: &Session,
    statements: Vec<Placed>,
    output: Output,
) -> Result<(Vec<Flow>, Vec<(pinsql_base::error::Span, Arc<Script>)>), Failure> {
    let (mut flows, mut places) = (Vec::<Flow>::new(), Vec::new());
    for Placed { statement, script } in statements {
        let failed = |error: Error| Failure::in_script(error.at(statement.span), &script);
        if !may_stand_in_a_stream(&statement.kind) {
            return Err(failed(
                Error::new(ErrorCode::NotAStream, "this statement ends, and a stream does not").with_hint(
                    "`pinsql stream` takes streaming tables, sinks and what defines them; `pinsql run` runs the rest",
                ),
            ));
        }
        match statement::execute(session, &statement, &Unwatched).await.map_err(failed)? {
            Outcome::Stream(flow) => {
                if flows.iter().any(|known| known.name == flow.name) {
                    return Err(failed(Error::new(
                        ErrorCode::TableOrViewAlreadyExists,
                        format!("{} is defined twice", flow.name),
                    )));
                }
                flows.push(*flow);
                places.push((statement.span, script));
            }
            Outcome::Done(text) | Outcome::Defined { text, .. } => output.note(&text),
            Outcome::Rows(_) | Outcome::Written(_) | Outcome::Prepared => {}
        }
    }
    match flows.is_empty() {
        true => Err(Error::new(ErrorCode::NotAStream, "there is no streaming table and no sink in these files")
            .with_hint("CREATE OR REFRESH STREAMING TABLE … AS SELECT … FROM STREAM …")
            .into()),
        false => Ok((flows, places)),
    }
}

/// Statements that define something and are done at once.
fn may_stand_in_a_stream(kind: &StatementKind) -> bool {
    match kind {
        StatementKind::CreateStreamingTable(_)
        | StatementKind::CreateSink(_)
        | StatementKind::CreateView(_)
        | StatementKind::DeclareVariable(_)
        | StatementKind::DropView { .. }
        | StatementKind::CreateSchema { .. }
        | StatementKind::Use { .. } => true,
        StatementKind::CreateTable(create) => create.query.is_none(),
        _ => false,
    }
}

/// Asks the stream to end when a signal comes, and ends when it takes too long or a second signal comes.
async fn overdue(mut signals: Signals, stop: watch::Sender<bool>, timeout: Duration, output: Output) -> Error {
    signals.next().await;
    output.note("stopping: the batches in hand are finished first");
    stop.send_replace(true);
    let why = tokio::select! {
        () = tokio::time::sleep(timeout) => format!("the batches in hand were not finished within {timeout:?}"),
        () = signals.next() => "stopped by a second signal".to_owned(),
    };
    Error::new(ErrorCode::Interrupted, why).with_hint("nothing is lost: the next start finishes them")
}

struct Unwatched;

impl Watch for Unwatched {
    fn started(&self, _plan: &Arc<dyn datafusion::physical_plan::ExecutionPlan>) -> Box<dyn Send> {
        Box::new(())
    }
}
