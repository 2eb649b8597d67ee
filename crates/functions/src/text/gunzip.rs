//! `gunzip` and `try_gunzip`: the content of gzip data. Spark has no such function, and services send such data: CloudWatch Logs
//! compresses each Kinesis record.
//!
//! All members are read, as by the tool gunzip. The size of the result is bounded, because a megabyte of gzip data can contain a
//! gigabyte.

use std::io::Read;

use datafusion::common::Result;
use flate2::read::MultiGzDecoder;

use crate::row::Kind::{Bigint, Binary};
use crate::row::{Row, RowFunction, wrong_value};

/// The maximum size of a result, if the call does not give it.
const BYTES_MAX_DEFAULT: i64 = 64 << 20;
/// The largest bound that a call can give: the values of a column must fit into one array.
const BYTES_MAX_MAX: i64 = 1 << 30;

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![
        RowFunction::new("gunzip", &[Binary, Bigint], Binary, |row| match gunzip(row)? {
            Ok(bytes) => Ok(bytes.into()),
            Err(reason) => Err(wrong_value(format!("gunzip: {reason}"))),
        })
        .with_required(1),
        RowFunction::new("try_gunzip", &[Binary, Bigint], Binary, |row| Ok(gunzip(row)?.ok().into())).with_required(1),
    ]
}

/// The inner error is the reason why the value has no content.
fn gunzip(row: &Row<'_>) -> Result<std::result::Result<Vec<u8>, String>> {
    let bytes_max = if row.len() > 1 { row.bigint(1)? } else { BYTES_MAX_DEFAULT };
    let Some(limit) = u64::try_from(bytes_max).ok().filter(|_| (1..=BYTES_MAX_MAX).contains(&bytes_max)) else {
        return Err(wrong_value(format!(
            "gunzip: the maximum size must be 1 to {BYTES_MAX_MAX} bytes, got {bytes_max}"
        )));
    };
    let mut bytes = Vec::new();
    // One byte more, to find out if there is more.
    let read = MultiGzDecoder::new(row.binary(0)?).take(limit + 1).read_to_end(&mut bytes);
    Ok(match read {
        Err(_) if !row.binary(0)?.starts_with(b"\x1f\x8b") => Err("the value is not gzip data".to_owned()),
        Err(error) => Err(format!("the gzip data is damaged: {error}")),
        Ok(read) if read as u64 > limit => Err(format!(
            "the content is larger than {limit} bytes (a second argument raises the maximum: gunzip(data, {BYTES_MAX_MAX}))"
        )),
        Ok(_) => Ok(bytes),
    })
}
