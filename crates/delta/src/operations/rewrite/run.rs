//! Applies a list of row changes: file by file, each row group once.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;
use datafusion::error::Result as EngineResult;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::TryStreamExt;

use super::apply::{Applied, Layout};
use super::output::{ChangesOutput, RowsOutput, with_change_type};
use super::read::{FileReader, relaxed};
use super::row_changes::{ChangeList, RowAction, VALUES_FROM, actions};
use super::{Covered, RewriteTarget};
use crate::commit::change::rewrite::{Operation, Replacement, Rewritten};
use crate::error::external;
use crate::error::write_error;
use crate::operations::write::PreparedWrite;
use crate::spec::rules::Rule;
use crate::write::conform::{Conform, Matching};
use crate::write::uncommitted::Uncommitted;
use crate::write::writer::{FileKind, WriteTarget};
use pinsql_base::error::{Error, Result};

/// The list of row changes of a statement, and its layout.
#[derive(Debug)]
pub struct RowChanges {
    /// The plan. It returns file, row, action and the values, sorted by file and row, new rows last.
    pub input: Arc<dyn ExecutionPlan>,
    /// For each value column, the position of the column in the table.
    pub assigned: Vec<usize>,
    /// The possible actions. The list has their numbers.
    pub actions: Vec<RowAction>,
    /// For each action, true if it applies to rows that no row of the source matches.
    pub is_not_matched: Vec<bool>,
    /// True if a row may be in the list more than once.
    pub allows_repeats: bool,
    /// A condition that new rows must meet, besides the rules of the table.
    pub condition_of_new: Option<String>,
    /// Files that are removed besides those in the list.
    pub covered: Option<Covered>,
}

impl RewriteTarget {
    /// Writes the new files. If it fails, it deletes them.
    ///
    /// `read_version` is the version of this table that the query read as a source, if it did.
    pub async fn run(
        self,
        mut changes: RowChanges,
        operation: Operation,
        read_version: Option<u64>,
        state: &SessionState,
        context: &Arc<TaskContext>,
    ) -> Result<PreparedWrite> {
        let name = self.location.name().to_owned();
        let target = Arc::new(WriteTarget::of(&self.shape, &self.location));
        let feed = self.keeps_changes.then(|| Arc::new(self.change_target()));
        let files = Uncommitted::new([Some(Arc::clone(&target)), feed.clone()].into_iter().flatten().collect());
        let covered = changes.covered.take();
        let outcome = match Run::new(&self, target, feed, changes, state, context) {
            Ok(run) => run.run().await.map_err(|error| write_error(&name, &error)),
            Err(error) => Err(error),
        };
        let done = match outcome {
            Ok(done) => done,
            Err(error) => {
                files.discard().await;
                return Err(error);
            }
        };
        let (mut read, mut predicates) = self.scan.read();
        let (mut touched, mut counts) = (done.touched, done.counts);
        if let Some(covered) = covered {
            counts.deleted += self.rows_in(&covered);
            counts.files_removed += covered.files.len() as u64;
            touched.extend(&covered.files);
            read.extend(&covered.files);
            predicates.push(covered.predicate);
        }
        let reading = self.reading(read, predicates);
        let replacement = Replacement {
            operation,
            removes: self.removes(touched),
            changes: done.changes,
            rows: counts,
            source_rows: 0,
            elapsed: self.started.elapsed(),
        };
        Ok(self.prepared(replacement, reading, done.adds, done.rows, read_version, files))
    }

    fn change_target(&self) -> WriteTarget {
        let columns = with_change_type(&relaxed(&self.shape.schema));
        WriteTarget::with_columns(&self.shape, &self.location, &columns).of_kind(FileKind::Changes)
    }
}

/// The result of a run.
struct Done {
    adds: Vec<deltalake::kernel::Add>,
    changes: Vec<deltalake::kernel::AddCDCFile>,
    touched: BTreeSet<usize>,
    counts: Rewritten,
    rows: u64,
}

struct Run<'a> {
    of: &'a RewriteTarget,
    target: Arc<WriteTarget>,
    layout: Layout,
    is_not_matched: Vec<bool>,
    list: ChangeList,
    output: RowsOutput<'a>,
    feed: Option<ChangesOutput>,
    context: &'a TaskContext,
    condition_of_new: Option<Conform>,
    counts: Rewritten,
}

impl<'a> Run<'a> {
    fn new(
        of: &'a RewriteTarget,
        target: Arc<WriteTarget>,
        feed: Option<Arc<WriteTarget>>,
        changes: RowChanges,
        state: &SessionState,
        context: &'a Arc<TaskContext>,
    ) -> Result<Self> {
        let schema = &of.shape.schema;
        let position = |name: &String| schema.index_of(name).ok();
        let conform = |rules: Vec<Rule>| {
            let columns = of.shape.partition_columns.clone();
            Conform::try_new(of.location.name(), schema, Matching::Position, Arc::clone(schema), columns, rules, state)
        };
        let condition = changes.condition_of_new.map(|sql| Rule { name: "REPLACE WHERE".to_owned(), sql });
        let condition_of_new = condition.map(|rule| conform(vec![rule])).transpose()?;
        let stream = execute_stream(changes.input, Arc::clone(context))?;
        let stream = with_types(stream, schema, &changes.assigned);
        Ok(Self {
            of,
            output: RowsOutput::new(Arc::clone(&target), conform(of.shape.rules.clone())?, context),
            feed: feed.map(|feed| ChangesOutput::new(&feed, &relaxed(schema), context)),
            layout: Layout {
                schema: Arc::clone(schema),
                assigned: changes.assigned,
                actions: changes.actions,
                partition_columns: of.shape.partition_columns.iter().filter_map(position).collect(),
            },
            is_not_matched: changes.is_not_matched,
            list: ChangeList::new(stream, changes.allows_repeats),
            target,
            context,
            condition_of_new,
            counts: Rewritten::default(),
        })
    }

