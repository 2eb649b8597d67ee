//! The variables of a session: texts by name, in any case.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

#[derive(Debug, Default)]
pub struct Variables(RwLock<BTreeMap<String, String>>);

impl Variables {
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    pub fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub fn put(&self, name: &str, value: String) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_lowercase(), value);
    }
}
