//! The results of a function over rows, and the column that they become.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};

use super::{VALUES_BYTES_MAX, wrong_value};
use crate::numbers::nan::one_nan;

/// The result of a body for one row.
#[derive(Debug)]
pub(crate) enum Answer {
    Null,
    Text(String),
    Binary(Vec<u8>),
    Boolean(bool),
    Int(i32),
    Bigint(i64),
    Double(f64),
    Date(i32),
    Moment(i64),
}

impl Answer {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

macro_rules! answer_from {
    ($($native:ty => $variant:ident),*) => {
        $(impl From<$native> for Answer {
            fn from(value: $native) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

answer_from!(String => Text, Vec<u8> => Binary, bool => Boolean, i32 => Int, i64 => Bigint, f64 => Double);

impl From<&str> for Answer {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl<T: Into<Answer>> From<Option<T>> for Answer {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! collect_as {
    ($answers:expr, $variant:ident, $array:ty) => {
        Arc::new(
            $answers
                .into_iter()
                .map(|answer| match answer {
                    Answer::$variant(value) => Ok(Some(value)),
                    Answer::Null => Ok(None),
                    other => wrong_kind(&other),
                })
                .collect::<Result<$array>>()?,
        )
    };
}

fn wrong_kind<T>(answer: &Answer) -> Result<T> {
    internal_err!("a function returned {answer:?}, which does not have the declared type")
}

pub(super) fn collect(answers: Vec<Answer>, data_type: &DataType) -> Result<ArrayRef> {
    let bytes: usize = answers.iter().map(Answer::bytes).sum();
    if bytes > VALUES_BYTES_MAX {
        return Err(wrong_value(format!("the values of {} rows have {bytes} bytes together: too many", answers.len())));
    }
    Ok(match data_type {
        DataType::Utf8 => collect_as!(answers, Text, StringArray),
        DataType::Binary => collect_as!(answers, Binary, BinaryArray),
        DataType::Boolean => collect_as!(answers, Boolean, BooleanArray),
        DataType::Int32 => collect_as!(answers, Int, Int32Array),
        DataType::Int64 => collect_as!(answers, Bigint, Int64Array),
        DataType::Float64 => one_nan(collect_as!(answers, Double, Float64Array)),
        DataType::Date32 => collect_as!(answers, Date, Date32Array),
        DataType::Timestamp(_, _) => {
            let moments: Arc<TimestampMicrosecondArray> = collect_as!(answers, Moment, TimestampMicrosecondArray);
            Arc::new(moments.as_ref().clone().with_timezone("UTC"))
        }
        other => return internal_err!("a function over rows has no result of type {other}"),
    })
}
