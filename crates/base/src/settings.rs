//! Settings that several crates read: S3, secrets, and the database's environment.
//!
//! A password has no flag: every user of a machine can list the arguments of its processes.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// The location of S3 or of an S3-compatible server. Credentials are not here: they come from AWS's default chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The URL of an S3-compatible server. None is AWS.
    pub endpoint: Option<String>,
    /// The region of all buckets. None looks it up.
    pub region: Option<String>,
    /// True for `https://server/bucket/key`, false for `https://bucket.server/key`. The default is true if there is an endpoint.
    pub path_style: Option<bool>,
}

/// A text that is never printed: not in an error, a log, a plan or `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Pass it only to the service that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The `PINSQL_DB_…` environment variables, as text. The MySQL source parses and validates them.
#[derive(Debug, Clone, Default)]
pub struct DatabaseEnvironment {
    /// `PINSQL_DB_HOST`.
    pub host: Option<String>,
    /// `PINSQL_DB_PORT`.
    pub port: Option<String>,
    /// `PINSQL_DB_USER`.
    pub user: Option<String>,
    /// `PINSQL_DB_PASSWORD`.
    pub password: Option<Secret>,
    /// `PINSQL_DB_DATABASE`.
    pub database: Option<String>,
    /// `PINSQL_DB_SSL_MODE`.
    pub ssl_mode: Option<String>,
    /// `PINSQL_DB_SSL_CA`: the path of a certificate file.
    pub ssl_ca: Option<PathBuf>,
    /// The path of a YAML file such as `db_creds.yaml`.
    pub credentials: Option<PathBuf>,
    /// A secret, since a URL can contain a password.
    pub url: Option<Secret>,
}

impl DatabaseEnvironment {
    /// Reads the variables with `get`. An empty variable counts as missing.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(&format!("PINSQL_DB_{name}")).filter(|value| !value.is_empty());
        Self {
            host: get("HOST"),
            port: get("PORT"),
            user: get("USER"),
            password: get("PASSWORD").map(Secret),
            database: get("DATABASE"),
            ssl_mode: get("SSL_MODE"),
            ssl_ca: get("SSL_CA").map(PathBuf::from),
            credentials: get("CREDENTIALS").map(PathBuf::from),
            url: get("URL").map(Secret),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_missing_and_secrets_are_not_printed() {
        let environment = DatabaseEnvironment::from_variables(|name| match name {
            "PINSQL_DB_PASSWORD" => Some("hunter2".to_owned()),
            "PINSQL_DB_URL" => Some("mysql://u:hunter2@h/d".to_owned()),
            "PINSQL_DB_HOST" => Some(String::new()),
            _ => None,
        });
        assert_eq!(environment.password.as_ref().map(Secret::reveal), Some("hunter2"));
        assert_eq!(environment.host, None);
        assert!(!format!("{environment:?}").contains("hunter2"));
    }
}
