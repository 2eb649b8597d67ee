//! The JSON reader's inner half: bytes in, Arrow columns out, no I/O.
//!
//! Why not arrow-json: it has no failure of a single record. Here a record is parsed in one pass straight into column
//! buffers that can be cut back, so that a record which fails at any depth leaves nothing behind and costs its neighbours
//! nothing. Coercions and type inference are Spark's (`JacksonParser`, `JsonInferSchema`); the grammar is strict JSON.
//!
//! In reading order: [`RecordSplitter`] cuts chunks of bytes into records, [`Decoder`] turns records into a
//! `RecordBatch`, [`Inferred`] finds a schema when none was given. Deliberately absent: Spark's relaxed grammars
//! (comments, single quotes, unquoted names, `NaN` literals), encodings other than UTF-8, and the VARIANT type.

mod base64;
mod column;
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
mod splitter;
mod strings;
mod temporal;
mod text_buffer;
mod value;

pub use decoder::{Decoder, DecoderOptions, Permissive};
pub use error::RecordError;
pub use infer::{InferOptions, Inferred, infer_record};
pub use number::{DecimalProblem, parse_decimal};
pub use path::{Ambiguous, JsonPath, Step, WriteDouble};
pub use splitter::{Record, RecordSplitter};
pub use temporal::TemporalFormats;
pub use value::ValueDecoder;

/// The longest record that is read. A longer one is cut out and reported, so that one endless line cannot take all memory.
pub const RECORD_BYTES_MAX: usize = 256 << 20;

/// How deep arrays and objects may nest: as deep as Spark's JSON parser (Jackson) allows.
pub const DEPTH_MAX: usize = 1000;

#[cfg(test)]
mod tests;
