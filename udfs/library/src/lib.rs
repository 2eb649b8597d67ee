//! Functions for pinsql in a library of your own.
//!
//! Implement [`Function`] for each, name them in [`library!`], build a `cdylib`, and load it:
//!
//! ```sql
//! CREATE FUNCTION shout USING LIBRARY 'target/release/libmy_functions.so';
//! SELECT shout(title) FROM pins;
//! ```
//!
//! What crosses the border is C: plain structs ([`abi`]), and Arrow's C data interface for the columns. So the library and pinsql need
//! not be built by the same compiler, nor with the same version of Arrow. A panic is caught here and becomes an error of the
//! records at hand; that needs `panic = "unwind"`, which is Cargo's default. What Rust cannot catch (a segmentation fault, a stack
//! overflow, `panic = "abort"`) ends the process.

pub mod abi;
mod export;

pub use arrow;
use arrow::array::ArrayRef;

#[doc(hidden)]
pub use export::export;

/// When the same arguments give the same result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatility {
    /// Always: calls with constants are evaluated once.
    Immutable,
    /// Within one statement.
    Stable,
    /// Never: each row is a call of its own.
    Volatile,
}

/// One function, which is given whole columns.
///
/// Types are written as in SQL. A column of type STRING is a `StringArray`, INT an `Int32Array`, BIGINT `Int64Array`, DOUBLE
/// `Float64Array`, BOOLEAN `BooleanArray`, DATE `Date32Array`, TIMESTAMP `TimestampMicrosecondArray` in UTC, DECIMAL `Decimal128Array`,
/// BINARY `BinaryArray`, ARRAY `ListArray`, MAP `MapArray`, STRUCT `StructArray`.
pub trait Function: Send + Sync {
    /// What the library calls it; SQL may call it otherwise.
    fn name(&self) -> &str;

    /// The types of the parameters, such as `["STRING", "INT"]`. Arguments are cast to them.
    fn parameters(&self) -> Vec<&str>;

    /// The type of the result.
    fn returns(&self) -> &str;

    /// The results for `rows` rows, in their order: one for each. All arguments have as many. An error is one of all these rows;
    /// where one record alone fails, pinsql finds it by asking again for fewer.
    fn evaluate(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, String>;

    /// A line for DESCRIBE FUNCTION.
    fn documentation(&self) -> &str {
        ""
    }

    fn volatility(&self) -> Volatility {
        Volatility::Immutable
    }
}

/// The functions that the library has: `pinsql_udf::library![Shout, Whisper];`, each a value that implements [`Function`].
#[macro_export]
macro_rules! library {
    ($($function:expr),+ $(,)?) => {
        /// What pinsql looks for in the library.
        #[unsafe(no_mangle)]
        pub extern "C" fn pinsql_udf_v1() -> *const $crate::abi::Library {
            static LIBRARY: ::std::sync::OnceLock<&'static $crate::abi::Library> = ::std::sync::OnceLock::new();
            let functions = || -> ::std::vec::Vec<::std::boxed::Box<dyn $crate::Function>> {
                ::std::vec![$(::std::boxed::Box::new($function)),+]
            };
            *LIBRARY.get_or_init(|| $crate::export(functions))
        }
    };
}
