//! Scans of JSON and CSV that keep the position and the bytes of each record.
//!
//! Some records turn out to be bad only above the scan, for example if a cast in the query fails. They are rejected like the
//! records that the scan itself rejects, with their bytes and their line. For this, the scan has four more columns after the
//! others (`kept`). Only the operator that requested them sees them. A scan without them costs nothing more.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Schema, UInt64Type};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::TableProvider;
use tokio::sync::Mutex;

use super::bundle::{DataObject, Piece};
use super::columns::ColumnSource;
use super::kept::PlaceColumn;
use super::location::Location;
use super::piece_reader::count_lines;
use super::read_ahead::Storage;
use super::record_scan::RecordScan;
use super::table::{FilesTable, Reader};
use crate::places::Places;
use crate::stream::Origin;
use pinsql_base::error::{Error, Result};
use pinsql_base::rejects::Rejects;

/// A table that keeps positions.
#[derive(Debug)]
pub struct KeepingPlaces {
    /// The table with the columns for positions.
    pub table: Arc<dyn TableProvider>,
    /// The number of columns for positions. They are the last columns of the table.
    pub columns: usize,
    /// Finds the record of a row in a batch of the table.
    pub places: Arc<dyn Places>,
}

/// The same table with positions, which sends its rejects to `rejects`. None if its format does not support this.
pub fn keeping_places(table: &dyn TableProvider, rejects: &Rejects) -> Option<KeepingPlaces> {
    let files = table.downcast_ref::<FilesTable>()?;
    let Reader::Records(scan) = &files.reader else { return None };
    let columns = PlaceColumn::ALL;
    let sources = scan.columns.iter().cloned().chain(columns.map(ColumnSource::Place));
    let fields = files.schema.fields().iter().cloned().chain(columns.map(|column| Arc::new(column.field())));
    let scan = RecordScan { columns: sources.clone().collect(), rejects: rejects.clone(), ..scan.as_ref().clone() };
    let table = FilesTable {
        schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        columns: sources.collect(),
        reader: Reader::Records(Arc::new(scan)),
        ..files.clone()
    };
    let places =
        FilePlaces { storage: files.storage.clone(), objects: files.objects.clone(), lines_before: Mutex::default() };
    Some(KeepingPlaces { table: Arc::new(table), columns: columns.len(), places: Arc::new(places) })
}

/// The same table, which sends its rejects to `rejects`. None if its format never rejects a record.
pub fn with_rejects(table: &dyn TableProvider, rejects: &Rejects) -> Option<Arc<dyn TableProvider>> {
    let files = table.downcast_ref::<FilesTable>()?;
    let Reader::Records(scan) = &files.reader else { return None };
    let scan = RecordScan { rejects: rejects.clone(), ..scan.as_ref().clone() };
    Some(Arc::new(FilesTable { reader: Reader::Records(Arc::new(scan)), ..files.clone() }))
}

/// The folder or object that a table of [`super::plan_scan`] reads. None for another table.
pub fn path_of(table: &dyn TableProvider) -> Option<String> {
    let files = table.downcast_ref::<FilesTable>()?;
    Some(Location::display(&files.store_url, &files.base))
}

#[derive(Debug)]
struct FilePlaces {
    storage: Storage,
    objects: Vec<Arc<DataObject>>,
    /// The number of lines before a byte of an object. One entry is added for each piece of a large object that has such a
    /// reject.
    lines_before: Mutex<HashMap<(String, u64), u64>>,
}

#[async_trait]
impl Places for FilePlaces {
    async fn of(&self, batch: &RecordBatch, row: usize) -> Result<Origin> {
        let place = PlaceColumn::ALL.len();
        let Some(first) = batch.num_columns().checked_sub(place) else {
            return Err(Error::internal("a scan does not keep the places of its records"));
        };
        let number = |column: usize| batch.column(first + column).as_primitive_opt::<UInt64Type>();
        let columns = (
            batch.column(first).as_string_view_opt(),
            number(1),
            number(2),
            batch.column(first + 3).as_binary_view_opt(),
        );
        let (Some(objects), Some(first_bytes), Some(lines), Some(raw)) = columns else {
            return Err(Error::internal("the columns with the positions of records have wrong types"));
        };
        let object = objects.value(row);
        let line = lines.value(row) + self.lines_before(object, first_bytes.value(row)).await?;
        Ok(Origin {
            source: Location::display(&self.storage.url, &object.into()),
            position: format!("line {line}"),
            raw: Bytes::copy_from_slice(raw.value(row)),
        })
    }
}

impl FilePlaces {
    async fn lines_before(&self, object: &str, first_byte: u64) -> Result<u64> {
        if first_byte == 0 {
            return Ok(0);
        }
        let mut known = self.lines_before.lock().await;
        let key = (object.to_owned(), first_byte);
        if let Some(lines) = known.get(&key) {
            return Ok(*lines);
        }
        let Some(found) = self.objects.iter().find(|known| known.meta.location.as_ref() == object) else {
            return Err(Error::internal("the object of a record was not listed"));
        };
        let piece = Piece { object: found.clone(), range: 0..found.meta.size };
        let lines = count_lines(&piece, first_byte, &self.storage).await?;
        known.insert(key, lines);
        Ok(lines)
    }
}
