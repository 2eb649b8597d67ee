//! CSV: bytes to Arrow columns, one bad record at a time.
//!
//! The crate `csv-core` is not used. It never reports a wrong quote, and it does not return the bytes of a record, which the
//! rejects need. Quotes and escapes follow Spark (univocity), with one exception: a doubled quote in a quoted value is always one
//! quote, as in RFC 4180.
//!
//! A quoted value can contain line ends. If its quote is wrong or never closed, only the line with the quote is bad, and the next
//! line starts a new record. So one missing quote does not swallow the rest of a file.
//!
//! - `fields`: [`CsvDialect`], and the fields of one record.
//! - `splitter`: [`CsvSplitter`] cuts chunks of bytes into records.
//! - `layout`: [`CsvLayout`] assigns the fields of a file to columns.
//! - `decoder`: [`CsvDecoder`] turns records into a `RecordBatch`. `values` parses single values.
//! - `infer`: [`CsvInferred`] finds the types of sample records, and `sniff` the delimiter and the header.

mod decoder;
mod fields;
mod infer;
mod layout;
mod sniff;
mod splitter;
#[cfg(test)]
mod tests;
mod values;

pub use decoder::{CsvDecoder, CsvDecoderOptions};
pub use fields::{CsvDialect, CsvFields};
pub use infer::{CsvInferOptions, CsvInferred};
pub use layout::{CsvLayout, column_names};
pub use sniff::{HeaderGuess, guess_delimiter, guess_header};
pub use splitter::CsvSplitter;
