//! The temporary views of a session, by name.
//!
//! A view is stored as its query, with bound parameters. Each statement that names the view expands the query again
//! (`statement::query::view_expansion`), so it opens the tables in its own versions.
//!
//! Absent: stored views. They are definitions in the warehouse (`catalog::definitions`).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use sqlparser::ast::{Ident, Query};

/// A named query, temporary or stored.
#[derive(Debug)]
pub struct View {
    /// The query. Its relations have schemas, except for those that are temporary views.
    pub query: Query,
    /// The names of the columns. Empty if the view takes the names of the query.
    pub columns: Vec<Ident>,
    /// The comment on the view.
    pub comment: Option<String>,
    /// The comments on `columns`, one for each column.
    pub column_comments: Vec<Option<String>>,
}

/// The temporary views of one session. Names have no case.
#[derive(Debug, Default)]
pub struct TemporaryViews(RwLock<BTreeMap<String, Arc<View>>>);

impl TemporaryViews {
    /// The view `name`.
    pub fn get(&self, name: &str) -> Option<Arc<View>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    /// True if there is a view `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Adds a view, or replaces the one with the same name.
    pub fn put(&self, name: &str, view: View) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_lowercase(), Arc::new(view));
    }

    /// Removes a view. Returns whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&name.to_lowercase()).is_some()
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
