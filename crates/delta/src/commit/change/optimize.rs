//! The commit of an OPTIMIZE.

use deltalake::kernel::{Add, Remove};
use serde_json::{Value, json};

/// The part of an OPTIMIZE commit that is not a new file.
#[derive(Debug, Clone)]
pub(crate) struct OptimizeChange {
    pub(crate) removes: Vec<Remove>,
    pub(crate) predicate: Option<String>,
    pub(crate) z_order_by: Vec<String>,
}

impl OptimizeChange {
    /// The operation metrics of Spark. Every value is text.
    pub(crate) fn metrics(&self, adds: &[Add]) -> Value {
        let removed_bytes: i64 = self.removes.iter().filter_map(|remove| remove.size).sum();
        let mut sizes: Vec<i64> = adds.iter().map(|add| add.size).collect();
        sizes.sort_unstable();
        let at = |percent: usize| sizes.get(sizes.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0);
        json!({
            "numAddedFiles": adds.len().to_string(),
            "numAddedBytes": sizes.iter().sum::<i64>().to_string(),
            "numRemovedFiles": self.removes.len().to_string(),
            "numRemovedBytes": removed_bytes.to_string(),
            "minFileSize": at(0).to_string(),
            "p25FileSize": at(25).to_string(),
            "p50FileSize": at(50).to_string(),
            "p75FileSize": at(75).to_string(),
            "maxFileSize": at(100).to_string(),
        })
    }

    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let predicate: Vec<&String> = self.predicate.iter().collect();
        let list = |value: serde_json::Result<String>| value.unwrap_or_else(|_| "[]".to_owned());
        vec![
            ("predicate", list(serde_json::to_string(&predicate))),
            ("zOrderBy", list(serde_json::to_string(&self.z_order_by))),
            ("auto", "false".to_owned()),
        ]
    }
}
