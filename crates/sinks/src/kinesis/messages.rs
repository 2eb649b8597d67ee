//! Rows as records: the columns `data` and `partitionKey`, named as `read_kinesis` names them.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use bytes::Bytes;
use datafusion::logical_expr::LogicalPlan;

use super::Record;
use crate::messages::{Part, bytes_of, misshapen, shape, value_of};
use pinsql_base::error::Result;

/// The plan whose rows are records.
pub fn messages(plan: LogicalPlan) -> Result<LogicalPlan> {
    let part = |name, data_type| Part { name, data_type, is_required: true };
    shape(plan, "Kinesis", &[part("data", DataType::Binary), part("partitionKey", DataType::Utf8)])
}

/// The records of a batch that [`messages`] gave. NULL is sent as nothing: Kinesis' own limits then refuse a key.
pub fn records(batch: &RecordBatch) -> Result<Vec<Record>> {
    let data = bytes_of(batch, 0)?;
    let keys: &StringArray = batch.column(1).as_string_opt().ok_or_else(|| misshapen(batch.column(1)))?;
    let records = (0..batch.num_rows()).map(|row| Record {
        partition_key: if keys.is_valid(row) { keys.value(row).to_owned() } else { String::new() },
        explicit_hash_key: None,
        data: value_of(data, row).map_or_else(Bytes::new, Bytes::copy_from_slice),
    });
    Ok(records.collect())
}
