//! Decodes CSV records into one Arrow batch.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use super::fields::{CsvDialect, CsvFields};
use super::layout::{CsvLayout, LayoutField, Target};
use crate::RECORD_BYTES_MAX;
use crate::column::{Members, Values};
use crate::decoder::BATCH_BYTES_MAX;
use crate::error::{Problem, RecordError};
use crate::names::FieldRules;
use crate::rescued::Rescued;
use crate::temporal::TemporalFormats;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The bytes of records after which the memory of the columns is measured again.
const MEASURED_EVERY_BYTES: usize = 64 << 10;

/// Options of the decoder.
#[derive(Debug, Clone, Default)]
pub struct CsvDecoderOptions {
    /// The special characters.
    pub dialect: CsvDialect,
    /// Spark's PERMISSIVE mode: a value that does not fit is NULL, and so is a field that a short record lacks.
    pub is_permissive: bool,
    /// The index of the STRING column that receives the text of records that do not fit, in PERMISSIVE mode.
    pub corrupt_record_column: Option<usize>,
    /// The index of the STRING column that receives values without a place in another column.
    pub rescued_column: Option<usize>,
    /// Spark's `nullValue`: a value with this text is NULL.
    pub null_value: String,
    /// Spark's `timestampFormat`.
    pub timestamp_format: Option<String>,
    /// Spark's `dateFormat`.
    pub date_format: Option<String>,
}

/// Decodes records one by one, and returns them as a batch. [`set_layout`](Self::set_layout) comes before the first record of
/// each file.
#[derive(Debug)]
pub struct CsvDecoder {
    schema: SchemaRef,
    members: Members,
    options: CsvDecoderOptions,
    formats: TemporalFormats,
    fields: CsvFields,
    layout: Arc<CsvLayout>,
    rescued: Option<Rescued>,
    /// The number of values of fields without a column, by their names.
    unread: BTreeMap<String, u64>,
    rows: usize,
    record_bytes: usize,
    measured_bytes: usize,
    memory_bytes: usize,
}

impl CsvDecoder {
    /// `schema` has only the columns to build, with their final Arrow types.
    ///
    /// # Errors
    /// `UNSUPPORTED_DATATYPE`, `INVALID_OPTION` or `INVALID_PATTERN`.
    pub fn new(schema: SchemaRef, options: CsvDecoderOptions) -> Result<Self> {
        let members = Members::new(schema.fields(), FieldRules::default())?;
        for index in [options.corrupt_record_column, options.rescued_column].into_iter().flatten() {
            if !members.columns.get(index).is_some_and(|column| matches!(column.values, Values::Text(_))) {
                let message = "the columns for corrupt records and for rescued data must be STRING";
                return Err(Error::new(ErrorCode::InvalidOption, message));
            }
        }
        let formats = TemporalFormats::new(options.timestamp_format.as_deref(), options.date_format.as_deref())?;
        let rescued = options.rescued_column.map(|_| Rescued::default());
        Ok(Self {
            schema,
            members,
            options,
            formats,
            fields: CsvFields::default(),
            layout: Arc::default(),
            rescued,
            unread: BTreeMap::new(),
            rows: 0,
            record_bytes: 0,
            measured_bytes: 0,
            memory_bytes: 0,
        })
    }

    /// The columns of the fields of the next records. `source` is the name of their file.
    pub fn set_layout(&mut self, layout: Arc<CsvLayout>, source: &str) {
        self.layout = layout;
        if let Some(rescued) = &mut self.rescued {
            rescued.set_source(source);
        }
    }

