//! What a scan that ran reports about fields and objects that it did not read.
//!
//! The reports are metrics of the scan (`base/rejects.rs`), so they come from the plan that ran, and from no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricValue;

use pinsql_base::rejects::{FIELD_UNREAD, NOTICE};

/// The number of fields that a notice names.
const NAMES_MAX: usize = 5;

/// One sentence for each fact about the scans of the plan.
pub fn notices(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let mut found = Found::default();
    found.visit(plan);
    found.sentences()
}

#[derive(Default)]
struct Found {
    fields: BTreeMap<String, usize>,
    notices: BTreeMap<String, usize>,
}

impl Found {
    fn visit(&mut self, plan: &Arc<dyn ExecutionPlan>) {
        let children = plan.children();
        if children.is_empty() {
            for metric in plan.metrics().unwrap_or_default().iter() {
                let MetricValue::Count { name, count } = metric.value() else { continue };
                if let Some(field) = name.strip_prefix(FIELD_UNREAD) {
                    *self.fields.entry(field.to_owned()).or_default() += count.value();
                } else if let Some(notice) = name.strip_prefix(NOTICE) {
                    *self.notices.entry(notice.to_owned()).or_default() += count.value();
                }
            }
        }
        children.into_iter().for_each(|child| self.visit(child));
    }

    fn sentences(self) -> Vec<String> {
        let mut sentences: Vec<String> = self.notices.into_keys().collect();
        let fields: Vec<String> = self
            .fields
            .iter()
            .take(NAMES_MAX)
            .map(|(field, count)| match count {
                1 => format!("`{field}` in 1 record"),
                count => format!("`{field}` in {count} records"),
            })
            .collect();
        if !fields.is_empty() {
            let more = match self.fields.len().saturating_sub(NAMES_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            sentences.push(format!(
                "fields that the sample for the columns does not have are not read: {}{more}; schemaHints adds them as columns, and \
                 rescuedDataColumn keeps them",
                fields.join(", ")
            ));
        }
        sentences
    }
}
