//! TBLPROPERTIES: the `delta.*` properties that a table may have.
//!
//! A property that needs a protocol above the written ones (see `protocol.rs`) is refused by name: readers would ignore it
//! without the protocol. Properties outside `delta.` belong to the user and are kept unchanged.

use std::collections::BTreeMap;

use crate::spec::features::{CHANGE_DATA_FEED, CONSTRAINT_PREFIX, FEATURES};
use crate::spec::protocol::{READER_VERSION, WRITER_VERSION_MAX};
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

/// The properties that this writer supports, or that only other engines read.
const ACCEPTED: [&str; 17] = [
    "delta.appendOnly",
    "delta.autoOptimize.autoCompact",
    "delta.autoOptimize.optimizeWrite",
    "delta.checkpoint.writeStatsAsJson",
    "delta.checkpoint.writeStatsAsStruct",
    "delta.checkpointInterval",
    "delta.dataSkippingNumIndexedCols",
    "delta.dataSkippingStatsColumns",
    "delta.deletedFileRetentionDuration",
    CHANGE_DATA_FEED,
    "delta.enableExpiredLogCleanup",
    "delta.isolationLevel",
    "delta.logRetentionDuration",
    TARGET_FILE_SIZE,
    "delta.tuneFileSizesForRewrites",
    "delta.minReaderVersion",
    "delta.minWriterVersion",
];

/// Properties that are refused and turn on no feature of the protocol, each with the reason. The properties that turn on a
/// feature are in the table of features.
const REFUSED: [(&str, &str); 4] = [
    ("delta.universalFormat.enabledFormats", "it needs column mapping"),
    ("delta.checkpointPolicy", "checkpoints are always classic"),
    ("delta.randomizeFilePrefixes", "files are laid out by partition"),
    ("delta.setTransactionRetentionDuration", "exactly-once writing needs every transaction to be kept"),
];

pub(crate) const TARGET_FILE_SIZE: &str = "delta.targetFileSize";

/// The checked properties of a statement.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) kept: BTreeMap<String, String>,
    /// `delta.minWriterVersion`. It belongs to the Protocol action and not to the metadata.
    pub(crate) writer_version: Option<i32>,
}

/// Checks the properties of a statement.
pub(crate) fn checked(properties: &BTreeMap<String, String>) -> Result<Checked> {
    let mut checked = Checked::default();
    for (key, value) in properties {
        if !is_of_delta(key) {
            checked.kept.insert(key.clone(), value.clone());
            continue;
        }
        if let Some((refused, why)) = refused(key) {
            // `'false'` is the default, so it is accepted and not stored.
            if value.eq_ignore_ascii_case("false") || value.eq_ignore_ascii_case("none") {
                continue;
            }
            return Err(Error::new(
                ErrorCode::InvalidProperty,
                format!("the table property {refused} is not supported: {why}"),
            )
            .with_hint("tables are kept at reader version 1 and writer versions 2 to 4, which every engine reads"));
        }
        match known(key)? {
            name @ "delta.minReaderVersion" => drop(version(name, value, READER_VERSION)?),
            name @ "delta.minWriterVersion" => {
                checked.writer_version = Some(version(name, value, WRITER_VERSION_MAX)?);
            }
            name => {
                check_value(name, value)?;
                checked.kept.insert(name.to_owned(), value.clone());
            }
        }
    }
    Ok(checked)
}

/// The key in the metadata. Keys of Delta get their declared case, and other keys are unchanged.
pub(crate) fn stored_key(key: &str) -> Result<String> {
    match is_of_delta(key) {
        true => known(key).map(str::to_owned),
        false => Ok(key.to_owned()),
    }
}

/// The property that is refused under this name, and the reason.
fn refused(key: &str) -> Option<(&'static str, &'static str)> {
    let of_features = FEATURES.iter().filter_map(|feature| feature.refused_property);
    of_features.chain(REFUSED).find(|(refused, _)| refused.eq_ignore_ascii_case(key))
}

fn is_of_delta(key: &str) -> bool {
    key.to_lowercase().starts_with("delta.")
}

fn known(key: &str) -> Result<&'static str> {
    if key.to_lowercase().starts_with(CONSTRAINT_PREFIX) {
        return Err(Error::new(
            ErrorCode::InvalidProperty,
            format!("the table property {key} cannot be set: it holds a constraint"),
        )
        .with_hint("ALTER TABLE t ADD CONSTRAINT name CHECK (…), or DROP CONSTRAINT name"));
    }
    if key.to_lowercase().starts_with("delta.feature.") {
        return Err(Error::new(
            ErrorCode::InvalidProperty,
            format!("the table property {key} is not supported: it needs writer version 7"),
        )
        .with_hint("a table gets the protocol that its constraints and properties need"));
    }
    ACCEPTED.into_iter().find(|accepted| accepted.eq_ignore_ascii_case(key)).ok_or_else(|| unknown(key))
}

