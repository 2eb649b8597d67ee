//! Runs the commits of a day of a stream, one per second, at full speed. Shows how the table and its commits develop.
//!
//! ```text
//! cargo run --release --example streamed_day -- FOLDER [COMMITS] [ROWS_A_COMMIT] [RETENTION]
//! ```
//!
//! It appends 86,400 batches of 20 rows to the Delta table FOLDER/t, through an open handle as in a stream, while the
//! maintenance of a stream runs. RETENTION (such as `interval 12 seconds`) is the retention of the log and of merged
//! files. Default: the retention of Delta. Then nothing is old enough to be deleted, and the log keeps all its
//! versions. For each tenth of the day, a line shows the time of a commit (median and 99th percentile of the last
//! thousand) and the content of the folder.

use std::collections::VecDeque;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::local::LocalFileSystem;
use pinsql_delta::{
    ApplicationTransaction, Column, PreparedWrite, TableDefinition, TableHandle, TableLocation, Write, WriteKind,
    WriteRequest, maintain,
};
use url::Url;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The number of commits whose times are in one line.
const WINDOW: usize = 1_000;

struct Day {
    folder: String,
    commits: usize,
    rows: usize,
    retention: Option<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder for the table")?;
    let number = |text: Option<String>, default| text.map_or(Ok(default), |text| text.parse::<usize>());
    let commits = number(arguments.next(), 86_400)?;
    let rows = number(arguments.next(), 20)?;
    Day { folder, commits, rows, retention: arguments.next() }.pass().await
}

impl Day {
    async fn pass(&self) -> Result<()> {
        let session = session();
        let url =
            Url::from_directory_path(std::path::absolute(&self.folder)?.join("t")).map_err(|()| "not a folder")?;
        let location = TableLocation::with_store("default.t", &url, Arc::new(LocalFileSystem::new()))?;
        let create = WriteRequest::new(location.clone(), WriteKind::Create(self.definition()));
        PreparedWrite::define(create).await?.commit(None).await?;
        let handle = TableHandle::new(location);
        let upkeep = tokio::spawn(keep_up(handle.clone(), session.clone()));
        let mut times = VecDeque::with_capacity(WINDOW);
        let started = Instant::now();
        self.say("commits  seconds  p50 ms  p99 ms  active files  data files  log files  folder MB  memory MB")?;
        for batch in 1..=self.commits {
            let begun = Instant::now();
            self.commit(&handle, &session, batch).await?;
            times.push_back(begun.elapsed());
            if times.len() > WINDOW {
                times.pop_front();
            }
            if batch == WINDOW || batch % (self.commits / 10).max(1) == 0 {
                self.report(&handle, batch, started.elapsed(), &times)?;
            }
        }
        upkeep.abort();
        let begun = Instant::now();
        let landed = TableHandle::new(handle.location().clone()).landed("day").await?;
        self.say(&format!("opened anew in {} ms; batch {landed:?} landed", begun.elapsed().as_millis()))
    }

    fn definition(&self) -> TableDefinition {
        let column = |name: &str, data_type| Column { name: name.to_owned(), data_type, nullable: true, comment: None };
        let mut definition = TableDefinition {
            columns: vec![column("n", DataType::Int64), column("text", DataType::Utf8)],
            ..TableDefinition::default()
        };
        for key in ["delta.logRetentionDuration", "delta.deletedFileRetentionDuration"] {
            definition.properties.extend(self.retention.clone().map(|retention| (key.to_owned(), retention)));
        }
        definition
    }

    async fn commit(&self, handle: &Arc<TableHandle>, session: &SessionContext, batch: usize) -> Result<()> {
        let rows = self.batch(batch)?;
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
        let state = session.state();
        let query = session.read_table(Arc::new(table))?.create_physical_plan().await?;
        let step = ApplicationTransaction { application_id: "day".to_owned(), version: i64::try_from(batch)? };
        let write = Write::plan(WriteRequest::append_to(handle, Some(step)), query, &state).await?;
        write.run(state.task_ctx()).await?.commit(Some(r#"{"pinsql":{}}"#)).await?;
        Ok(())
    }

    fn batch(&self, batch: usize) -> Result<RecordBatch> {
        let first = (batch - 1) * self.rows;
        let numbers = (first..first + self.rows).map(|n| n as i64);
        let texts: StringArray =
            numbers.clone().map(|n| Some(format!("{:032x}", n.wrapping_mul(0x9E37_79B9_7F4A)))).collect();
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
        let fields = vec![Field::new("n", DataType::Int64, true), Field::new("text", DataType::Utf8, true)];
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![numbers, Arc::new(texts)])?)
    }

    fn report(&self, handle: &TableHandle, batch: usize, elapsed: Duration, times: &VecDeque<Duration>) -> Result<()> {
        let mut times: Vec<Duration> = times.iter().copied().collect();
        times.sort();
        let at =
            |part: f64| times.get((times.len() as f64 * part) as usize).map_or(0.0, |time| time.as_secs_f64() * 1e3);
        let table = Path::new(&self.folder).join("t");
        let (data_files, data_bytes) = files_in(&table)?;
        let (log_files, log_bytes) = files_in(&table.join("_delta_log"))?;
        let active = handle.status().map_or(0, |status| status.files);
        self.say(&format!(
            "{batch:7}  {:7.0}  {:6.1}  {:6.1}  {active:12}  {data_files:10}  {log_files:9}  {:9.1}  {:9}",
            elapsed.as_secs_f64(),
            at(0.5),
            at(0.99),
            (data_bytes + log_bytes) as f64 / 1e6,
            memory_bytes().unwrap_or(0) / 1_000_000,
        ))
    }

    fn say(&self, line: &str) -> Result<()> {
        Ok(writeln!(std::io::stdout(), "{line}")?)
    }
}

fn session() -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(1);
    SessionContext::new_with_state(SessionStateBuilder::new().with_config(config).with_default_features().build())
}

/// The maintenance of a stream: it runs in a loop during the commits.
async fn keep_up(handle: Arc<TableHandle>, session: SessionContext) {
    loop {
        let done = maintain(&handle, &session.task_ctx()).await;
        for warning in done.warnings {
            // If standard error is closed, the warning is lost.
            let _ = writeln!(std::io::stderr(), "warning: {warning}");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The number and the total bytes of the files directly in a folder.
fn files_in(folder: &Path) -> Result<(usize, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        // The maintenance can delete files during the count.
        if let Ok(metadata) = entry?.metadata()
            && metadata.is_file()
        {
            files += 1;
            bytes += metadata.len();
        }
    }
    Ok((files, bytes))
}

/// The resident memory of this process, if the system provides it.
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
