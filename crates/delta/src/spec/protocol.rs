//! The protocol of a table. It follows from the features that the table turns on.
//!
//! A new table has reader version 1 and writer version 2, which every engine supports. A CHECK constraint needs writer version 3,
//! and a change data feed needs writer version 4. Both are no matter for readers. The commit that needs a higher protocol raises
//! it. It is never lowered, as in Spark, since an older writer may be about to commit.
//!
//! The table of another writer may list its features by name (writer version 7). Such a table gets the feature in its list.
//!
//! Deliberately absent: every feature that readers must support.

use std::collections::HashMap;

use deltalake::kernel::{Metadata, Protocol};
use serde_json::json;

use crate::spec::features::{FEATURES, Feature, WRITER_VERSION_OF_FEATURES};
use pinsql_base::error::{Error, Result};

pub(crate) const READER_VERSION: i32 = 1;
/// The lowest version that is written, and the highest that a property may request.
const WRITER_VERSION_MIN: i32 = 2;
pub(crate) const WRITER_VERSION_MAX: i32 = 4;

/// The protocol of a new table. `writer_version_asked` is the version in its properties.
pub(crate) fn first(metadata: &Metadata, writer_version_asked: Option<i32>) -> Result<Protocol> {
    build(WRITER_VERSION_MIN.max(needed(metadata.configuration(), writer_version_asked)), None)
}

/// The protocol that a table with `current` needs for `metadata`. `None` if `current` is enough.
pub(crate) fn raised(
    current: &Protocol,
    metadata: &Metadata,
    writer_version_asked: Option<i32>,
) -> Result<Option<Protocol>> {
    let configuration = metadata.configuration();
    if current.min_writer_version() < WRITER_VERSION_OF_FEATURES {
        let needed = needed(configuration, writer_version_asked);
        return match needed > current.min_writer_version() {
            true => build(needed, Some(current)).map(Some),
            false => Ok(None),
        };
    }
    let mut value = as_json(current)?;
    let listed = value["writerFeatures"].as_array().cloned().unwrap_or_default();
    let missing = added(configuration).map(|feature| json!(feature.name)).filter(|name| !listed.contains(name));
    let features: Vec<_> = listed.iter().cloned().chain(missing).collect();
    if features.len() == listed.len() {
        return Ok(None);
    }
    value["writerFeatures"] = json!(features);
    of_json(value).map(Some)
}

fn needed(configuration: &HashMap<String, String>, writer_version_asked: Option<i32>) -> i32 {
    let versions = added(configuration).filter_map(|feature| feature.versions).map(|versions| versions.writer);
    versions.chain(writer_version_asked).max().unwrap_or(WRITER_VERSION_MIN)
}

/// The features that the properties of a table turn on, of those that pinsql adds.
fn added(configuration: &HashMap<String, String>) -> impl Iterator<Item = &'static Feature> {
    FEATURES.iter().filter(|feature| feature.is_added && feature.is_enabled_by(configuration))
}

fn build(writer_version: i32, current: Option<&Protocol>) -> Result<Protocol> {
    let reader_version = current.map_or(READER_VERSION, Protocol::min_reader_version);
    of_json(json!({"minReaderVersion": reader_version, "minWriterVersion": writer_version}))
}

fn as_json(protocol: &Protocol) -> Result<serde_json::Value> {
    serde_json::to_value(protocol).map_err(broken)
}

fn of_json(value: serde_json::Value) -> Result<Protocol> {
    serde_json::from_value(value).map_err(broken)
}

fn broken(error: serde_json::Error) -> Error {
    Error::internal("cannot build the protocol").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(properties: &[(&str, &str)]) -> Metadata {
        let configuration: serde_json::Value = properties.iter().map(|(key, value)| (*key, json!(value))).collect();
        serde_json::from_value(json!({
            "id": "0", "format": {"provider": "parquet", "options": {}}, "partitionColumns": [],
            "schemaString": r#"{"type":"struct","fields":[]}"#, "configuration": configuration,
        }))
        .unwrap()
    }

    const CHECK: (&str, &str) = ("delta.constraints.c", "a > 0");
    const FEED: (&str, &str) = ("delta.enableChangeDataFeed", "true");

    fn versions(protocol: &Protocol) -> (i32, i32) {
        (protocol.min_reader_version(), protocol.min_writer_version())
    }

    #[test]
    fn a_table_gets_what_it_asks_for() {
        for (properties, asked, writer) in [
            (vec![], None, 2),
            (vec![("quality", "gold")], None, 2),
            (vec![CHECK], None, 3),
            (vec![FEED], None, 4),
            (vec![("delta.enableChangeDataFeed", "false")], None, 2),
            (vec![CHECK], Some(4), 4),
            (vec![], Some(1), 2),
        ] {
            let metadata = metadata(&properties);
            assert_eq!(versions(&first(&metadata, asked).unwrap()), (1, writer), "{properties:?}");
        }
    }

    #[test]
    fn a_protocol_is_raised_and_never_taken_back() {
        let current = |writer| of_json(json!({"minReaderVersion": 2, "minWriterVersion": writer})).unwrap();
        for (from, properties, to) in [
            (2, vec![CHECK], Some((2, 3))),
            (3, vec![CHECK, FEED], Some((2, 4))),
            (4, vec![CHECK], None),
            (5, vec![FEED], None),
        ] {
            let raised = raised(&current(from), &metadata(&properties), None).unwrap();
            assert_eq!(raised.as_ref().map(versions), to, "{from} {properties:?}");
        }
    }

    #[test]
    fn a_table_that_lists_its_features_gets_the_feature() {
        let current = json!({
            "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [], "writerFeatures": ["changeDataFeed"],
        });
        let current = of_json(current).unwrap();
        assert!(raised(&current, &metadata(&[FEED]), None).unwrap().is_none());
        let raised = as_json(&raised(&current, &metadata(&[FEED, CHECK]), None).unwrap().unwrap()).unwrap();
        assert_eq!(raised["writerFeatures"], json!(["changeDataFeed", "checkConstraints"]));
        assert_eq!(raised["minWriterVersion"], 7);
    }
}
