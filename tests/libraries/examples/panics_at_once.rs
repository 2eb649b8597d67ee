//! A library whose function panics in `name`, so while the library is loaded.

use pinsql_udf::Function;
use pinsql_udf::arrow::array::ArrayRef;

pinsql_udf::library![Nameless];

struct Nameless;

impl Function for Nameless {
    fn name(&self) -> &str {
        panic!("no name")
    }

    fn parameters(&self) -> Vec<&str> {
        Vec::new()
    }

    fn returns(&self) -> &str {
        "STRING"
    }

    fn evaluate(&self, _arguments: &[ArrayRef], _rows: usize) -> Result<ArrayRef, String> {
        Err("never".to_owned())
    }
}
