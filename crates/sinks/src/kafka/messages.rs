//! Turns rows into records: the columns `value`, `key`, `partition` and `topic`, as in Spark's Kafka writer.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::logical_expr::LogicalPlan;

use super::Record;
use crate::messages::{Part, bytes_of, shape, value_of, wrong_column_type};
use pinsql_base::error::Result;

/// Changes `plan` so that its rows are records. Returns an error for other columns, and for columns with wrong types.
pub fn messages(plan: LogicalPlan) -> Result<LogicalPlan> {
    let part = |name, data_type, is_required| Part { name, data_type, is_required };
    let parts = [
        part("value", DataType::Binary, true),
        part("key", DataType::Binary, false),
        part("partition", DataType::Int32, false),
        part("topic", DataType::Utf8, false),
    ];
    shape(plan, "Kafka", &parts)
}

/// The records of a batch of the plan from [`messages`]. `topic` is used for records without a topic.
pub fn records<'a>(batch: &'a RecordBatch, topic: &'a str) -> Result<impl Iterator<Item = Record<'a>> + Send> {
    let (values, keys) = (bytes_of(batch, 0)?, bytes_of(batch, 1)?);
    let partitions =
        batch.column(2).as_primitive_opt::<Int32Type>().ok_or_else(|| wrong_column_type(batch.column(2)))?;
    let topics: &StringArray = batch.column(3).as_string_opt().ok_or_else(|| wrong_column_type(batch.column(3)))?;
    Ok((0..batch.num_rows()).map(move |row| Record {
        topic: if topics.is_valid(row) { topics.value(row) } else { topic },
        partition: partitions.is_valid(row).then(|| partitions.value(row)),
        key: value_of(keys, row),
        value: value_of(values, row),
    }))
}
