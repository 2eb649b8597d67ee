//! Decodes records into one Arrow batch.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};

use super::RECORD_BYTES_MAX;
use super::column::{Members, Values};
use super::cursor::Cursor;
use super::error::{Problem, RecordError};
use super::read::Context;
use super::temporal::TemporalFormats;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Bytes of records in one batch. Text is indexed by `i32`, and the text of a record that is not UTF-8 can grow to three
/// times its length when it is kept in the corrupt-record column.
pub(super) const BATCH_BYTES_MAX: usize = i32::MAX as usize / 3;

/// The bytes of records after which the memory of the columns is measured again.
const MEASURED_EVERY_BYTES: usize = 64 << 10;

/// Options of the decoder. The default is strict: a record that does not fit the schema is an error.
#[derive(Debug, Clone, Default)]
pub struct DecoderOptions {
    /// Spark's PERMISSIVE mode. None: a record that does not fit is an error.
    pub permissive: Option<Permissive>,
    /// Spark's `timestampFormat`: a pattern such as `MM/dd/yyyy, HH:mm:ss`. None: ISO 8601, as in a SQL cast.
    pub timestamp_format: Option<String>,
    /// Spark's `dateFormat`. None: `yyyy-MM-dd`, as in a SQL cast.
    pub date_format: Option<String>,
}

/// Spark's PERMISSIVE mode: a value that does not fit becomes NULL. See [`Decoder::decode`] for the errors that remain.
#[derive(Debug, Clone, Default)]
pub struct Permissive {
    /// The index of the STRING column in the decoder's schema that receives the text of records that do not fit.
    pub corrupt_record_column: Option<usize>,
}

/// Decodes records one by one, and returns them as a batch.
#[derive(Debug)]
pub struct Decoder {
    schema: SchemaRef,
    members: Members,
    context: Context,
    corrupt_record_column: Option<usize>,
    rows: usize,
    /// Bytes of the records since the last batch: no column has more bytes or elements than that.
    record_bytes: usize,
    memory: Measured,
}

/// The memory of the columns, and the value of `record_bytes` when it was measured.
#[derive(Debug, Default)]
struct Measured {
    record_bytes: usize,
    memory_bytes: usize,
}

impl Decoder {
    /// `schema` has only the columns to build, with their final Arrow types.
    ///
    /// # Errors
    /// `UNSUPPORTED_DATATYPE`, `INVALID_OPTION` or `INVALID_PATTERN`.
    pub fn new(schema: SchemaRef, options: DecoderOptions) -> Result<Self> {
        let DecoderOptions { permissive, timestamp_format, date_format } = options;
        let corrupt_record_column = permissive.as_ref().and_then(|permissive| permissive.corrupt_record_column);
        if permissive.is_some() {
            schema.fields().iter().try_for_each(check_nullable)?;
        }
        let members = Members::new(schema.fields(), corrupt_record_column)?;
        if let Some(index) = corrupt_record_column
            && !members.columns.get(index).is_some_and(|column| matches!(column.values, Values::Text(_)))
        {
            return Err(Error::new(ErrorCode::InvalidOption, "the column for corrupt records must be a STRING"));
        }
        let formats = TemporalFormats::new(timestamp_format.as_deref(), date_format.as_deref())?;
        let is_permissive = permissive.is_some();
        let context = Context { formats, is_permissive, met_misfit: false, scratch: Vec::new() };
        Ok(Self {
            schema,
            members,
            context,
            corrupt_record_column,
            rows: 0,
            record_bytes: 0,
            memory: Measured::default(),
        })
    }

    /// Decodes one record. Returns the number of new rows: one for an object, and one per element for an array of objects, as in
    /// Spark. After an error the decoder is unchanged.
    ///
    /// In PERMISSIVE mode two errors remain: a record over [`RECORD_BYTES_MAX`], and a batch over 600 MiB. The caller can avoid
    /// both.
    pub fn decode(&mut self, record: &[u8]) -> Result<usize, RecordError> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(Problem::TooLong { bytes: record.len() as u64 }.into());
        }
        if self.record_bytes + record.len() > BATCH_BYTES_MAX {
            return Err(Problem::BatchFull.into());
        }
        let before = self.rows;
        if let Err(error) = self.read(record) {
            self.members.truncate(before);
            self.rows = before;
            if !self.context.is_permissive {
                return Err(error);
            }
            self.members.push_nulls();
            self.keep_corrupt(String::from_utf8_lossy(record).as_bytes());
            self.rows += 1;
        }
        self.record_bytes += record.len();
        if self.record_bytes - self.memory.record_bytes >= MEASURED_EVERY_BYTES {
            self.memory = Measured { record_bytes: self.record_bytes, memory_bytes: self.members.memory_bytes() };
        }
        Ok(self.rows - before)
    }

    fn read(&mut self, record: &[u8]) -> Result<(), RecordError> {
        let mut cursor = Cursor::new(record)?;
        if cursor.value_start()? == b'[' {
            cursor.enter()?;
            let mut more = !cursor.leave(b']');
            while more {
                self.read_row(&mut cursor)?;
                more = cursor.another(b']')?;
            }
        } else {
            self.read_row(&mut cursor)?;
        }
        cursor.end()
    }

    fn read_row(&mut self, cursor: &mut Cursor<'_>) -> Result<(), RecordError> {
        if cursor.value_start()? != b'{' {
            return Err(cursor.misfit(cursor.at, "an object"));
        }
        let start = cursor.at;
        self.context.met_misfit = false;
        self.members.read(self.rows, cursor, &mut self.context)?;
        if self.context.met_misfit {
            self.keep_corrupt(&cursor.text[start..cursor.at]);
        }
        self.rows += 1;
        Ok(())
    }

    /// Writes the text of the last row into the column for corrupt records. For an element of an array, this is the text of the
    /// element. Spark writes the whole array, which needs memory in the square of its length.
    fn keep_corrupt(&mut self, text: &[u8]) {
        if let Some(column) = self.corrupt_record_column.and_then(|index| self.members.columns.get_mut(index)) {
            column.replace_last_text(self.rows, text);
        }
    }

    /// The number of rows since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The memory of the rows in bytes, without up to 64 KiB of the latest records. It is cheap enough for a call per record.
    pub fn memory_bytes(&self) -> usize {
        self.memory.memory_bytes
    }

    /// As [`memory_bytes`](Self::memory_bytes), but exact.
    #[cfg(test)]
    pub(super) fn exact_memory_bytes(&self) -> usize {
        self.members.memory_bytes()
    }

    /// Returns the rows as a batch, also if the schema has no column. The decoder is empty afterwards and can be used again.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        self.record_bytes = 0;
        self.memory = Measured::default();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        self.members
            .finish()
            .and_then(|columns| RecordBatch::try_new_with_options(self.schema.clone(), columns, &options))
            .map_err(|error| Error::internal("the JSON reader built an unsound batch").caused_by(error))
    }
}

/// PERMISSIVE writes NULL for a value that does not fit, at any depth. So no column can be NOT NULL.
fn check_nullable(field: &FieldRef) -> Result<()> {
    if !field.is_nullable() {
        let message =
            format!("the column `{}` is NOT NULL, but mode PERMISSIVE makes NULL of what does not fit", field.name());
        return Err(Error::new(ErrorCode::InvalidOption, message)
            .with_hint("take NOT NULL off the schema, or leave the mode out"));
    }
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().try_for_each(check_nullable),
        DataType::List(element) => check_nullable(element),
        DataType::Map(entry, _) => match entry.data_type() {
            DataType::Struct(fields) => fields.iter().skip(1).try_for_each(check_nullable),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}
