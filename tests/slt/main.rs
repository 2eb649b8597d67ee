//! The behavior of SQL, as sqllogictest files. Each `.slt` file has its own session and warehouse.
//!
//! `$FOLDER` in a statement is the scratch folder of the file. A statement that writes a table returns its ledger as
//! one row, so that a `query T` can compare it. The files of `spark/` contain Spark's answers, and a script there
//! writes them. `PINSQL_TEST_SLT=part` runs only the files whose path contains `part`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it cannot go on")]

mod cells;
mod functions;
mod spark;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;
use pinsql::catalog::TableName;
use pinsql::config::{Config, Layer};
use pinsql::session::Session;
use pinsql::statement::{self, Outcome, Watch};
use pinsql::stream::{BatchReport, Observer, refresh};
use pinsql_base::error::{Error, ErrorCode};
use pinsql_sources::stream::Lag;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner};

/// The folders of the files. The file of a function of the pipeline is in `udfs`, next to the function.
const FOLDERS: [&str; 2] = ["tests/slt", "udfs/slt"];

/// Planning is recursive and needs a large stack. The program also sets one.
const STACK_BYTES: usize = 64 << 20;

#[test]
fn sql_behaves_as_in_its_files() {
    // Each file has its own session, so the files run in parallel.
    let (files, next, failures) = (files(), AtomicUsize::new(0), Mutex::new(Vec::<String>::new()));
    let run = || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let failed = runtime.block_on(run_file(file));
            failures.lock().unwrap().extend(failed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run).unwrap();
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    let part = std::env::var_os("PINSQL_TEST_SLT").unwrap_or_default();
    files.retain(|file| file.to_string_lossy().contains(&*part.to_string_lossy()));
    files
}

/// Returns the first failure of a file of hand-written queries. Of a file of Spark's answers, it returns all failures.
async fn run_file(file: &Path) -> Vec<String> {
    if file.parent().is_some_and(|folder| folder.ends_with("spark")) {
        let of_literals = run_spark_file(file, false).await;
        return [of_literals, run_spark_file(file, true).await].concat();
    }
    let mut runner = Runner::new(Database::open);
    let ended = runner.run_file_async(file).await;
    ended.err().map(|error| error.display(false).to_string()).into_iter().collect()
}

/// Returns every failure of a file of Spark's answers, because its queries are independent. The queries read views of
/// literals, or Delta tables with the same rows: data from files has other Arrow types.
async fn run_spark_file(file: &Path, of_tables: bool) -> Vec<String> {
    let mut runner = Runner::new(Database::open);
    // White space inside a text is compared.
    runner.with_normalizer(|line| line.trim_end().to_owned());
    let mut failures = Vec::new();
    for mut record in sqllogictest::parse_file(file).unwrap() {
        if let Record::Statement { sql, .. } = &mut record
            && of_tables
        {
            *sql = sql.replacen("CREATE TEMPORARY VIEW", "CREATE TABLE", 1);
        }
        if let Err(error) = runner.run_async(record).await {
            let asked = if of_tables { "of tables: " } else { "" };
            failures.push(format!("{asked}{}", error.display(false)));
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
        // The settings in the repository are for users. A test uses the defaults.
        let none = folder.path().join("none.toml");
        std::fs::write(&none, "").expect("an empty file of settings");
        let config = Config::resolve(flags, Some(&none)).map_err(Failure)?;
        Ok(Self { session: Session::new(config).await.map_err(Failure)?, folder })
    }

    /// Runs a query of a file of Spark's answers, and checks its types too.
    async fn run_as_spark(&self, sql: &str, types: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let statements = statement::parse(sql)?;
        let [statement] = statements.as_slice() else {
            return Err(Error::new(ErrorCode::InvalidStatement, "one query was expected"));
        };
        let Outcome::Rows(rows) = statement::execute(&self.session, statement, &Unwatched).await? else {
            return Err(Error::new(ErrorCode::InvalidStatement, "a query was expected"));
        };
        let schema = rows.stream.schema();
        let batches: Vec<RecordBatch> = rows.stream.try_collect().await?;
        let ours = cells::types(&schema);
        if ours != types {
            return Err(Error::new(ErrorCode::InvalidStatement, format!("the types are {ours}, Spark's are {types}")));
        }
        Ok(DBOutput::Rows {
            types: vec![DefaultColumnType::Text],
            rows: batches.iter().flat_map(cells::rows).collect(),
        })
    }

    /// Runs a statement on which Spark fails. A missing function does not count as the same failure.
    async fn fail_as_spark(&self, sql: &str, class: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let is_absence = |error: &Error| {
            ["there is no function `", "not implemented"].iter().any(|part| error.message.contains(part))
        };
        match self.run_all(sql).await {
            Err(error) if is_absence(&error) && !class.starts_with("UNRESOLVED_ROUTINE") => {
                Ok(DBOutput::StatementComplete(0))
            }
            other => other,
        }
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

/// An error with its hint, as a user reads it.
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
        let run = async {
            match (cells::marked(sql, cells::TYPES), cells::marked(sql, cells::RAISES)) {
                (Some(types), _) => self.run_as_spark(sql, types).await,
                (None, Some(class)) => self.fail_as_spark(sql, class).await,
                (None, None) => self.run_all(sql).await,
            }
        };
        tokio::task::block_in_place(|| handle.block_on(run)).map_err(Failure)
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "pinsql"
    }
}
