//! Turns rows into records: the columns `data` and `partitionKey`, with the names of `read_kinesis`.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use bytes::Bytes;
use datafusion::logical_expr::LogicalPlan;

use super::Record;
use crate::messages::{Part, bytes_of, shape, value_of, wrong_column_type};
use pinsql_base::error::Result;

/// Changes `plan` so that its rows are records. Returns an error for other columns, and for columns with wrong types.
pub fn messages(plan: LogicalPlan) -> Result<LogicalPlan> {
    let part = |name, data_type| Part { name, data_type, is_required: true };
    shape(plan, "Kinesis", &[part("data", DataType::Binary), part("partitionKey", DataType::Utf8)])
}

/// The records of a batch of the plan from [`messages`]. NULL becomes an empty value; the limits of Kinesis then refuse an empty
/// key.
pub fn records(batch: &RecordBatch) -> Result<Vec<Record>> {
    let data = bytes_of(batch, 0)?;
    let keys: &StringArray = batch.column(1).as_string_opt().ok_or_else(|| wrong_column_type(batch.column(1)))?;
    let records = (0..batch.num_rows()).map(|row| Record {
        partition_key: if keys.is_valid(row) { keys.value(row).to_owned() } else { String::new() },
        explicit_hash_key: None,
        data: value_of(data, row).map_or_else(Bytes::new, Bytes::copy_from_slice),
    });
    Ok(records.collect())
}
