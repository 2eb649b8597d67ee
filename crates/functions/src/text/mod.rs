//! Spark's functions of texts and of bytes.
//!
//! Absent: `sentences`, which needs Java's language tables, and collations other than Spark's default, the order of bytes.

pub mod binary_text;
pub mod cast_to_string;
mod charsets;
pub mod concat;
mod concat_ws;
mod elt;
mod encodings;
mod format_string;
mod gunzip;
pub(crate) mod hash;
mod length;
mod letters;
mod masks;
mod number_format;
mod number_pictures;
mod parts;
mod picture;
mod random;
mod reverse;
mod search;
pub mod substring;
mod trim;
mod urls;
pub mod value_text;
mod xxhash64;

use datafusion::logical_expr::ScalarUDF;
use datafusion_spark::function::{hash as hashes, url};

pub use self::charsets::DECODE_BYTES;
use self::length::{Length, Unit};
use super::plain::plain;

/// All functions of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    let mut functions = vec![
        ScalarUDF::new_from_impl(concat::Concat::new()),
        plain("concat_ws", concat_ws::types, concat_ws::concat_ws),
        plain("elt", elt::types, elt::elt),
        ScalarUDF::new_from_impl(format_string::FormatString::new()),
        ScalarUDF::new_from_impl(hash::Hash32::new()),
        ScalarUDF::new_from_impl(length::Length::new(Unit::Characters)),
        ScalarUDF::new_from_impl(Length::new(Unit::Bytes)),
        ScalarUDF::new_from_impl(Length::new(Unit::Bits)),
        ScalarUDF::new_from_impl(number_pictures::ToNumber::new(number_pictures::OnMismatch::Fail)),
        ScalarUDF::new_from_impl(number_pictures::ToNumber::new(number_pictures::OnMismatch::Null)),
        ScalarUDF::new_from_impl(number_format::FormatNumber::new()),
        ScalarUDF::new_from_impl(number_pictures::ToChar::new()),
        ScalarUDF::new_from_impl(reverse::Reverse::new()),
        ScalarUDF::new_from_impl(substring::Substring::new()),
        ScalarUDF::new_from_impl(xxhash64::XxHash64::new()),
    ];
    // Functions of the `datafusion-spark` crate with the same results as Spark.
    let taken_over = [hashes::crc32(), hashes::sha2(), url::try_url_decode(), url::url_decode(), url::url_encode()];
    functions.extend(taken_over.iter().map(|function| function.as_ref().clone()));
    functions.push(hashes::sha1().as_ref().clone().with_aliases(["sha"]));
    let families = [
        charsets::functions(),
        encodings::functions(),
        gunzip::functions(),
        letters::functions(),
        masks::functions(),
        parts::functions(),
        random::functions(),
        search::functions(),
        urls::functions(),
    ];
    functions.extend(trim::functions());
    functions.extend(families.into_iter().flatten().map(super::row::RowFunction::udf));
    functions
}