fn unknown(key: &str) -> Error {
    let error = Error::new(ErrorCode::UnknownProperty, format!("there is no table property {key}"));
    match nearest(key, ACCEPTED) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("properties of your own must not start with delta."),
    }
}

fn version(name: &str, value: &str, version_max: i32) -> Result<i32> {
    match value.parse::<i32>() {
        Ok(version) if (1..=version_max).contains(&version) => Ok(version),
        _ => Err(Error::new(
            ErrorCode::InvalidProperty,
            format!("{name} = {value} is not supported: tables are written with up to {version_max}"),
        )),
    }
}

fn check_value(name: &str, value: &str) -> Result<()> {
    let wanted = match name {
        TARGET_FILE_SIZE => match file_size_bytes(value) {
            Some(_) => return Ok(()),
            None => "a size such as 128mb",
        },
        "delta.checkpointInterval" => match value.parse::<u64>() {
            Ok(1..) => return Ok(()),
            _ => "a number of commits, 1 or more",
        },
        "delta.dataSkippingNumIndexedCols" => match value.parse::<i64>() {
            Ok(-1..) => return Ok(()),
            _ => "a number of columns, or -1 for all",
        },
        "delta.isolationLevel" => match value {
            "Serializable" | "WriteSerializable" => return Ok(()),
            _ => "Serializable or WriteSerializable",
        },
        "delta.logRetentionDuration" | "delta.deletedFileRetentionDuration" => {
            if value.trim_start().to_lowercase().starts_with("interval ") {
                return Ok(());
            }
            "an interval such as 'interval 30 days'"
        }
        "delta.dataSkippingStatsColumns" | "delta.tuneFileSizesForRewrites" => return Ok(()),
        name if name.starts_with("delta.autoOptimize") => return Ok(()),
        _ => match value.to_lowercase().as_str() {
            "true" | "false" => return Ok(()),
            _ => "true or false",
        },
    };
    Err(Error::new(ErrorCode::InvalidProperty, format!("the table property {name} is '{value}', but must be {wanted}")))
}

/// Parses `128mb`, `1 GB` or `104857600`.
pub(crate) fn file_size_bytes(value: &str) -> Option<u64> {
    let value = value.trim().to_lowercase();
    let digits = value.find(|character: char| !character.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<BTreeMap<String, String>> {
        checked(&BTreeMap::from([(key.to_owned(), value.to_owned())])).map(|checked| checked.kept)
    }

    #[test]
    fn properties_are_kept_refused_or_unknown() {
        assert_eq!(one("quality", "bronze").unwrap().len(), 1);
        assert_eq!(one("DELTA.appendonly", "true").unwrap().keys().next().unwrap(), "delta.appendOnly");
        assert!(one("delta.enableDeletionVectors", "false").unwrap().is_empty());
        assert!(one("delta.minWriterVersion", "2").unwrap().is_empty());
        assert_eq!(one("delta.enablechangedatafeed", "true").unwrap()["delta.enableChangeDataFeed"], "true");
        for (key, value, said) in [
            ("delta.enableDeletionVectors", "true", "delta.enableDeletionVectors is not supported"),
            ("delta.minReaderVersion", "3", "delta.minReaderVersion = 3 is not supported"),
            ("delta.minWriterVersion", "5", "delta.minWriterVersion = 5 is not supported"),
            ("delta.enableChangeDataFeed", "yes", "must be true or false"),
            ("delta.constraints.c", "a > 0", "delta.constraints.c cannot be set: it holds a constraint"),
            ("delta.feature.deletionVectors", "supported", "it needs writer version 7"),
            ("delta.appendOnly", "yes", "must be true or false"),
            ("delta.targetFileSize", "large", "must be a size such as 128mb"),
            ("delta.apendOnly", "true", "there is no table property delta.apendOnly"),
        ] {
            let error = one(key, value).unwrap_err();
            assert!(error.message.contains(said), "{}", error.message);
        }
        assert_eq!(one("delta.apendOnly", "true").unwrap_err().hint.unwrap(), "did you mean delta.appendOnly?");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(file_size_bytes("128mb"), Some(128 << 20));
        assert_eq!(file_size_bytes("1 GB"), Some(1 << 30));
        assert_eq!(file_size_bytes("104857600"), Some(104_857_600));
        assert_eq!(file_size_bytes("0"), None);
        assert_eq!(file_size_bytes("99999999999gb"), None);
    }
}