    /// Decodes one record. Returns the number of new rows, which is 1. After an error the decoder is unchanged.
    ///
    /// In PERMISSIVE mode the only errors are a record over [`RECORD_BYTES_MAX`], and a batch over 600 MiB.
    pub fn decode(&mut self, record: &[u8]) -> Result<usize, RecordError> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(Problem::TooLong { bytes: record.len() as u64 }.into());
        }
        if self.record_bytes + record.len() > BATCH_BYTES_MAX {
            return Err(Problem::BatchFull.into());
        }
        if let Err(error) = self.read(record) {
            self.members.truncate(self.rows);
            self.rescued.iter_mut().for_each(Rescued::clear);
            return Err(error);
        }
        self.rows += 1;
        self.record_bytes += record.len();
        if self.record_bytes - self.measured_bytes >= MEASURED_EVERY_BYTES {
            self.measured_bytes = self.record_bytes;
            self.memory_bytes = self.members.memory_bytes();
        }
        Ok(1)
    }

    fn read(&mut self, record: &[u8]) -> Result<(), RecordError> {
        let is_permissive = self.options.is_permissive;
        let record = match simdutf8::basic::from_utf8(record) {
            Ok(_) => Cow::Borrowed(record),
            // As Spark does.
            Err(_) if is_permissive => Cow::Owned(String::from_utf8_lossy(record).into_owned().into_bytes()),
            Err(_) => {
                let at = std::str::from_utf8(record).map_or_else(|error| error.valid_up_to(), str::len);
                return Err(Problem::Utf8 { at }.into());
            }
        };
        let mut is_corrupt = false;
        let mut check = |result: Result<(), RecordError>| match result {
            Err(error) if !is_permissive => Err(error),
            Err(_) => {
                is_corrupt = true;
                Ok(())
            }
            Ok(()) => Ok(()),
        };
        let layout = Arc::clone(&self.layout);
        check(self.fields.parse(&record, &self.options.dialect))?;
        let (expected, found) = (layout.fields.len(), self.fields.len());
        if found != expected && !(self.rescued.is_some() && found > expected) {
            check(Err(Problem::FieldCount { expected, found }.into()))?;
        }
        for (index, field) in layout.fields.iter().enumerate() {
            check(self.read_field(&record, index, field))?;
        }
        self.rescue_rest(&record, expected);
        for column in &mut self.members.columns {
            if column.len() == self.rows {
                column.push_null();
            }
        }
        if is_corrupt && let Some(index) = self.options.corrupt_record_column {
            self.members.columns[index].replace_last_text(self.rows, &record);
        }
        if let (Some(index), Some(text)) = (self.options.rescued_column, self.rescued.as_mut().and_then(Rescued::take))
        {
            self.members.columns[index].replace_last_text(self.rows, text.as_bytes());
        }
        Ok(())
    }

    fn read_field(&mut self, record: &[u8], index: usize, field: &LayoutField) -> Result<(), RecordError> {
        if field.target == Target::NotRead {
            return Ok(());
        }
        let Some(value) = self.fields.get(record, index) else { return Ok(()) };
        let is_null = value.text.is_empty() && !value.is_quoted || value.text == self.options.null_value.as_bytes();
        if is_null {
            return Ok(());
        }
        let column = match field.target {
            Target::Column(column) => &mut self.members.columns[column],
            Target::NotRead => return Ok(()),
            Target::Unknown => {
                match &mut self.rescued {
                    Some(rescued) => rescued.add_text(&field.name, value.text),
                    None => count(&mut self.unread, &field.name),
                }
                return Ok(());
            }
        };
        // Two fields with one name: the first one counts.
        if column.len() > self.rows {
            return Ok(());
        }
        match (column.push_csv(value.text, &self.formats), &mut self.rescued) {
            (Err(_), Some(rescued)) => {
                rescued.add_text(&field.name, value.text);
                Ok(())
            }
            (result, _) => result,
        }
    }

    /// The fields after the last one that the header names.
    fn rescue_rest(&mut self, record: &[u8], expected: usize) {
        let Some(rescued) = &mut self.rescued else { return };
        for index in expected..self.fields.len() {
            if let Some(value) = self.fields.get(record, index) {
                rescued.add_text(&format!("_c{index}"), value.text);
            }
        }
    }

    /// The number of rows since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The memory of the rows in bytes, without up to 64 KiB of the latest records. It is cheap enough for a call per record.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// The number of values of fields without a column, by their names, since the last call.
    pub fn take_unread(&mut self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.unread)
    }

    /// Returns the rows as a batch, also if the schema has no column. The decoder is empty afterwards and can be used again.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        (self.record_bytes, self.measured_bytes, self.memory_bytes) = (0, 0, 0);
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        self.members
            .finish()
            .and_then(|columns| RecordBatch::try_new_with_options(self.schema.clone(), columns, &options))
            .map_err(|error| Error::internal("the CSV reader built an unsound batch").caused_by(error))
    }
}

fn count(unread: &mut BTreeMap<String, u64>, name: &str) {
    match unread.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(unread.insert(name.to_owned(), 1)),
    }
}
