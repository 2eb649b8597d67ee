//! Values without a place in a column, as the JSON text of Databricks' `rescuedDataColumn`.

use serde_json::Value;

/// The values of one record.
#[derive(Debug, Default)]
pub(crate) struct Rescued {
    /// `"name":value,` for each value.
    members: Vec<u8>,
    source: String,
}

impl Rescued {
    /// The name of the file of the next records.
    pub(crate) fn set_source(&mut self, source: &str) {
        source.clone_into(&mut self.source);
    }

    /// Adds a value that is text.
    pub(crate) fn add_text(&mut self, name: &str, text: &[u8]) {
        let text = Value::from(String::from_utf8_lossy(text)).to_string();
        self.add_json(name, text.as_bytes());
    }

    /// Adds a value that is JSON.
    pub(crate) fn add_json(&mut self, name: &str, json: &[u8]) {
        self.members.extend_from_slice(Value::from(name).to_string().as_bytes());
        self.members.push(b':');
        self.members.extend_from_slice(json);
        self.members.push(b',');
    }

    /// Forgets the values of the current record.
    pub(crate) fn clear(&mut self) {
        self.members.clear();
    }

    /// Returns the values and the file of the record as a JSON object. None without a value.
    pub(crate) fn take(&mut self) -> Option<String> {
        if self.members.is_empty() {
            return None;
        }
        let members = String::from_utf8_lossy(&self.members);
        let text = format!("{{{members}\"_file_path\":{}}}", Value::from(self.source.as_str()));
        self.members.clear();
        Some(text)
    }
}
