//! Session variables: values by name. Names have no case.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use sqlparser::ast::Expr;

/// One variable. Its type never changes.
#[derive(Debug, Clone)]
pub struct Variable {
    /// The current value, of the type `data_type`.
    pub value: ScalarValue,
    /// The declared type, or the type of the default.
    pub data_type: DataType,
    /// The value of `SET VARIABLE name = DEFAULT`. None is NULL.
    pub default: Option<Expr>,
}

/// The variables that a query is planned with, by name in lower case.
pub type Values = BTreeMap<String, Variable>;

/// The variables of one session.
#[derive(Debug, Default)]
pub struct Variables {
    now: RwLock<Values>,
    /// Copies of the variables for queries that are planned again later: each keeps the values from its definition.
    kept: RwLock<Vec<Arc<Values>>>,
}

impl Variables {
    /// The variable `name`.
    pub fn get(&self, name: &str) -> Option<Variable> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    /// True if there is no variable.
    pub fn is_empty(&self) -> bool {
        self.now.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Adds a variable, or replaces the one with the same name.
    pub fn put(&self, name: &str, variable: Variable) {
        self.now.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_lowercase(), variable);
    }

    /// Removes a variable. Returns whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.now.write().unwrap_or_else(PoisonError::into_inner).remove(&name.to_lowercase()).is_some()
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// A copy of all variables.
    pub fn values(&self) -> Arc<Values> {
        Arc::new(self.now.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Stores a copy of the variables for the life of the session, and returns its number. Each stream that the session defines
    /// needs one copy.
    pub fn keep(&self) -> usize {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.push(self.values());
        kept.len() - 1
    }

    /// The copy that [`Self::keep`] stored under `number`.
    pub fn kept(&self, number: usize) -> Option<Arc<Values>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).get(number).cloned()
    }
}
