//! `uuid` and `randstr`: a random text per row. With a seed, the sequence differs from that of Spark.

use rand::distr::{Alphanumeric, SampleString};

use crate::row::Kind::{Bigint, Int, Text};
use crate::row::{RowFunction, VALUES_BYTES_MAX, wrong_value};

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![
        RowFunction::new("uuid", &[], Text, |_| Ok(uuid::Uuid::new_v4().to_string().into())).volatile(),
        RowFunction::new("randstr", &[Int, Bigint], Text, |row| match usize::try_from(row.int(0)?) {
            Ok(length) if length <= VALUES_BYTES_MAX => Ok(Alphanumeric.sample_string(&mut rand::rng(), length).into()),
            _ => Err(wrong_value(format!("randstr: the length must be at least 0, got {}", row.int(0)?))),
        })
        .with_required(1)
        .volatile(),
    ]
}
