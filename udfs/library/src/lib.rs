//! User functions for pinsql in a shared library.
//!
//! Implement [`Function`] for each function, list them in [`library!`], build a `cdylib`, and load it:
//!
//! ```sql
//! CREATE FUNCTION shout USING LIBRARY 'target/release/libmy_functions.so';
//! SELECT shout(title) FROM pins;
//! ```
//!
//! The interface is C: plain structs ([`abi`]), and Arrow's C data interface for columns. So the library and pinsql can be
//! built with different compilers and different versions of Arrow. This crate catches a panic, and it becomes an error of the
//! current records. This needs `panic = "unwind"`, which is the default of Cargo. A segmentation fault, a stack overflow or
//! `panic = "abort"` ends the process. This crate has no functions, and does not depend on DataFusion.

pub mod abi;
mod export;

pub use arrow;
use arrow::array::ArrayRef;

#[doc(hidden)]
pub use export::export;

/// Whether a function returns the same result for the same arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatility {
    /// Always. A call with constants is evaluated once.
    Immutable,
    /// Within one statement.
    Stable,
    /// Never. Each row is a separate call.
    Volatile,
}

/// One function over whole columns.
///
/// Types are written as in SQL. A column of type STRING is a `StringArray`, INT an `Int32Array`, BIGINT `Int64Array`, DOUBLE
/// `Float64Array`, BOOLEAN `BooleanArray`, DATE `Date32Array`, TIMESTAMP `TimestampMicrosecondArray` in UTC, DECIMAL
/// `Decimal128Array`, BINARY `BinaryArray`, ARRAY `ListArray`, MAP `MapArray`, STRUCT `StructArray`.
pub trait Function: Send + Sync {
    /// The name in the library. `CREATE FUNCTION` can give it another name in SQL.
    fn name(&self) -> &str;

    /// The types of the parameters, such as `["STRING", "INT"]`. Arguments are cast to them.
    fn parameters(&self) -> Vec<&str>;

    /// The type of the result.
    fn returns(&self) -> &str;

    /// Returns one result per row, in the same order. All arguments have `rows` values. An error applies to all of these rows.
    /// If one record causes it, pinsql calls again with fewer rows to find it.
    fn evaluate(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, String>;

    /// A line for DESCRIBE FUNCTION.
    fn documentation(&self) -> &str {
        ""
    }

    /// The default is [`Volatility::Immutable`].
    fn volatility(&self) -> Volatility {
        Volatility::Immutable
    }
}

/// Lists the functions of the library: `pinsql_udf::library![Shout, Whisper];`. Each is a value that implements [`Function`].
#[macro_export]
macro_rules! library {
    ($($function:expr),+ $(,)?) => {
        /// The symbol that pinsql loads.
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
