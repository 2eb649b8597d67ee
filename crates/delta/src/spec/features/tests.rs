//! Goes through the whole table: each feature, each operation.

use std::collections::BTreeSet;

use deltalake::kernel::{Metadata, Protocol};
use serde_json::json;

use super::*;
use crate::spec::properties;

const ACCESSES: [Access; 7] = [
    Access::Read,
    Access::ReadChanges,
    Access::Append,
    Access::Rewrite,
    Access::Optimize,
    Access::Vacuum,
    Access::Restore,
];

fn protocol(reader: i32, writer: i32, readers: &[&str], writers: &[&str]) -> Protocol {
    let mut value = json!({"minReaderVersion": reader, "minWriterVersion": writer});
    if reader >= READER_VERSION_OF_FEATURES {
        value["readerFeatures"] = json!(readers);
    }
    if writer >= WRITER_VERSION_OF_FEATURES {
        value["writerFeatures"] = json!(writers);
    }
    serde_json::from_value(value).unwrap()
}

/// The protocol of a table that has one feature by name.
fn listing(name: &str, kind: FeatureKind) -> Protocol {
    match kind {
        FeatureKind::Writer => protocol(1, 7, &[], &[name]),
        FeatureKind::ReaderAndWriter => protocol(3, 7, &[name], &[name]),
    }
}

fn metadata(properties: &[(&str, &str)], field_metadata: &[(&str, &str)]) -> Metadata {
    let object = |pairs: &[(&str, &str)]| -> serde_json::Value {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
    };
    let field = json!({"name": "a", "type": "integer", "nullable": true, "metadata": object(field_metadata)});
    serde_json::from_value(json!({
        "id": "0", "format": {"provider": "parquet", "options": {}}, "partitionColumns": [],
        "schemaString": json!({"type": "struct", "fields": [field]}).to_string(),
        "configuration": object(properties),
    }))
    .unwrap()
}

fn plain() -> Metadata {
    metadata(&[], &[])
}

fn refused(access: Access, protocol: &Protocol, metadata: &Metadata) -> Option<String> {
    require(access, "s.t", protocol, metadata).err().map(|error| error.message)
}

/// The operations that a table refuses because its protocol lists a feature: `R`ead, read `C`hanges, `A`ppend, re`W`rite,
/// `O`ptimize, `V`acuum, re`S`tore.
fn letters(protocol: &Protocol, metadata: &Metadata) -> String {
    let letter = "RCAWOVS".chars().zip(ACCESSES);
    letter.filter(|(_, access)| refused(*access, protocol, metadata).is_some()).map(|(letter, _)| letter).collect()
}

