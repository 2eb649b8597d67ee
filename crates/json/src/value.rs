//! Decodes texts into one column, for `from_json`. Values and coercions are those of [`Decoder`](crate::Decoder).
//!
//! A text is one value: a STRUCT, an ARRAY or a MAP, by the type of the column. A record of a [`Decoder`](crate::Decoder) can
//! be an array of rows. In PERMISSIVE mode, as in Spark, a STRUCT that cannot be read is a STRUCT of NULLs, and an ARRAY or a
//! MAP is NULL.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};

use super::column::{Column, Members, Values};
use super::cursor::Cursor;
use super::decoder::{BATCH_BYTES_MAX, DecoderOptions};
use super::error::{Problem, RecordError};
use super::names::FieldRules;
use super::read::Context;
use super::relaxed::{Grammar, NonNumeric, to_strict};
use super::temporal::TemporalFormats;
use pinsql_base::error::{Error, Result};

/// Decodes texts one by one, and returns them as an array of one type.
#[derive(Debug)]
pub struct ValueDecoder {
    column: Column,
    context: Context,
    corrupt_record: Option<usize>,
    grammar: Grammar,
    text_bytes: usize,
}

impl ValueDecoder {
    /// `data_type` is the type of the array. `corrupt_record` is the index of a field of a STRUCT. No text fills this field; in
    /// PERMISSIVE mode it receives the text of a value that does not fit. The index in `options` is ignored.
    pub fn new(data_type: &DataType, corrupt_record: Option<usize>, options: &DecoderOptions) -> Result<Self> {
        let mut column = Column::new(&Field::new("value", data_type.clone(), true), false)?;
        if let (DataType::Struct(fields), Some(_)) = (data_type, corrupt_record) {
            let hidden: Vec<usize> = corrupt_record.into_iter().collect();
            let rules = FieldRules { hidden: &hidden, ..FieldRules::default() };
            column.values = Values::Struct(Box::new(Members::new(fields, rules)?));
        }
        let formats = TemporalFormats::new(options.timestamp_format.as_deref(), options.date_format.as_deref())?;
        let is_permissive = options.permissive.is_some();
        let context = Context { formats, is_permissive, met_misfit: false, rescued: None, scratch: Vec::new() };
        Ok(Self { column, context, corrupt_record, grammar: options.grammar, text_bytes: 0 })
    }

    /// Decodes one text. An empty text, or one of white space, is NULL. After an error the decoder is unchanged. In PERMISSIVE
    /// mode the only error is a full array.
    pub fn decode(&mut self, text: Option<&[u8]>) -> Result<(), RecordError> {
        let Some(text) = text.filter(|text| !is_blank(text)) else {
            self.column.push_null();
            return Ok(());
        };
        self.text_bytes += text.len();
        if self.text_bytes > BATCH_BYTES_MAX {
            return Err(Problem::BatchFull.into());
        }
        let row = self.column.len();
        self.context.met_misfit = false;
        match self.read_in_grammar(text) {
            Ok(()) if !self.context.met_misfit => return Ok(()),
            Ok(()) => {}
            Err(error) => {
                self.column.truncate(row);
                if !self.context.is_permissive {
                    return Err(error);
                }
                match &mut self.column.values {
                    Values::Struct(members) => {
                        members.push_nulls();
                        self.column.count_value();
                    }
                    _ => self.column.push_null(),
                }
            }
        }
        self.keep_corrupt(row, text);
        Ok(())
    }

    /// Reads strict JSON, or what the grammar allows in addition.
    fn read_in_grammar(&mut self, text: &[u8]) -> Result<(), RecordError> {
        let row = self.column.len();
        let Err(error) = self.read(text) else { return Ok(()) };
        if error.is_misfit() {
            return Err(error);
        }
        let Some(strict) = to_strict(text, self.grammar, NonNumeric::Text) else { return Err(error) };
        self.column.truncate(row);
        self.context.met_misfit = false;
        self.read(&strict).map_err(|strict| if strict.is_misfit() { strict } else { error })
    }

