//! The decoders of JSON and CSV: bytes to Arrow columns.
//!
//! arrow-json is not used, because one bad record fails its whole file. This decoder parses a record in one pass into column
//! buffers. The buffers can be truncated, so a record that fails at any depth leaves nothing behind, and its neighbours are not
//! affected. Coercions and type inference are those of Spark (`JacksonParser`, `JsonInferSchema`). The parser reads strict JSON;
//! records in Spark's relaxed grammar are rewritten first. CSV has its own parser, and the same column buffers.
//!
//! This crate does no I/O, and has no settings and no SQL. Deliberately absent: encodings other than UTF-8, and the VARIANT type.
//!
//! The modules, in reading order:
//!
//! - `splitter` and `documents`: [`RecordSplitter`] cuts chunks of bytes into records.
//! - `decoder`: [`Decoder`] turns records into a `RecordBatch`. `read` writes values into `column`s, and `names` finds the
//!   column of a field.
//! - `cursor`, `strings`, `number`, `temporal`, `pattern`, `base64`: the grammar, and the values of one type each.
//!   `text_buffer` is the buffer of STRING columns.
//! - `relaxed`: [`Grammar`], and records in Spark's relaxed grammar. `rescued` keeps values without a column.
//! - `infer`: [`Inferred`] finds the schema of sample records.
//! - `value`: [`ValueDecoder`] decodes single values, for `from_json`.
//! - `path`: [`JsonPath`] finds a value in JSON text, for `get_json_object`.
//! - `csv`: the splitter, decoder and inference of CSV.
//! - `error`: [`RecordError`], the reason why a record is rejected.

mod base64;
mod column;
mod csv;
mod cursor;
mod decoder;
mod documents;
mod error;
mod infer;
mod names;
mod number;
mod path;
mod pattern;
mod read;
mod relaxed;
mod rescued;
mod splitter;
mod strings;
mod temporal;
mod text_buffer;
mod value;

pub use csv::{
    CsvDecoder, CsvDecoderOptions, CsvDialect, CsvFields, CsvInferOptions, CsvInferred, CsvLayout, CsvSplitter,
    HeaderGuess, column_names, guess_delimiter, guess_header,
};
pub use decoder::{Decoder, DecoderOptions, Permissive};
pub use error::RecordError;
pub use infer::{InferOptions, Inferred, infer_record};
pub use number::{DecimalProblem, parse_decimal};
pub use path::{Ambiguous, JsonPath, Step, WriteDouble};
pub use relaxed::Grammar;
pub use splitter::{Record, RecordSplitter};
pub use temporal::TemporalFormats;
pub use value::ValueDecoder;

/// The maximum length of a record in bytes. A longer record is skipped and reported, so one endless line cannot use all memory.
pub const RECORD_BYTES_MAX: usize = 256 << 20;

/// The maximum nesting of arrays and objects. It is the limit of Spark's JSON parser (Jackson).
pub const DEPTH_MAX: usize = 1000;

#[cfg(test)]
mod tests;
