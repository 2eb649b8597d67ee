//! Functions that break the interface, each in another way.

use std::sync::Arc;

use pinsql_udf::Function;
use pinsql_udf::arrow::array::{ArrayData, ArrayRef, AsArray, Int32Array, Int64Array, StringArray, make_array};
use pinsql_udf::arrow::buffer::Buffer;
use pinsql_udf::arrow::datatypes::DataType;

pinsql_udf::library![
    Faulty("panics"), Faulty("short"), Faulty("long"), Faulty("other_type"), Faulty("not_utf8"), Faulty("fails"),
    Faulty("nothing_wrong"), UnknownType, NoArguments
];

struct Faulty(&'static str);

impl Function for Faulty {
    fn name(&self) -> &str {
        self.0
    }

    fn parameters(&self) -> Vec<&str> {
        vec!["STRING"]
    }

    fn returns(&self) -> &str {
        "STRING"
    }

    fn evaluate(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, String> {
        let texts = arguments[0].as_string::<i32>();
        let is_bad = texts.iter().flatten().any(|text| text == "bad");
        Ok(match self.0 {
            "panics" if is_bad => panic!("it cannot be {}", "bad"),
            "short" => Arc::new(StringArray::from(vec!["x"; rows - 1])),
            "long" => Arc::new(StringArray::from(vec!["x"; rows + 1])),
            "other_type" => Arc::new(Int32Array::from(vec![1; rows])),
            "not_utf8" => not_utf8(rows),
            "fails" if is_bad => return Err("bad is not good".to_owned()),
            _ => Arc::clone(&arguments[0]),
        })
    }
}

/// Strings that are not valid UTF-8, built without validation.
fn not_utf8(rows: usize) -> ArrayRef {
    let offsets: Vec<i32> = (0..=rows as i32).collect();
    let builder = ArrayData::builder(DataType::Utf8)
        .len(rows)
        .add_buffer(Buffer::from_vec(offsets))
        .add_buffer(Buffer::from_vec(vec![0xFF_u8; rows]));
    // SAFETY: this is unsound on purpose. The test checks that pinsql validates the strings of a library.
    make_array(unsafe { builder.build_unchecked() })
}

struct UnknownType;

impl Function for UnknownType {
    fn name(&self) -> &str {
        "unknown_type"
    }

    fn parameters(&self) -> Vec<&str> {
        vec!["TEXTUAL"]
    }

    fn returns(&self) -> &str {
        "STRING"
    }

    fn evaluate(&self, arguments: &[ArrayRef], _rows: usize) -> Result<ArrayRef, String> {
        Ok(Arc::clone(&arguments[0]))
    }
}

struct NoArguments;

impl Function for NoArguments {
    fn name(&self) -> &str {
        "no_arguments"
    }

    fn parameters(&self) -> Vec<&str> {
        Vec::new()
    }

    fn returns(&self) -> &str {
        "BIGINT"
    }

    fn volatility(&self) -> pinsql_udf::Volatility {
        pinsql_udf::Volatility::Volatile
    }

    fn evaluate(&self, _arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, String> {
        let numbers = Int64Array::from_iter_values(0..rows as i64);
        assert_eq!(numbers.len(), rows);
        Ok(Arc::new(numbers))
    }
}
