//! Decodes records into one Arrow batch.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};

use super::RECORD_BYTES_MAX;
use std::collections::BTreeMap;

use super::column::{Members, Values};
use super::cursor::Cursor;
use super::error::{Problem, RecordError};
use super::names::FieldRules;
use super::read::Context;
use super::relaxed::{Grammar, NonNumeric, to_strict};
use super::rescued::Rescued;
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
    /// The grammar of the records. The default is strict JSON.
    pub grammar: Grammar,
    /// A field whose name differs from a column only in upper and lower case is this column. [`ValueDecoder`](crate::ValueDecoder)
    /// ignores this, as Spark's `from_json` does.
    pub ignore_case: bool,
    /// The names of columns of the table that are not read. [`Decoder::take_unread`] does not count them.
    pub not_read: Vec<String>,
    /// The index of the STRING column that receives values without a column, and values that do not fit, as JSON.
    pub rescued_column: Option<usize>,
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
    rescued_column: Option<usize>,
    grammar: Grammar,
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
        let DecoderOptions {
            permissive,
            timestamp_format,
            date_format,
            grammar,
            ignore_case,
            not_read,
            rescued_column,
        } = options;
        let corrupt_record_column = permissive.as_ref().and_then(|permissive| permissive.corrupt_record_column);
        if permissive.is_some() {
            schema.fields().iter().try_for_each(check_nullable)?;
        }
        let hidden: Vec<usize> = corrupt_record_column.into_iter().chain(rescued_column).collect();
        let mut members =
            Members::new(schema.fields(), FieldRules { hidden: &hidden, not_read: &not_read, ignore_case })?;
        members.is_root = true;
        let is_text =
            |index: &usize| members.columns.get(*index).is_some_and(|column| matches!(column.values, Values::Text(_)));
        if !corrupt_record_column.iter().all(is_text) {
            return Err(Error::new(ErrorCode::InvalidOption, "the column for corrupt records must be a STRING"));
        }
        if !rescued_column.iter().all(is_text) {
            return Err(Error::new(ErrorCode::InvalidOption, "the column for rescued data must be a STRING"));
        }
        let formats = TemporalFormats::new(timestamp_format.as_deref(), date_format.as_deref())?;
        let is_permissive = permissive.is_some();
        let rescued = rescued_column.map(|_| Rescued::default());
        let context = Context { formats, is_permissive, met_misfit: false, rescued, scratch: Vec::new() };
        Ok(Self {
            schema,
            members,
            context,
            corrupt_record_column,
            rescued_column,
            grammar,
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
        if let Err(error) = self.read_in_grammar(record) {
            self.take_back(before);
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

    /// Removes the rows from `rows`.
    fn take_back(&mut self, rows: usize) {
        self.members.truncate(rows);
        self.rows = rows;
        self.context.rescued.iter_mut().for_each(Rescued::clear);
    }

    /// Reads strict JSON, or what the grammar allows in addition.
    fn read_in_grammar(&mut self, record: &[u8]) -> Result<(), RecordError> {
        let before = self.rows;
        let Err(error) = self.read(record) else { return Ok(()) };
        if error.is_misfit() {
            return Err(error);
        }
        let Some(strict) = to_strict(record, self.grammar, NonNumeric::Text) else { return Err(error) };
        self.take_back(before);
        if strict.trim_ascii().is_empty() {
            return Ok(());
        }
        // The positions in an error of the grammar are those in the record.
        self.read(&strict).map_err(|strict| if strict.is_misfit() { strict } else { error })
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
        if let Some(index) = self.rescued_column
            && let Some(text) = self.context.rescued.as_mut().and_then(Rescued::take)
            && let Some(column) = self.members.columns.get_mut(index)
        {
            column.replace_last_text(self.rows, text.as_bytes());
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

    /// The name of the file of the next records, for the column with rescued data.
    pub fn set_source(&mut self, source: &str) {
        self.context.rescued.iter_mut().for_each(|rescued| rescued.set_source(source));
    }

    /// The number of values of fields without a column, by their paths, since the last call.
    pub fn take_unread(&mut self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        self.members.take_unread("", &mut counts);
        counts
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
