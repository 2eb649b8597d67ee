//! `pinsql stream`: refreshes the streaming tables and sinks of the files until a signal comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;

use super::failure::Failure;
use super::include::{Placed, statements_with};
use super::output::Output;
use super::script::Script;
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
    /// The time from one micro-batch to the next, such as 200ms; a backlog is processed without waiting
    #[arg(long, env = "PINSQL_TRIGGER", value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    trigger: Duration,

    /// Maximum time for the batches in progress after SIGTERM or Ctrl-C
    #[arg(long, env = "PINSQL_SHUTDOWN_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    shutdown_timeout: Duration,

    /// Serve /metrics (Prometheus) and /healthz here, such as 127.0.0.1:9090
    #[arg(long, env = "PINSQL_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Runs the definitions, and then follows every streaming table and sink until a signal comes.
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
    // The pages come first: a reader of the status line finds the batch already counted in the metrics.
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

/// All streaming tables and sinks of the scripts, each with its place. Refuses statements that read or write data.
async fn define(
    session: &Session,
    statements: Vec<Placed>,
    output: Output,
) -> Result<(Vec<Flow>, Vec<(pinsql_base::error::Span, Arc<Script>)>), Failure> {
    let (mut flows, mut places) = (Vec::<Flow>::new(), Vec::new());
    for Placed { statement, script } in statements {
        let failed = |error: Error| Failure::in_script(error.at(statement.span), &script);
        if !is_definition(&statement.kind) {
            return Err(failed(
                Error::new(ErrorCode::NotAStream, "this statement cannot be part of a stream").with_hint(
                    "`pinsql stream` runs streaming tables, sinks and definitions; `pinsql run` runs all other statements",
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
        true => Err(Error::new(ErrorCode::NotAStream, "these files have no streaming table and no sink")
            .with_hint("CREATE OR REFRESH STREAMING TABLE … AS SELECT … FROM STREAM …")
            .into()),
        false => Ok((flows, places)),
    }
}

/// True for statements that only define something.
fn is_definition(kind: &StatementKind) -> bool {
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

/// Stops the stream at the first signal. Completes with an error if that takes too long, or at a second signal.
async fn overdue(mut signals: Signals, stop: watch::Sender<bool>, timeout: Duration, output: Output) -> Error {
    signals.next().await;
    output.note("stopping: finishing the batches in progress");
    stop.send_replace(true);
    let why = tokio::select! {
        () = tokio::time::sleep(timeout) => format!("the batches in progress were not finished within {timeout:?}"),
        () = signals.next() => "stopped by a second signal".to_owned(),
    };
    Error::new(ErrorCode::Interrupted, why).with_hint("no data is lost: the next start continues with them")
}

struct Unwatched;

impl Watch for Unwatched {
    fn started(&self, _plan: &Arc<dyn datafusion::physical_plan::ExecutionPlan>) -> Box<dyn Send> {
        Box::new(())
    }
}
