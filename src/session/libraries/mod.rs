//! Functions from shared libraries of users, by name, for the life of the session.
//!
//! The interface is our own C ABI over Arrow's C data interface (`pinsql_udf::abi`). The ABI of DataFusion needs the same major
//! version of all crates on both sides.
//!
//! Deliberately absent: unloading. Columns, errors and code of a library can be in use anywhere, so a loaded library stays, also
//! after its functions are dropped or replaced.

mod function;
mod load;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use datafusion::logical_expr::ScalarUDF;

pub use self::function::LibraryFunction;
pub use self::load::load;

/// The functions of libraries that a session has. Names have no case.
#[derive(Debug, Default)]
pub struct LibraryFunctions(RwLock<BTreeMap<String, Loaded>>);

/// A function in both of its forms, so that a statement does not make the second one again.
#[derive(Debug)]
struct Loaded {
    function: LibraryFunction,
    /// The form that DataFusion calls.
    engine_function: Arc<ScalarUDF>,
}

impl LibraryFunctions {
    /// The function `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<LibraryFunction> {
        let functions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        functions.get(&name.to_lowercase()).map(|loaded| loaded.function.clone())
    }

    /// Adds `function`, or replaces the one with the same name.
    pub fn put(&self, function: LibraryFunction) {
        let engine_function = Arc::new(ScalarUDF::new_from_impl(function.clone()));
        let loaded = Loaded { function, engine_function };
        let name = loaded.function.called().to_owned();
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, loaded);
    }

    /// Removes the function `name`. Returns whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&name.to_lowercase()).is_some()
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The function `name` in the form that DataFusion calls.
    pub(super) fn engine_function(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let functions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        functions.get(&name.to_lowercase()).map(|loaded| Arc::clone(&loaded.engine_function))
    }

    /// All functions in the form that DataFusion calls.
    pub(super) fn engine_functions(&self) -> Vec<Arc<ScalarUDF>> {
        let functions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        functions.values().map(|loaded| Arc::clone(&loaded.engine_function)).collect()
    }
}
