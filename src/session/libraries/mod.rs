//! Functions of users' own libraries, by name, for as long as the session lives.
//!
//! The border is a C ABI of our own over Arrow's C data interface (`pinsql_udf::abi`): DataFusion's ABI needs the same major version of
//! everything on both sides. Deliberately absent: unloading. What a library has given (columns, errors, its code) may be in use
//! anywhere, so a library that is loaded stays, also when its functions are dropped or replaced.

mod function;
mod load;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use datafusion::logical_expr::ScalarUDF;

pub use self::function::LibraryFunction;
pub use self::load::load;

/// The functions of libraries that a session has. Names mean the same in any case.
#[derive(Debug, Default)]
pub struct LibraryFunctions(RwLock<BTreeMap<String, LibraryFunction>>);

impl LibraryFunctions {
    pub fn get(&self, name: &str) -> Option<LibraryFunction> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    /// In the place of a function of the same name.
    pub fn put(&self, function: LibraryFunction) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(function.called().to_owned(), function);
    }

    /// Whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&name.to_lowercase()).is_some()
    }

    /// In alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// As the engine takes them.
    pub(super) fn all(&self) -> Vec<Arc<ScalarUDF>> {
        let functions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        functions.values().map(|function| Arc::new(ScalarUDF::new_from_impl(function.clone()))).collect()
    }
}
