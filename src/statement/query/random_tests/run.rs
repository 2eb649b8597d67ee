//! A session with the tables, and the ways to run a query in it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::physical_plan::{ExecutionPlan, collect};

use super::super::optimizer_tests::with_needed_rules;
use super::super::{Purpose, plan, set_apart};
use super::cells;
use super::tables::TABLES;
use crate::config::{Config, Layer};
use crate::session::Session;
use crate::statement::ast::StatementKind;
use crate::statement::{Outcome, Watch, execute, parse};
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result};

/// The types and the sorted rows of a query.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) types: String,
    pub(super) rows: Vec<String>,
}

/// What became of a query.
#[derive(Debug)]
pub(super) enum Ended {
    Answered(Answer),
    Refused(Error),
    /// Without the rules of the optimizer, the rows are others.
    Differs {
        optimized: Vec<String>,
        plain: Vec<String>,
    },
    /// Without the rules of the optimizer, it fails. That is no fault: a rule may remove the expression that fails.
    FailsPlainly(Error),
    Panicked(String),
    Hung,
}

impl Ended {
    pub(super) fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    /// None if this is how a query may end.
    pub(super) fn fault(&self) -> Option<String> {
        match self {
            Self::Answered(_) => None,
            Self::Refused(error) | Self::FailsPlainly(error) if error.kind() != ErrorKind::Internal => None,
            other => Some(other.summary()),
        }
    }

    pub(super) fn summary(&self) -> String {
        let text = |error: &Error| format!("{}: {}", error.code, error.message_and_cause().replace('\n', " "));
        match self {
            Self::Answered(answer) => format!("ANSWERED {}", answer.rows.len()),
            Self::Refused(error) => text(error),
            Self::Differs { optimized, plain } => format!("DIFFERS: optimized {optimized:?}, plain {plain:?}"),
            Self::FailsPlainly(error) => format!("PLAIN {}", text(error)),
            Self::Panicked(text) => format!("PANIC: {text}"),
            Self::Hung => "HANG".to_owned(),
        }
    }
}

#[derive(Debug)]
struct Unwatched;

impl Watch for Unwatched {
    fn started(&self, _: &Arc<dyn ExecutionPlan>) -> Box<dyn Send> {
        Box::new(())
    }
}

/// The first tables are Delta tables, the others are views of literals.
#[derive(Debug)]
pub(super) struct Database {
    session: Session,
    _folder: tempfile::TempDir,
}

const DELTA_TABLES: usize = 3;

impl Database {
    pub(super) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none.toml");
        std::fs::write(&none, "").unwrap();
        let flags = Layer {
            warehouse: Some(folder.path().join("warehouse").display().to_string()),
            threads: Some(2),
            ..Layer::default()
        };
        let session = Session::new(Config::resolve(flags, Some(&none)).unwrap()).await.unwrap();
        let database = Self { session, _folder: folder };
        for (number, table) in TABLES.iter().enumerate() {
            let object = if number < DELTA_TABLES { "TABLE" } else { "TEMPORARY VIEW" };
            let sql = format!("CREATE {object} {} AS {}", table.name, table.rows);
            for statement in parse(&sql).unwrap() {
                execute(&database.session, &statement, &Unwatched).await.unwrap();
            }
        }
        database
    }

    /// Runs a query with all rules of the optimizer, or with the needed ones.
    pub(super) async fn answer(&self, sql: &str, optimized: bool) -> Ended {
        match self.run(sql, optimized).await {
            Ok(answer) => Ended::Answered(answer),
            Err(error) => Ended::Refused(error),
        }
    }

    /// Compares the answer with that of the needed rules.
    pub(super) async fn compared_with_plain(&self, answer: &Answer, sql: &str) -> Ended {
        match self.run(sql, false).await {
            Ok(plain) if plain.rows == answer.rows => Ended::Answered(plain),
            Ok(plain) => Ended::Differs { optimized: answer.rows.clone(), plain: plain.rows },
            Err(error) => Ended::FailsPlainly(error),
        }
    }

    async fn run(&self, sql: &str, optimized: bool) -> Result<Answer> {
        let statements = parse(sql)?;
        let [statement] = statements.as_slice() else {
            return Err(Error::new(ErrorCode::ParseSyntaxError, "one query was expected"));
        };
        let (schema, batches) = if optimized {
            let Outcome::Rows(rows) = execute(&self.session, statement, &Unwatched).await? else {
                return Err(Error::internal("a query was expected"));
            };
            (rows.stream.schema(), futures::TryStreamExt::try_collect::<Vec<_>>(rows.stream).await?)
        } else {
            let StatementKind::Query(query) = &statement.kind else {
                return Err(Error::internal("a query was expected"));
            };
            let planned = plan(&self.session, &set_apart(query), Purpose::Run).await?;
            let state = with_needed_rules(planned.state.clone());
            let plain = super::super::Planned { state, ..planned };
            let physical = plain.physical().await?;
            (physical.schema(), collect(physical, plain.state.task_ctx()).await?)
        };
        let rows = batches.iter().map(rounded).flat_map(|batch| cells::rows(&batch));
        let mut rows: Vec<String> = rows.flatten().map(|row| comparable(&row)).collect();
        rows.sort();
        Ok(Answer { types: cells::types(&schema), rows })
    }
}

/// The row without the parts that the order of the rows below it decides: the sign of a zero in a text.
fn comparable(row: &str) -> String {
    let mut written = String::with_capacity(row.len());
    let mut rest = row;
    while let Some(place) = rest.find("-0.0") {
        let (before, after) = rest.split_at(place);
        let is_zero = !after["-0.0".len()..].starts_with(|next: char| next.is_ascii_digit());
        written.push_str(before);
        written.push_str(if is_zero { "0.0" } else { "-0.0" });
        rest = &after["-0.0".len()..];
    }
    written.push_str(rest);
    written
}

/// The batch with rounded floats: the order of the rows decides the last digits of a sum.
fn rounded(batch: &RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Float64 => {
            let round = |value: f64| format!("{value:.9e}").parse::<f64>().unwrap() + 0.0;
            Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(round)) as ArrayRef
        }
        DataType::Float32 => {
            let round = |value: f32| format!("{value:.4e}").parse::<f32>().unwrap() + 0.0;
            Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(round)) as ArrayRef
        }
        _ => Arc::clone(column),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns.collect(), &options).unwrap()
}
