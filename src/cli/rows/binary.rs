//! BINARY for readers: as text if most of it is text, and as hexadecimal digits otherwise.
//!
//! Formats for programs do not use this: their values must be read back.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};

use pinsql_base::error::{Error, Result};

/// A batch with texts in the place of its BINARY columns.
pub(super) fn readable(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    if !schema.fields().iter().any(|field| field.data_type().is_binary()) {
        return Ok(batch.clone());
    }
    let column = |(field, values): (&Arc<Field>, &ArrayRef)| match field.data_type().is_binary() {
        true => Ok((Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)), texts(values)?)),
        false => Ok((Arc::clone(field), Arc::clone(values))),
    };
    let columns = schema.fields().iter().zip(batch.columns()).map(column).collect::<Result<Vec<_>>>()?;
    let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| Error::internal("cannot show BINARY as text").caused_by(error))
}

fn texts(values: &ArrayRef) -> Result<ArrayRef> {
    let plain = cast(values, &DataType::Binary)
        .map_err(|error| Error::internal("cannot show BINARY as text").caused_by(error))?;
    Ok(Arc::new(plain.as_binary::<i32>().iter().map(|bytes| bytes.map(text_of)).collect::<StringArray>()) as ArrayRef)
}

/// `\xNN` stands for a byte that is not a part of a character, and for a control character.
fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut escaped = 0;
    let mut escape = |text: &mut String, byte: u8| {
        escaped += 1;
        // Writing to a String cannot fail.
        let _ = write!(text, "\\x{byte:02X}");
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\t' | '\n' | '\r' => text.push(character),
                _ if character.is_control() => {
                    let mut buffer = [0; 4];
                    character.encode_utf8(&mut buffer).bytes().for_each(|byte| escape(&mut text, byte));
                }
                _ => text.push(character),
            }
        }
        chunk.invalid().iter().for_each(|byte| escape(&mut text, *byte));
    }
    match escaped * 4 <= bytes.len() {
        true => text,
        false => bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn binary_is_text_if_most_of_it_is() {
        for (bytes, expected) in [
            (&b"{\"a\":1}"[..], "{\"a\":1}"),
            (b"", ""),
            ("é\n".as_bytes(), "é\n"),
            (b"abcdefg\xff", "abcdefg\\xFF"),
            (b"abc\x1bdefgh", "abc\\x1Bdefgh"),
            (b"{\xff", "7bff"),
            (b"\x00\x01", "0001"),
        ] {
            assert_eq!(text_of(bytes), expected);
        }
    }
}
