//! The variables of a session: values by name, in any case.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use sqlparser::ast::Expr;

/// A value that has a name, a type that it keeps, and a default that SET VARIABLE can give it again.
#[derive(Debug, Clone)]
pub struct Variable {
    pub value: ScalarValue,
    pub data_type: DataType,
    /// None is NULL.
    pub default: Option<Expr>,
}

/// The values that a query is planned with.
pub type Values = BTreeMap<String, Variable>;

#[derive(Debug, Default)]
pub struct Variables {
    now: RwLock<Values>,
    /// The values that queries were planned with which are planned again, each as it was then.
    kept: RwLock<Vec<Arc<Values>>>,
}

impl Variables {
    pub fn get(&self, name: &str) -> Option<Variable> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    pub fn is_empty(&self) -> bool {
        self.now.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub fn put(&self, name: &str, variable: Variable) {
        self.now.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_lowercase(), variable);
    }

    /// Whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.now.write().unwrap_or_else(PoisonError::into_inner).remove(&name.to_lowercase()).is_some()
    }

    /// In alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// All of them as they are now.
    pub fn values(&self) -> Arc<Values> {
        Arc::new(self.now.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Keeps the values as they are now, for as long as the session lives: there is one such for each stream that it defines.
    pub fn keep(&self) -> usize {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.push(self.values());
        kept.len() - 1
    }

    pub fn kept(&self, number: usize) -> Option<Arc<Values>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).get(number).cloned()
    }
}