#[test]
fn the_table_decides_every_operation() {
    let expected = [
        ("appendOnly", ""),
        ("invariants", ""),
        ("checkConstraints", ""),
        ("changeDataFeed", ""),
        ("columnMapping", "C"),
        ("generatedColumns", ""),
        ("identityColumns", "AWOVS"),
        ("allowColumnDefaults", "AWOVS"),
        ("catalogManaged", "RAWOVS"),
        ("checkpointProtection", ""),
        ("clustering", "AWOVS"),
        ("deletionVectors", "COVS"),
        ("domainMetadata", "AWOVS"),
        ("icebergCompatV1", "AWOVS"),
        ("icebergCompatV2", "AWOVS"),
        ("icebergCompatV3", "AWOVS"),
        ("inCommitTimestamp", "AWOVS"),
        ("rowTracking", "AWOVS"),
        ("timestampNtz", ""),
        ("typeWidening", "RCAWOVS"),
        ("v2Checkpoint", ""),
        ("vacuumProtocolCheck", ""),
        ("variantShredding", "RAWOVS"),
        ("variantType", "RCAWOVS"),
    ];
    let found: Vec<(&str, String)> = FEATURES
        .iter()
        .map(|feature| (feature.name, letters(&listing(feature.name, feature.kind), &plain())))
        .collect();
    let expected: Vec<(&str, String)> = expected.iter().map(|(name, letters)| (*name, (*letters).to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn names_are_unique_and_known_to_the_library() {
    let names: BTreeSet<&str> = FEATURES.iter().map(|feature| feature.name).collect();
    assert_eq!(names.len(), FEATURES.len());
    for feature in &FEATURES {
        assert!(find(feature.name).is_some_and(|found| found.name == feature.name), "{}", feature.name);
        assert!(find(&format!("{}-preview", feature.name)).is_some());
        if let Some(versions) = feature.versions {
            assert!((1..READER_VERSION_OF_FEATURES).contains(&versions.reader), "{}", feature.name);
            assert!((1..WRITER_VERSION_OF_FEATURES).contains(&versions.writer), "{}", feature.name);
        }
    }
}

#[test]
fn a_refused_property_belongs_to_a_feature_that_pinsql_does_not_add() {
    for feature in &FEATURES {
        let Some((key, why)) = feature.refused_property else { continue };
        assert!(!feature.is_added, "{}", feature.name);
        let error = properties::checked(&[(key.to_owned(), "true".to_owned())].into()).unwrap_err();
        assert_eq!(error.message, format!("the table property {key} is not supported: {why}"));
    }
}

#[test]
fn a_protocol_version_includes_its_features() {
    for (reader, writer, expected) in [(1, 1, ""), (1, 2, ""), (1, 4, ""), (2, 5, ""), (2, 6, "AWOVS"), (1, 6, "AWOVS")]
    {
        assert_eq!(letters(&protocol(reader, writer, &[], &[]), &plain()), expected, "{reader} {writer}");
    }
    let said = refused(Access::Append, &protocol(2, 6, &[], &[]), &plain()).unwrap();
    assert_eq!(said, "cannot write the table s.t: it uses Delta features that pinsql does not have: identityColumns");
}

#[test]
fn the_metadata_turns_a_feature_on() {
    let two = protocol(1, 2, &[], &[]);
    for (properties, field, expected) in [
        (&[("delta.columnMapping.mode", "name")][..], &[][..], "CAWOVS"),
        (&[("delta.columnMapping.mode", "none")], &[], ""),
        (&[("delta.appendOnly", "true")], &[], "W"),
        (&[("delta.appendOnly", "false")], &[], ""),
        (&[("delta.enableChangeDataFeed", "true"), ("delta.constraints.c", "a > 0")], &[], ""),
        (&[], &[("delta.generationExpression", "b + 1")], "AWOVS"),
    ] {
        assert_eq!(letters(&two, &metadata(properties, field)), expected, "{properties:?} {field:?}");
    }
}

#[test]
fn refusals_name_the_feature_and_say_what_helps() {
    let check = |access, protocol: &Protocol, metadata: &Metadata, message: &str, hint: Option<&str>| {
        let error = require(access, "s.t", protocol, metadata).unwrap_err();
        assert_eq!((error.message.as_str(), error.hint.as_deref()), (message, hint));
    };
    let drop_feature = Some("a writer such as Spark can drop them with ALTER TABLE … DROP FEATURE");
    let both = protocol(3, 7, &["typeWidening-preview", "new"], &["typeWidening-preview", "rowTracking", "new"]);
    for (access, verb) in [(Access::Read, "read"), (Access::Append, "write")] {
        let said = format!(
            "cannot {verb} the table s.t: it uses Delta features that pinsql does not have: typeWidening-preview, new"
        );
        check(access, &both, &plain(), &said, drop_feature);
    }
    check(
        Access::Append,
        &listing("variantType", FeatureKind::ReaderAndWriter),
        &plain(),
        "cannot read the table s.t: it uses Delta features that pinsql does not have: variantType",
        Some("a writer such as Spark can make a table of it without its VARIANT columns"),
    );
    check(
        Access::Vacuum,
        &listing("deletionVectors", FeatureKind::ReaderAndWriter),
        &plain(),
        "the table s.t uses deletionVectors, with which pinsql cannot do this",
        Some("a writer such as Spark can drop them with ALTER TABLE … DROP FEATURE deletionVectors"),
    );
    check(
        Access::ReadChanges,
        &protocol(2, 5, &[], &[]),
        &metadata(&[("delta.columnMapping.mode", "id")], &[]),
        "the changes of s.t cannot be read: the table uses columnMapping",
        Some("the table itself can be read, at each of its versions: VERSION AS OF"),
    );
    check(
        Access::Append,
        &protocol(2, 5, &[], &[]),
        &metadata(&[("delta.columnMapping.mode", "id")], &[]),
        "cannot write the table s.t: it has column mapping, which pinsql reads but does not write",
        None,
    );
    let in_file = refuse_file_with_deletion_vector(Access::Rewrite, "s.t").unwrap_err();
    assert_eq!(
        in_file.message,
        "cannot change rows of the table s.t: it has deletion vectors, which pinsql reads but does not write"
    );
}
