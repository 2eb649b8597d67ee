//! The display of rows, and their destination: the terminal, a pager or a file.

mod pager;
mod result;
mod table;

use std::io::Write;
use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_plan::ExecutionPlan;

use self::pager::Pager;
pub(super) use self::result::Kept;
use self::result::{Keeper, collect};
use self::table::{Paper, render};
use super::terminal;
use crate::cli::output::{Output, stdout_error};
use crate::cli::progress::Progress;
use crate::cli::rows::file::ResultFile;
use crate::cli::rows::{Format, write_rows};
use crate::cli::run::ShowRows;
use pinsql_base::error::{Error, Result};

/// The display settings and the last result. The commands of the shell change them.
#[derive(Debug)]
pub(super) struct Screen {
    pub(crate) output: Output,
    pub(crate) format: Format,
    /// Maximum number of rows in a table; 0 shows all.
    pub(crate) rows_max: usize,
    /// False if the commands come from a pipe: then a table has all rows and columns, as in `pinsql run`.
    pub(crate) is_terminal: bool,
    /// True if results go through the pager.
    pub(crate) is_paged: bool,
    pub(crate) pager_command: String,
    /// The file for results, instead of the terminal.
    pub(crate) file: Option<ResultFile>,
    /// The same for only the next result.
    pub(crate) once: Option<ResultFile>,
    pub(crate) last: Option<Kept>,
    /// The memory pool, for the progress line.
    pub(crate) memory: Arc<dyn MemoryPool>,
}

impl ShowRows for Screen {
    async fn show(&mut self, rows: SendableRecordBatchStream, plan: Option<Arc<dyn ExecutionPlan>>) -> Result<()> {
        let (keeper, rows) = Keeper::tap(rows);
        let result = self.write(rows, plan).await;
        if result.is_ok() {
            self.last = Some(keeper.into_kept());
        }
        result
    }
}

impl Screen {
    async fn write(&mut self, rows: SendableRecordBatchStream, plan: Option<Arc<dyn ExecutionPlan>>) -> Result<()> {
        let (memory, output) = (Arc::clone(&self.memory), self.output);
        let follow = || plan.map(|plan| Progress::follow(plan, Some(memory), output));
        if let Some(mut file) = self.once.take() {
            let progress = follow();
            let count = file.write(rows, self.format).await?;
            drop(progress);
            self.output.note(&format!("{} written to {}", table::count(count, "row"), file.path.display()));
            return Ok(());
        }
        if let Some(file) = &mut self.file {
            let _progress = follow();
            file.write(rows, self.format).await?;
            return Ok(());
        }
        match (self.is_paged, self.format) {
            (true, format) => self.page(rows, format).await,
            (false, Format::Table) if self.is_terminal => {
                let progress = follow();
                let sheet = collect(rows, self.rows_max).await?;
                drop(progress);
                let paper = Paper { width: terminal::size().columns, colors: self.output.data_has_colors() };
                self.print(&render(&sheet, paper))
            }
            (false, format) => {
                let mut out = self.output.data();
                write_rows(rows, format, &mut out).await?;
                out.flush().map_err(stdout_error)
            }
        }
    }

    /// Shows the last result again, with all rows and columns.
    pub(super) async fn show_again(&mut self, format: Format) -> Result<()> {
        let Some(kept) = &self.last else {
            return Err(Error::usage("there is no result to show").with_hint("run a query first"));
        };
        if kept.is_cut {
            return Err(Error::usage("the last result was too large to be stored")
                .with_hint(".once FILE before the query writes all of it to a file"));
        }
        let rows = kept.stream();
        if let Some(mut file) = self.once.take() {
            file.write(rows, format).await?;
            return Ok(());
        }
        if let Some(file) = &mut self.file {
            file.write(rows, format).await?;
            return Ok(());
        }
        if self.is_paged {
            return self.page(rows, format).await;
        }
        let mut out = self.output.data();
        write_rows(rows, format, &mut out).await?;
        out.flush().map_err(stdout_error)
    }

    /// Prints text that is not a result.
    pub(super) fn print(&self, text: &str) -> Result<()> {
        let mut out = self.output.data();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(stdout_error)
    }

    async fn page(&self, rows: SendableRecordBatchStream, format: Format) -> Result<()> {
        let mut pager = Pager::start(&self.pager_command)?;
        let written = write_rows(rows, format, &mut pager).await;
        pager.finish(written.map(drop))
    }
}
