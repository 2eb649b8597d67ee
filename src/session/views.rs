//! The temporary views of a session, by name.
//!
//! A view is kept as the query it was made of, with its parameters bound, and read anew by each statement that names it
//! (`statement::query::views`): what it reads is opened by that statement, in that statement's version. Views that outlive
//! the session are deliberately absent: a Delta table has no place for them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use sqlparser::ast::{Ident, Query};

/// A query that has a name.
#[derive(Debug)]
pub struct View {
    pub query: Query,
    /// The names that the view gives its columns; empty when they are the query's own.
    pub columns: Vec<Ident>,
    pub comment: Option<String>,
    /// The comments on `columns`, where there are any.
    pub column_comments: Vec<Option<String>>,
}

/// The views of one session. Names mean the same in any case.
#[derive(Debug, Default)]
pub struct Views(RwLock<BTreeMap<String, Arc<View>>>);

impl Views {
    pub fn get(&self, name: &str) -> Option<Arc<View>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// In the place of a view of the same name.
    pub fn put(&self, name: &str, view: View) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_lowercase(), Arc::new(view));
    }

    /// Whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&name.to_lowercase()).is_some()
    }

    /// In alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
