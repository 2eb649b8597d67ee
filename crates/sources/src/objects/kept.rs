//! The position and the bytes of each record of a batch, as columns.
//!
//! Only a scan with [`PlaceColumn`]s keeps them (see `places`).

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder, UInt64Array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field};

use pinsql_base::error::{Error, Result};
use pinsql_json::Record;

/// A column with a part of the position of a record. They follow the other columns of the scan in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceColumn {
    /// The path of the object in its store. STRING.
    Object,
    /// The offset in the object from which the lines of the piece are counted. Unsigned 64-bit integer.
    FirstByte,
    /// The number of the line from there, from 1. Unsigned 64-bit integer.
    Line,
    /// The bytes of the record. BINARY.
    Raw,
}

impl PlaceColumn {
    pub(super) const ALL: [Self; 4] = [Self::Object, Self::FirstByte, Self::Line, Self::Raw];

    /// True if the value differs between the records of one object.
    pub(super) fn is_of_record(self) -> bool {
        self != Self::Object
    }

    /// The names begin with a line end, which no column of a record does.
    pub(super) fn field(self) -> Field {
        let (name, data_type) = match self {
            Self::Object => ("\nobject", DataType::Utf8View),
            Self::FirstByte => ("\nfirst byte", DataType::UInt64),
            Self::Line => ("\nline", DataType::UInt64),
            Self::Raw => ("\nraw", DataType::BinaryView),
        };
        Field::new(name, data_type, false)
    }
}

/// The records of a batch. A record that gives several rows is stored once.
#[derive(Debug, Default)]
pub(super) struct KeptRecords {
    first_bytes: Vec<u64>,
    lines: Vec<u64>,
    /// For each row, the start and the length of its record in `bytes`.
    records: Vec<(u32, u32)>,
    bytes: Vec<u8>,
}

impl KeptRecords {
    /// Adds a record that gave `rows` rows. Offsets fit into 32 bits, because the bytes of a batch are limited far below that.
    pub(super) fn push(&mut self, record: &Record, first_byte: u64, rows: usize) {
        let place = (self.bytes.len() as u32, record.bytes.len() as u32);
        self.bytes.extend_from_slice(&record.bytes);
        self.first_bytes.extend(std::iter::repeat_n(first_byte, rows));
        self.lines.extend(std::iter::repeat_n(record.line, rows));
        self.records.extend(std::iter::repeat_n(place, rows));
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let for_each_row = size_of::<u64>() * 2 + size_of::<(u32, u32)>();
        self.bytes.capacity() + self.records.capacity() * for_each_row
    }

    pub(super) fn column(&self, column: PlaceColumn) -> Result<ArrayRef> {
        Ok(match column {
            PlaceColumn::Object => {
                return Err(Error::internal("the column with the object is not kept for each record"));
            }
            PlaceColumn::FirstByte => Arc::new(UInt64Array::from(self.first_bytes.clone())),
            PlaceColumn::Line => Arc::new(UInt64Array::from(self.lines.clone())),
            PlaceColumn::Raw => {
                let unsound = |error| Error::internal("the records of a batch cannot be kept").caused_by(error);
                let mut raw = BinaryViewBuilder::with_capacity(self.records.len());
                let block = raw.append_block(Buffer::from_slice_ref(&self.bytes));
                for (start, length) in &self.records {
                    raw.try_append_view(block, *start, *length).map_err(unsound)?;
                }
                Arc::new(raw.finish())
            }
        })
    }
}
