//! Measures the time of a commit to logs with 10, 10,000 and 80,000 versions.
//!
//! ```text
//! cargo run --release --example commit_cost -- FOLDER [COMMITS]
//! ```
//!
//! It makes three tables in FOLDER with so many versions, and then appends to them in turns (COMMITS times, default:
//! 300). Because of the turns, other load on the machine affects all three equally. Each table is written in two ways:
//! through a handle that stays open, as in a stream, and with a new opening each time, as in a statement.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::DataType;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use object_store::local::LocalFileSystem;
use pinsql_delta::{
    ApplicationTransaction, Column, PreparedWrite, TableDefinition, TableHandle, TableLocation, Write, WriteKind,
    WriteRequest,
};
use url::Url;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const VERSIONS: [usize; 3] = [10, 10_000, 80_000];
/// The number of statements for each 100 commits. A statement reads the whole log each time, so there are fewer.
const STATEMENTS_OF_A_HUNDRED: usize = 1;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = std::path::absolute(arguments.next().ok_or("name a folder for the tables")?)?;
    let commits = arguments.next().map_or(Ok(300), |text| text.parse::<usize>())?;
    let session = SessionContext::new_with_state(SessionStateBuilder::new().with_default_features().build());
    let mut tables = Vec::new();
    for versions in VERSIONS {
        let handle = TableHandle::new(make(&folder.join(versions.to_string()), versions).await?);
        handle.exists().await?;
        tables.push((versions, handle, Vec::new(), Vec::new()));
    }
    for step in 1..=commits {
        for (_, handle, kept, opened) in &mut tables {
            let step = ApplicationTransaction { application_id: "stream".to_owned(), version: i64::try_from(step)? };
            kept.push(append(&session, WriteRequest::append_to(handle, Some(step))).await?);
            if opened.len() * 100 < kept.len() * STATEMENTS_OF_A_HUNDRED {
                let request = WriteRequest::new(handle.location().clone(), WriteKind::Append);
                opened.push(append(&session, request).await?);
            }
        }
    }
    let mut out = std::io::stdout();
    writeln!(out, "versions  kept p50 ms  kept p99 ms  opened p50 ms")?;
    for (versions, _, mut kept, mut opened) in tables {
        let (p50, p99, opened) = (at(&mut kept, 0.5), at(&mut kept, 0.99), at(&mut opened, 0.5));
        writeln!(out, "{versions:8}  {p50:11.1}  {p99:11.1}  {opened:13.1}")?;
    }
    Ok(())
}

/// Makes a table whose log has `versions` commits without data, and no checkpoint.
async fn make(folder: &Path, versions: usize) -> Result<TableLocation> {
    let url = Url::from_directory_path(folder).map_err(|()| "not a folder")?;
    let location = TableLocation::with_store("default.t", &url, Arc::new(LocalFileSystem::new()))?;
    let column = Column { name: "n".to_owned(), data_type: DataType::Int64, nullable: true, comment: None };
    let definition = TableDefinition { columns: vec![column], ..TableDefinition::default() };
    let create = WriteRequest::new(location.clone(), WriteKind::Create(definition));
    PreparedWrite::define(create).await?.commit(None).await?;
    for version in 1..versions {
        let line = format!(r#"{{"commitInfo":{{"timestamp":{version},"operation":"WRITE"}}}}"#);
        std::fs::write(folder.join(format!("_delta_log/{version:020}.json")), line)?;
    }
    Ok(location)
}

async fn append(session: &SessionContext, request: WriteRequest) -> Result<Duration> {
    let query = session.sql("SELECT CAST(1 AS BIGINT) AS n").await?.create_physical_plan().await?;
    let begun = Instant::now();
    let state = session.state();
    let write = Write::plan(request, query, &state).await?;
    write.run(state.task_ctx()).await?.commit(None).await?;
    Ok(begun.elapsed())
}

fn at(times: &mut [Duration], part: f64) -> f64 {
    times.sort();
    times.get((times.len() as f64 * part) as usize).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
