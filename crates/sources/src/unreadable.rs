//! Messages with a value that its column cannot hold, such as a time past the range of TIMESTAMP.
//!
//! The source finds them (`Origins::unreadable`), and the scan sends them to the rejects. A value that the query does not read
//! makes no message unreadable.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use datafusion::common::Result;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};

use super::stream::Origins;
use pinsql_base::engine_error::external;
use pinsql_base::rejects::{RECORDS_REJECTED, Reject, Rejects};

/// Separates the unreadable messages of a scan from the others.
#[derive(Debug, Clone)]
pub(crate) struct Separator {
    /// The columns that the query reads.
    pub(crate) columns: Vec<usize>,
    pub(crate) rejects: Rejects,
}

impl Separator {
    /// The counter of rejected records of a partition.
    pub(crate) fn counter(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Count {
        MetricBuilder::new(metrics).counter(RECORDS_REJECTED, partition)
    }

    /// Sends the unreadable messages of `batch` to the rejects. Returns the others. `batch` must have all columns.
    pub(crate) async fn readable(
        &self,
        batch: RecordBatch,
        origins: &dyn Origins,
        rejected: &Count,
    ) -> Result<RecordBatch> {
        let unreadable = origins.unreadable(&batch, &self.columns);
        if unreadable.is_empty() {
            return Ok(batch);
        }
        let mut keep = vec![true; batch.num_rows()];
        for (row, fault) in unreadable {
            let origin = origins.of(&batch, row);
            let reject = Reject { source: origin.source, position: origin.position, fault, raw: origin.raw };
            self.rejects.push(reject).await.map_err(external)?;
            rejected.add(1);
            if let Some(keep) = keep.get_mut(row) {
                *keep = false;
            }
        }
        Ok(filter_record_batch(&batch, &BooleanArray::from(keep))?)
    }
}
