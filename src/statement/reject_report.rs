//! The rejected records of a query that writes no table. They are reported on standard error with their places. The report also
//! has what the scans of the query say about fields and objects that they did not read.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use pinsql_base::error::{Error, Result};
use pinsql_base::rejects::Reject;
use pinsql_sources::objects;

/// The number of records that the report names. More are only counted.
const SHOWN_MAX: usize = 10;

/// Collects the rejects of a running query, for a report on standard error.
#[derive(Debug, Default)]
pub struct RejectReport {
    collector: Option<Collector>,
    plan: Option<Arc<dyn ExecutionPlan>>,
}

#[derive(Debug)]
struct Collector {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Collected>,
}

/// A source, the number of the record in it, and the line of the report.
type Place = (String, u64, String);

#[derive(Debug, Default)]
struct Collected {
    count: u64,
    /// The first by source and number, so that two runs over the same objects report the same records.
    places: BTreeSet<Place>,
}

impl RejectReport {
    /// Starts a task that receives the rejects, so that scans do not wait.
    pub(super) fn start(mut rejected: mpsc::Receiver<Reject>) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut collected = Collected::default();
            let mut is_over = false;
            loop {
                tokio::select! {
                    reject = rejected.recv() => match reject {
                        Some(reject) => collected.add(&reject),
                        None => return collected,
                    },
                    // The query ended: only the rejects in the channel are left.
                    _ = &mut stopped, if !is_over => {
                        is_over = true;
                        rejected.close();
                    }
                }
            }
        });
        Self { collector: Some(Collector { stop, task }), plan: None }
    }

    /// Adds the notices of the scans of `plan`, which runs.
    pub(super) fn with_notices_of(self, plan: &Arc<dyn ExecutionPlan>) -> Self {
        Self { plan: Some(Arc::clone(plan)), ..self }
    }

    /// Returns the report: a text about the rejects, if there are any, and the notices. Call it after the last row of the query.
    pub async fn finish(self) -> Result<Vec<String>> {
        let notices = self.plan.iter().flat_map(objects::notices);
        let Some(Collector { stop, task }) = self.collector else { return Ok(Vec::new()) };
        // The task may have ended before.
        let _ = stop.send(());
        let collected = task.await.map_err(|error| Error::internal("rejects were not collected").caused_by(error))?;
        Ok(collected.summary().into_iter().chain(notices).collect())
    }
}

impl Collected {
    fn add(&mut self, reject: &Reject) {
        self.count += 1;
        let number = reject.position.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let line = format!("\n  {}, {}: {}", reject.source, reject.position, reject.fault.reason);
        self.places.insert((reject.source.clone(), number, line));
        if self.places.len() > SHOWN_MAX {
            self.places.pop_last();
        }
    }

    fn summary(self) -> Option<String> {
        let records = match self.count {
            0 => return None,
            1 => "1 record cannot be read and is left out:".to_owned(),
            count => format!("{count} records cannot be read and are left out:"),
        };
        let shown: String = self.places.into_iter().map(|(_, _, line)| line).collect();
        let more = match self.count.saturating_sub(SHOWN_MAX as u64) {
            0 => String::new(),
            more => format!("\n  … and {more} more"),
        };
        Some(format!("{records}{shown}{more}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinsql_base::error::ErrorCode;
    use pinsql_base::rejects::{Fault, Rejects};

    #[tokio::test]
    async fn the_first_are_named_and_all_are_counted() {
        let (rejects, receiver) = Rejects::channel();
        let report = RejectReport::start(receiver);
        for line in 1..=12 {
            let reject = Reject {
                source: "a.json".to_owned(),
                position: format!("line {line}"),
                fault: Fault::new(ErrorCode::InvalidRecord, "bad"),
                raw: "{".into(),
            };
            rejects.push(reject).await.unwrap();
        }
        // A scan may keep its sender as long as its plan exists.
        let text = report.finish().await.unwrap().concat();
        assert!(text.starts_with("12 records cannot be read and are left out:\n  a.json, line 1: bad\n"), "{text}");
        assert!(text.ends_with("\n  … and 2 more"), "{text}");
    }
}
