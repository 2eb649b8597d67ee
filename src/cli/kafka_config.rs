//! Files with properties of the Kafka client, in the format of Kafka's own tools (`--command-config`). They are the place for
//! secrets, which must not be on a command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pinsql_base::error::{Error, ErrorCode, Result};

/// Reads the properties by name in lower case. An error does not show the invalid line, since it may be a secret.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).map_err(|error| {
        Error::new(ErrorCode::InvalidConfiguration, format!("cannot read the Kafka properties in {}", path.display()))
            .caused_by(error)
    })?;
    let lines = (1..).zip(text.lines().map(str::trim));
    let properties = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', '!']));
    properties
        .map(|(number, line)| match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            }
            _ => Err(Error::new(
                ErrorCode::InvalidConfiguration,
                format!("line {number} of {} is not NAME=VALUE", path.display()),
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_and_not_shown_in_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.properties");
        fs::write(&path, "# who we are\nsasl.mechanism = PLAIN\n\nsasl.JAAS.config=a b=\"c\";\n").unwrap();
        let properties = read(&path).unwrap();
        assert_eq!(properties["sasl.mechanism"], "PLAIN");
        assert_eq!(properties["sasl.jaas.config"], "a b=\"c\";");
        fs::write(&path, "sasl.mechanism=PLAIN\nhush\n").unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.message.starts_with("line 2 of ") && !error.message.contains("hush"), "{}", error.message);
    }
}
