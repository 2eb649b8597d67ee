//! The credentials file: `db_creds.yaml`, with the keys HOST, USER, PASSWORD, DATABASE and PORT.
//!
//! An error names the line and the key, but never the value, which may be the password.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::settings::{Settings, SslMode, port};
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_base::settings::Secret;

/// More than any credentials file needs.
const FILE_BYTES_MAX: u64 = 64 << 10;
const KEYS: [&str; 7] = ["HOST", "USER", "PASSWORD", "DATABASE", "PORT", "SSL_MODE", "SSL_CA"];

pub(super) fn read(file: &Path) -> Result<Settings> {
    let name = file.display();
    let unreadable = |error: std::io::Error| {
        Error::new(ErrorCode::InvalidCredentials, format!("cannot read the credentials in {name}"))
            .with_hint("a YAML file with HOST, USER, PASSWORD, DATABASE and PORT")
            .caused_by(error)
    };
    let mut text = String::new();
    let opened = File::open(file).map_err(unreadable)?;
    opened.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    parse(&text).map_err(|(message, hint)| {
        Error::new(ErrorCode::InvalidCredentials, format!("{name}: {message}")).with_hint(hint)
    })
}

/// The message and the hint of an error.
type Wrong = (String, String);

fn parse(text: &str) -> Result<Settings, Wrong> {
    let values: BTreeMap<String, Option<String>> = serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(|location| format!(" in line {}", location.line())).unwrap_or_default();
        (format!("the YAML is not valid{place}"), "write one KEY: value on each line".to_owned())
    })?;
    let mut settings = Settings::default();
    for (written, value) in values {
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        let said = |error: Error| (error.message, error.hint.unwrap_or_default());
        match written.to_ascii_uppercase().as_str() {
            "HOST" => settings.host = Some(value),
            "USER" => settings.user = Some(value),
            "PASSWORD" => settings.password = Some(Secret::new(value)),
            "DATABASE" => settings.database = Some(value),
            "PORT" => settings.port = Some(port(&value).map_err(said)?),
            "SSL_MODE" => settings.ssl_mode = Some(SslMode::from_name(&value).map_err(said)?),
            "SSL_CA" => settings.ssl_ca = Some(value.into()),
            _ => {
                let hint = match nearest(&written, KEYS) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("the keys are {}", KEYS.join(", ")),
                };
                return Err((format!("the key `{written}` is unknown"), hint));
            }
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pipelines_file_is_read() {
        let settings = parse("HOST: db.example\nUSER: me\nPASSWORD: 0123\nDATABASE: pins\nPORT: 3307\n").unwrap();
        assert_eq!(settings.host.as_deref(), Some("db.example"));
        assert_eq!(settings.port, Some(3307));
        // A password of digits keeps its zeros.
        assert_eq!(settings.password.as_ref().map(Secret::reveal), Some("0123"));
        let settings = parse("host: h\nuser: 'u'\npassword: \"p: #1\"\nport: '3306'\nssl_mode: disabled\n").unwrap();
        assert_eq!(settings.password.as_ref().map(Secret::reveal), Some("p: #1"));
        assert_eq!((settings.port, settings.ssl_mode), (Some(3306), Some(SslMode::Disabled)));
        assert_eq!(parse("PASSWORD:\nHOST: ''\n").unwrap(), Settings::default());
    }

    #[test]
    fn no_error_shows_a_value_of_the_file() {
        for (text, message, hint) in [
            ("PASSWORT: s3cret\n", "the key `PASSWORT` is unknown", "did you mean PASSWORD?"),
            (
                "HOST: h\nPASSWORD: [s3cret, x]\n",
                "the YAML is not valid in line 2",
                "write one KEY: value on each line",
            ),
            ("HOST: h\nPASSWORD: 's3cret\n", "the YAML is not valid in line 2", "write one KEY: value on each line"),
            ("s3cret", "the YAML is not valid in line 1", "write one KEY: value on each line"),
            ("PORT: many", "`many` is not a port", "a number such as 3306"),
        ] {
            let (said, advice) = parse(text).unwrap_err();
            assert_eq!((said.as_str(), advice.as_str()), (message, hint));
            assert!(!said.contains("s3cret") && !advice.contains("s3cret"));
        }
    }

    #[test]
    fn the_error_for_a_missing_file_names_it() {
        let error = read(Path::new("no_such_creds.yaml")).unwrap_err();
        assert_eq!(error.message, "cannot read the credentials in no_such_creds.yaml");
    }
}