    fn read(&mut self, text: &[u8]) -> Result<(), RecordError> {
        let mut cursor = Cursor::new(text)?;
        let first = cursor.value_start()?;
        match &mut self.column.values {
            Values::Struct(_) if first != b'{' => return Err(cursor.misfit(cursor.at, "an object")),
            // Spark reads one object as an array with this object.
            Values::List { offsets, element, .. } if first == b'{' && matches!(element.values, Values::Struct(_)) => {
                element.read(&mut cursor, &mut self.context)?;
                offsets.push(element.len() as i32);
                self.column.count_value();
            }
            _ if first == b'n' => return Err(cursor.misfit(cursor.at, "an array or an object")),
            _ => self.column.read(&mut cursor, &mut self.context)?,
        }
        cursor.end()
    }

    fn keep_corrupt(&mut self, row: usize, text: &[u8]) {
        if let (Some(index), Values::Struct(members)) = (self.corrupt_record, &mut self.column.values)
            && let Some(column) = members.columns.get_mut(index)
        {
            column.replace_last_text(row, String::from_utf8_lossy(text).as_bytes());
        }
    }

    /// Returns the values. The decoder is empty afterwards and can be used again.
    pub fn finish(&mut self) -> Result<ArrayRef> {
        self.text_bytes = 0;
        let unsound = |error| Error::internal("from_json built an unsound array").caused_by(error);
        self.column.finish().map_err(unsound)
    }
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Fields, Int32Type};

    use super::*;
    use crate::Permissive;
    use pinsql_base::schema::{STRING, list_of};

    fn record() -> DataType {
        DataType::Struct(Fields::from(vec![
            Field::new("a", DataType::Int32, true),
            Field::new("b", list_of(DataType::Int32), true),
            Field::new("corrupt", STRING, true),
        ]))
    }

    #[test]
    fn a_text_that_fails_leaves_nothing_behind() {
        let mut decoder = ValueDecoder::new(&record(), Some(2), &DecoderOptions::default()).unwrap();
        decoder.decode(Some(br#"{"a":1,"b":[1,2]}"#)).unwrap();
        for bad in [r#"{"a":2,"b":[3,"x"]}"#, r#"{"a":2"#, "null", "[1]", r#"{"a":2} {}"#] {
            assert!(decoder.decode(Some(bad.as_bytes())).is_err(), "{bad}");
        }
        assert!(decoder.decode(Some(b"{\"a\":\"\xff\"}")).is_err());
        decoder.decode(None).unwrap();
        decoder.decode(Some(b" \n")).unwrap();
        decoder.decode(Some(br#"{"a":4}"#)).unwrap();
        let values = decoder.finish().unwrap();
        assert_eq!((0..4).map(|row| values.is_null(row)).collect::<Vec<_>>(), [false, true, true, false]);
        let numbers = values.as_struct().column(0).as_primitive::<Int32Type>();
        assert_eq!((numbers.value(0), numbers.value(3)), (1, 4));
    }

    #[test]
    fn permissive_keeps_the_text_of_invalid_values() {
        let options = DecoderOptions { permissive: Some(Permissive::default()), ..DecoderOptions::default() };
        let mut decoder = ValueDecoder::new(&record(), Some(2), &options).unwrap();
        for text in [&br#"{"a":"x","b":[1]}"#[..], b"\xff", br#"{"a":1,"corrupt":"mine"}"#] {
            decoder.decode(Some(text)).unwrap();
        }
        let values = decoder.finish().unwrap();
        let corrupt = values.as_struct().column(2).as_string_view();
        assert_eq!(
            (corrupt.value(0), corrupt.value(1), corrupt.is_null(2)),
            (r#"{"a":"x","b":[1]}"#, "\u{fffd}", true)
        );
        assert_eq!(values.null_count(), 0);
    }
}
