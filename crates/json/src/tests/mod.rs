//! Tests of the decoder and the splitter, one topic per file.

mod coercions;
mod differential;
mod records;
mod splitter;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{Decoder, DecoderOptions};

fn decoder_of(columns: Vec<Field>, options: DecoderOptions) -> Decoder {
    Decoder::new(Arc::new(Schema::new(columns)), options).unwrap()
}

fn structure(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect())
}

/// Each row as one text: its values, separated by ` | `.
pub(crate) fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | ");
    (0..batch.num_rows()).map(row).collect()
}