    async fn run(mut self) -> EngineResult<Done> {
        let mut touched = BTreeSet::new();
        while let Some(file) = self.list.next_file().await? {
            let index = usize::try_from(file).unwrap_or(usize::MAX);
            self.rewrite(index, file).await?;
            touched.insert(index);
        }
        while let Some(batch) = self.list.next_new().await? {
            let rows = self.layout.inserted(&batch)?;
            if let Some(condition) = &self.condition_of_new {
                condition.batch(&rows).map_err(external)?;
            }
            self.counts.inserted += rows.num_rows() as u64;
            let rows = self.output.scatter(&rows).await?;
            // If no file is removed, the added files are the inserted rows, so no change file is needed.
            if let (Some(feed), false) = (&mut self.feed, touched.is_empty()) {
                feed.write(&rows, "insert").await?;
            }
        }
        let changes = match self.feed {
            Some(feed) => feed.finish().await?,
            None => Vec::new(),
        };
        let (adds, rows) = self.output.finish().await?;
        let mut counts = self.counts;
        counts.files_removed = touched.len() as u64;
        counts.files_added = adds.len() as u64;
        Ok(Done { adds, changes, touched, counts, rows })
    }

    async fn rewrite(&mut self, index: usize, number: i64) -> EngineResult<()> {
        let file = self
            .of
            .list
            .files
            .get(index)
            .ok_or_else(|| external(Error::internal(format!("the table has no file {index}"))))?;
        let memory = MemoryConsumer::new("DeltaRewrite").register(self.context.memory_pool());
        let values = self.of.list.partition_scalars(index)?;
        let mut reader = FileReader::open(&self.target, &self.of.shape.schema, file, values, memory).await?;
        let mut first = 0_i64;
        while let Some(batch) = reader.next().await? {
            let end = first + batch.num_rows() as i64;
            match self.list.take(number, end).await? {
                Some(changes) => self.apply(&batch, first, &changes).await?,
                None => {
                    self.counts.copied += batch.num_rows() as u64;
                    self.output.write(&batch).await?;
                }
            }
            first = end;
        }
        match self.list.take(number, i64::MAX).await? {
            None => Ok(()),
            Some(_) => {
                Err(external(Error::internal(format!("the file {} ends before a row to be changed", file.path))))
            }
        }
    }

    async fn apply(&mut self, old: &RecordBatch, first: i64, changes: &RecordBatch) -> EngineResult<()> {
        let applied = self.layout.apply(old, first, changes, self.feed.is_some())?;
        self.count(old, changes)?;
        let Applied { rows, moved, updated_before, updated_after, deleted } = applied;
        self.output.write(&rows).await?;
        self.output.scatter(&moved).await?;
        if let Some(feed) = &mut self.feed {
            feed.write(&updated_before, "update_preimage").await?;
            feed.write(&updated_after, "update_postimage").await?;
            feed.write(&deleted, "delete").await?;
        }
        Ok(())
    }

    fn count(&mut self, old: &RecordBatch, changes: &RecordBatch) -> EngineResult<()> {
        for number in actions(changes).values() {
            let number = usize::try_from(*number).unwrap_or(usize::MAX);
            let is_not_matched = u64::from(self.is_not_matched.get(number).copied().unwrap_or(false));
            match self.layout.actions.get(number) {
                Some(RowAction::Delete) => {
                    self.counts.deleted += 1;
                    self.counts.not_matched_deleted += is_not_matched;
                }
                _ => {
                    self.counts.updated += 1;
                    self.counts.not_matched_updated += is_not_matched;
                }
            }
        }
        self.counts.copied += (old.num_rows() - changes.num_rows()) as u64;
        Ok(())
    }
}

/// The list with the types of the table: the engine may use other types for the same values.
fn with_types(stream: SendableRecordBatchStream, table: &SchemaRef, assigned: &[usize]) -> SendableRecordBatchStream {
    let types: Vec<_> = assigned.iter().map(|column| relaxed(table).field(*column).data_type().clone()).collect();
    let cast = move |batch: RecordBatch| {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let column = |(position, column): (usize, &ArrayRef)| match position.checked_sub(VALUES_FROM) {
            Some(value) if types.get(value).is_some_and(|wanted| wanted != column.data_type()) => {
                cast_with_options(column, &types[value], &options)
            }
            _ => Ok(Arc::clone(column)),
        };
        let columns = batch.columns().iter().enumerate().map(column).collect::<std::result::Result<Vec<_>, _>>()?;
        let fields = batch.schema_ref().fields().iter().zip(&columns);
        let fields = fields.map(|(field, column)| {
            field.as_ref().clone().with_data_type(column.data_type().clone()).with_nullable(true)
        });
        let schema = Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(schema, columns, &rows)?)
    };
    let schema = stream.schema();
    Box::pin(RecordBatchStreamAdapter::new(schema, stream.and_then(move |batch| std::future::ready(cast(batch)))))
}
