//! SQL behaviour, as sqllogictest files: every `.slt` file, each in a session and a warehouse of its own.
//!
//! `$FOLDER` in a statement is that file's own scratch folder. A statement that writes a table gives its ledger as its
//! one row, so that a `query T` can look at it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it cannot go on")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;
use pinsql::catalog::TableName;
use pinsql::config::{Config, Layer};
use pinsql::error::Error;
use pinsql::session::Session;
use pinsql::source::stream::Lag;
use pinsql::statement::{self, Outcome, Watch};
use pinsql::stream::{BatchReport, Observer, refresh};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

/// A function's file stands beside the function.
const FOLDERS: [&str; 2] = ["tests/slt", "udfs/slt"];

/// Statements are planned by recursion, for which the program, too, has a stack of its own.
const STACK_BYTES: usize = 64 << 20;

#[test]
fn sql_behaves_as_its_files_say() {
    let run = || tokio::runtime::Runtime::new().unwrap().block_on(run_files());
    let runner = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run).unwrap();
    let failures = runner.join().expect("a run of all files");
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

async fn run_files() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    let mut failures = Vec::new();
    for file in &files {
        let mut runner = Runner::new(Database::open);
        if let Err(error) = runner.run_file_async(file).await {
            failures.push(error.display(false).to_string());
        }
    }
    failures
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            files.push(path);
        }
    }
}

struct Database {
    session: Session,
    folder: tempfile::TempDir,
}

impl Database {
    async fn open() -> Result<Self, Failure> {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let flags = Layer {
            warehouse: Some(folder.path().join("warehouse").display().to_string()),
            threads: Some(2),
            ..Layer::default()
        };
        // The settings in the repository are for its users; a test starts from the defaults.
        let none = folder.path().join("none.toml");
        std::fs::write(&none, "").expect("an empty file of settings");
        let config = Config::resolve(flags, Some(&none)).map_err(Failure)?;
        Ok(Self { session: Session::new(config).await.map_err(Failure)?, folder })
    }

    async fn run_all(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let sql = sql.replace("$FOLDER", &self.folder.path().display().to_string());
        let mut output = DBOutput::StatementComplete(0);
        for statement in statement::parse(&sql)? {
            output = match statement::execute(&self.session, &statement, &Unwatched).await? {
                Outcome::Rows(rows) => {
                    let schema = rows.stream.schema();
                    let batches: Vec<RecordBatch> = rows.stream.try_collect().await?;
                    rows.rejected.finish().await?;
                    DBOutput::Rows {
                        types: vec![DefaultColumnType::Text; schema.fields().len()],
                        rows: batches.iter().flat_map(texts).collect(),
                    }
                }
                Outcome::Written(written) => DBOutput::Rows {
                    types: vec![DefaultColumnType::Text],
                    rows: vec![vec![written.ledger.to_string()]],
                },
                Outcome::Stream(table) => {
                    let refreshed = refresh(&self.session, &table, false, &Unwatched).await?;
                    DBOutput::Rows { types: vec![DefaultColumnType::Text], rows: vec![vec![refreshed.to_string()]] }
                }
                Outcome::Defined { .. } | Outcome::Done(_) | Outcome::Prepared => DBOutput::StatementComplete(0),
            };
        }
        Ok(output)
    }
}

fn texts(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default()
        .with_null("NULL")
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f (no zone)"));
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let text = |value: String| if value.is_empty() { "(empty)".to_owned() } else { value };
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| text(column.value(row).to_string())).collect())
        .collect()
}

struct Unwatched;

impl Observer for Unwatched {
    fn opened(&self, _table: &TableName, _landed: u64, _pending: Option<u64>) {}
    fn landed(&self, _report: &BatchReport) {}
    fn idle(&self, _table: &TableName, _lag: &[Lag]) {}
    fn retrying(&self, _table: &TableName, _error: &Error, _wait: Duration) {}
}

impl Watch for Unwatched {
    fn started(&self, _plan: &Arc<dyn ExecutionPlan>) -> Box<dyn Send> {
        Box::new(())
    }
}

/// An error with its hint: what a person would read.
#[derive(Debug)]
struct Failure(Error);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.message)?;
        match &self.0.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[async_trait]
impl AsyncDB for Database {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| handle.block_on(self.run_all(sql))).map_err(Failure)
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "pinsql"
    }
}
