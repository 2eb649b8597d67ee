//! The rules that every row of a table must meet: CHECK constraints and column invariants.

use deltalake::kernel::{Metadata, MetadataValue};

use crate::spec::features::{CONSTRAINT_PREFIX, INVARIANT_KEY};
use crate::spec::schema::parsed_schema;
use pinsql_base::error::{Error, ErrorCode, Result};

/// A CHECK constraint or a column invariant, as the table's metadata has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// The condition as Databricks SQL.
    pub(crate) sql: String,
}

/// The rules in a table's metadata, sorted by name.
pub(crate) fn rules(name: &str, metadata: &Metadata) -> Result<Vec<Rule>> {
    let mut rules: Vec<Rule> = metadata
        .configuration()
        .iter()
        .filter_map(|(key, sql)| Some(Rule { name: key.strip_prefix(CONSTRAINT_PREFIX)?.to_owned(), sql: sql.clone() }))
        .collect();
    for field in parsed_schema(name, metadata)?.fields() {
        if let Some(value) = field.metadata().get(INVARIANT_KEY) {
            let sql = invariant_sql(value).ok_or_else(|| {
                Error::new(
                    ErrorCode::InvalidDeltaLog,
                    format!("the invariant of the column {} of {name} cannot be read: {value}", field.name()),
                )
            })?;
            rules.push(Rule { name: format!("invariant of {}", field.name()), sql });
        }
    }
    rules.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(rules)
}

/// `{"expression":{"expression":"x > 3"}}`, as the protocol nests it.
fn invariant_sql(value: &MetadataValue) -> Option<String> {
    let MetadataValue::String(text) = value else { return None };
    let parsed: serde_json::Value = serde_json::from_str(text).ok()?;
    parsed.pointer("/expression/expression")?.as_str().map(str::to_owned)
}
