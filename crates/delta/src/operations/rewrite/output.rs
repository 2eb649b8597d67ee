//! The output of a statement that changes rows: data files, and change files for the change data feed.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use deltalake::kernel::{Add, AddCDCFile};

use super::apply::sorted_by;
use crate::error::external;
use crate::spec::partition_values::{self, PartitionValues};
use crate::write::conform::Conform;
use crate::write::writer::{TableWriter, WriteTarget};

/// The column with the type of a change (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md#add-cdc-file>).
const CHANGE_TYPE: &str = "_change_type";

/// Partitions with an open file for moved rows. If there are more, the file that was used least recently is finished.
const PARTITIONS_OPEN_MAX: usize = 16;

/// The schema of change files.
pub(super) fn with_change_type(schema: &Schema) -> SchemaRef {
    let behind = Arc::new(Field::new(CHANGE_TYPE, DataType::Utf8, true));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain([behind]).collect::<Vec<_>>()))
}

/// The data files of a statement.
pub(super) struct RowsOutput<'a> {
    target: Arc<WriteTarget>,
    conform: Conform,
    context: &'a TaskContext,
    /// The writer of rows that stay in their partition, in the order of the files.
    stay: TableWriter,
    /// Writers of rows that may go to any partition, newest last.
    scattered: VecDeque<(PartitionValues, TableWriter)>,
    adds: Vec<Add>,
    pub(super) rows: u64,
}

impl<'a> RowsOutput<'a> {
    pub(super) fn new(target: Arc<WriteTarget>, conform: Conform, context: &'a TaskContext) -> Self {
        let stay = TableWriter::new(Arc::clone(&target), 0, context);
        Self { target, conform, context, stay, scattered: VecDeque::new(), adds: Vec::new(), rows: 0 }
    }

    /// Rows of one file, changed or not.
    pub(super) async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let rows = self.conform.batch(rows).map_err(external)?;
        self.rows += rows.num_rows() as u64;
        self.stay.write(&rows).await
    }

    /// Writes new rows, and rows that may have moved to another partition. Returns them as they were written.
    pub(super) async fn scatter(&mut self, rows: &RecordBatch) -> Result<RecordBatch> {
        let rows = self.conform.batch(rows).map_err(external)?;
        self.rows += rows.num_rows() as u64;
        if self.target.partition_columns.is_empty() {
            self.stay.write(&rows).await?;
            return Ok(rows);
        }
        if rows.num_rows() == 0 {
            return Ok(rows);
        }
        let positions = self.target.partition_columns.iter().map(|name| rows.schema_ref().index_of(name));
        let sorted = sorted_by(&rows, &positions.collect::<std::result::Result<Vec<_>, _>>()?)?;
        for (range, values) in partition_values::runs(&sorted, &self.target.partition_columns)? {
            self.write_to(values, &sorted.slice(range.start, range.len())).await?;
        }
        Ok(rows)
    }

    async fn write_to(&mut self, values: PartitionValues, rows: &RecordBatch) -> Result<()> {
        let known = self.scattered.iter().position(|(open, _)| *open == values);
        let mut writer = match known.and_then(|position| self.scattered.remove(position)) {
            Some((_, writer)) => writer,
            None => TableWriter::new(Arc::clone(&self.target), 1, self.context),
        };
        writer.write(rows).await?;
        self.scattered.push_back((values, writer));
        if self.scattered.len() > PARTITIONS_OPEN_MAX
            && let Some((_, oldest)) = self.scattered.pop_front()
        {
            self.adds.extend(oldest.finish().await?);
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<(Vec<Add>, u64)> {
        let mut adds = self.stay.finish().await?;
        for (_, writer) in self.scattered {
            self.adds.extend(writer.finish().await?);
        }
        adds.extend(self.adds);
        Ok((adds, self.rows))
    }
}

/// The change data feed of a statement.
pub(super) struct ChangesOutput {
    schema: SchemaRef,
    writer: TableWriter,
    partition_columns: Vec<usize>,
}

impl ChangesOutput {
    pub(super) fn new(target: &Arc<WriteTarget>, table: &Schema, context: &TaskContext) -> Self {
        let position = |name: &String| table.index_of(name).ok();
        Self {
            schema: with_change_type(table),
            writer: TableWriter::new(Arc::clone(target), 0, context),
            partition_columns: target.partition_columns.iter().filter_map(position).collect(),
        }
    }

    pub(super) async fn write(&mut self, rows: &RecordBatch, change: &str) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let said: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(change, rows.num_rows())));
        let columns: Vec<ArrayRef> = rows.columns().iter().cloned().chain([said]).collect();
        let mut rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        if !self.partition_columns.is_empty() {
            rows = sorted_by(&rows, &self.partition_columns)?;
        }
        self.writer.write(&rows).await
    }

    pub(super) async fn finish(self) -> Result<Vec<AddCDCFile>> {
        let file = |add: Add| AddCDCFile {
            path: add.path,
            size: add.size,
            partition_values: add.partition_values,
            data_change: false,
            tags: None,
        };
        Ok(self.writer.finish().await?.into_iter().map(file).collect())
    }
}
