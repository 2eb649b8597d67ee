//! The settings of a connection: server, database, user and password, resolved once.
//!
//! The precedence is: options of the call, its URL, its credentials file, the environment. A password comes only from a file or
//! from the environment, because many people can read SQL and command lines.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::credentials;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::settings::{DatabaseEnvironment, Secret};

const PORT: u16 = 3306;
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A query that groups a large table can be silent for minutes.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(300);
const SECRET_HINT: &str = "keep it in a file (credentials => 'db_creds.yaml', with HOST, USER, PASSWORD, DATABASE, PORT) \
                           or in PINSQL_DB_PASSWORD";

/// How a connection is secured, with the names of MySQL's own clients.
///
/// VERIFY_CA is deliberately absent: the client library cannot check the authority without checking the host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disabled,
    /// TLS if the server supports it. The certificate is not checked.
    Preferred,
    Required,
    /// TLS, and the certificate must be signed by a trusted authority for this host.
    VerifyIdentity,
}

impl SslMode {
    pub(super) fn from_name(name: &str) -> Result<Self> {
        match name.to_ascii_uppercase().replace('-', "_").as_str() {
            "DISABLED" => Ok(Self::Disabled),
            "PREFERRED" => Ok(Self::Preferred),
            "REQUIRED" => Ok(Self::Required),
            "VERIFY_IDENTITY" => Ok(Self::VerifyIdentity),
            "VERIFY_CA" => Err(Error::new(ErrorCode::InvalidConfiguration, "the sslMode VERIFY_CA is not supported")
                .with_hint("VERIFY_IDENTITY also checks that the certificate is for this host")),
            _ => Err(Error::new(ErrorCode::InvalidConfiguration, format!("`{name}` is not an sslMode"))
                .with_hint("DISABLED, PREFERRED, REQUIRED or VERIFY_IDENTITY")),
        }
    }
}

/// The network address of a server, as errors and plans show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A database, and how to connect to it. `Display` shows `mysql://host:3306/database`, without user and password.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    pub(super) server: Server,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) database: Option<String>,
    pub(super) ssl_mode: SslMode,
    /// A PEM file of trusted authorities. None: the authorities that browsers trust.
    pub(super) ssl_ca: Option<PathBuf>,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
}

/// Without the user and the password: `mysql://host:3306/database`.
impl fmt::Display for DatabaseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mysql://{}", self.server)?;
        match &self.database {
            Some(database) => write!(f, "/{database}"),
            None => Ok(()),
        }
    }
}

impl DatabaseOptions {
    /// Resolves a credentials file, a URL and the environment, in this order: the URL wins over the file, and both over the
    /// environment.
    ///
    /// Errors: a password in `url`, an unreadable file, a wrong value, or no host or user in any of them.
    pub fn resolve(credentials: Option<&Path>, url: Option<&str>, environment: &DatabaseEnvironment) -> Result<Self> {
        Self::resolve_over(Settings::default(), credentials, url, environment)
    }

    /// The same, but the options of a call win over all others.
    pub(super) fn resolve_over(
        given: Settings,
        credentials: Option<&Path>,
        url: Option<&str>,
        environment: &DatabaseEnvironment,
    ) -> Result<Self> {
        let mut settings = given;
        if let Some(url) = url {
            settings = settings.or(Settings::from_url(url)?);
        }
        if let Some(file) = credentials {
            settings = settings.or(credentials::read(file)?);
        }
        settings = settings.or(Settings::from_environment(environment)?);
        if let Some(url) = &environment.url {
            settings = settings.or(Settings::from_secret_url(url.reveal())?);
        }
        if let (None, Some(file)) = (credentials, &environment.credentials) {
            settings = settings.or(credentials::read(file)?);
        }
        settings.finish()
    }
}

/// The settings of one place, such as a URL or a file. Each of them may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<String>,
    pub ssl_mode: Option<SslMode>,
    pub ssl_ca: Option<PathBuf>,
}

impl Settings {
    /// The settings of `self`, completed by those of `other`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            host: self.host.or(other.host),
            port: self.port.or(other.port),
            user: self.user.or(other.user),
            password: self.password.or(other.password),
            database: self.database.or(other.database),
            ssl_mode: self.ssl_mode.or(other.ssl_mode),
            ssl_ca: self.ssl_ca.or(other.ssl_ca),
        }
    }

    /// `mysql://user@host:3306/database` without a password.
    pub(super) fn from_url(url: &str) -> Result<Self> {
        let settings = Self::from_secret_url(url)?;
        if settings.password.is_some() {
            return Err(Error::new(ErrorCode::InvalidConfiguration, "the URL of a database must not have a password")
                .with_hint(SECRET_HINT)
                .without_place());
        }
        Ok(settings)
    }

    /// The same, with a password. An error does not show the URL.
    fn from_secret_url(url: &str) -> Result<Self> {
        let wrong = |what: &str| {
            let error = Error::new(ErrorCode::InvalidConfiguration, format!("the URL of the database {what}"));
            error.with_hint("write mysql://user@host:3306/database").without_place()
        };
        let plain = url.strip_prefix("jdbc:").unwrap_or(url);
        let plain = match plain.split_once("://") {
            Some(("mysql" | "mariadb", rest)) => format!("mysql://{rest}"),
            _ => return Err(wrong("does not begin with mysql://")),
        };
        if plain.contains(['?', '#']) {
            return Err(wrong("has parameters, which are not supported"));
        }
        let read = mysql_async::Opts::from_url(&plain).map_err(|_| wrong("cannot be read"))?;
        let port_is_given = plain.rsplit_once('@').map_or(&plain[8..], |(_, rest)| rest).split('/').next();
        let port_is_given =
            port_is_given.is_some_and(|host| host.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with(':'));
        Ok(Self {
            host: Some(read.ip_or_hostname().trim_matches(['[', ']']).to_owned()),
            port: port_is_given.then(|| read.tcp_port()),
            user: read.user().map(str::to_owned),
            password: read.pass().map(Secret::new),
            database: read.db_name().map(str::to_owned),
            ssl_mode: None,
            ssl_ca: None,
        })
    }

    fn from_environment(environment: &DatabaseEnvironment) -> Result<Self> {
        Ok(Self {
            host: environment.host.clone(),
            port: environment.port.as_deref().map(port).transpose()?,
            user: environment.user.clone(),
            password: environment.password.clone(),
            database: environment.database.clone(),
            ssl_mode: environment.ssl_mode.as_deref().map(SslMode::from_name).transpose()?,
            ssl_ca: environment.ssl_ca.clone(),
        })
    }

    fn finish(self) -> Result<DatabaseOptions> {
        let missing = |what: &str, variable: &str| {
            Error::new(ErrorCode::InvalidConfiguration, format!("the {what} of the database is missing")).with_hint(
                format!("credentials => 'db_creds.yaml', url => 'mysql://user@host:3306/database', or {variable}"),
            )
        };
        let ssl_mode = match (self.ssl_mode, &self.ssl_ca) {
            (None, None) => SslMode::Preferred,
            (None | Some(SslMode::VerifyIdentity), _) => SslMode::VerifyIdentity,
            (Some(mode), None) => mode,
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    ErrorCode::InvalidConfiguration,
                    "sslCa is given, but this sslMode checks no certificate",
                )
                .with_hint("sslMode => 'VERIFY_IDENTITY', or leave sslCa out"));
            }
        };
        Ok(DatabaseOptions {
            server: Server {
                host: self.host.ok_or_else(|| missing("host", "PINSQL_DB_HOST"))?,
                port: self.port.unwrap_or(PORT),
            },
            user: self.user.ok_or_else(|| missing("user", "PINSQL_DB_USER"))?,
            password: self.password,
            database: self.database,
            ssl_mode,
            ssl_ca: self.ssl_ca,
            connect_timeout: CONNECT_TIMEOUT,
            read_timeout: READ_TIMEOUT,
        })
    }
}

/// The error for a password in SQL.
pub(super) fn password_refused() -> Error {
    Error::new(ErrorCode::InvalidOption, "a password must not be in SQL").with_hint(SECRET_HINT).without_place()
}

pub(super) fn port(text: &str) -> Result<u16> {
    let port = text.trim().parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| {
        Error::new(ErrorCode::InvalidConfiguration, format!("`{text}` is not a port"))
            .with_hint("a number such as 3306")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(host: &str, password: &str) -> DatabaseEnvironment {
        DatabaseEnvironment {
            host: Some(host.to_owned()),
            password: Some(Secret::new(password)),
            user: Some("env".to_owned()),
            ..DatabaseEnvironment::default()
        }
    }

    #[test]
    fn earlier_places_have_precedence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("db_creds.yaml");
        std::fs::write(&file, "HOST: file\nUSER: file\nDATABASE: file\n").unwrap();
        let given = Settings { user: Some("given".to_owned()), ..Settings::default() };
        let resolved =
            DatabaseOptions::resolve_over(given, Some(&file), Some("mysql://url@url/url"), &environment("env", "pw"));
        let resolved = resolved.unwrap();
        assert_eq!(resolved.server.to_string(), "url:3306");
        assert_eq!((resolved.user.as_str(), resolved.database.as_deref()), ("given", Some("url")));
        assert_eq!(resolved.password.as_ref().map(Secret::reveal), Some("pw"));
        assert!(!format!("{resolved:?}").contains("pw\""));

        let resolved = DatabaseOptions::resolve(Some(&file), None, &environment("env", "pw")).unwrap();
        assert_eq!((resolved.server.host.as_str(), resolved.user.as_str()), ("file", "file"));
        let mut from_environment = environment("env", "pw");
        from_environment.credentials = Some(file);
        from_environment.url = Some(Secret::new("mysql://url:secret@url:3307/url"));
        let resolved = DatabaseOptions::resolve(None, None, &from_environment).unwrap();
        assert_eq!((resolved.server.to_string().as_str(), resolved.database.as_deref()), ("env:3307", Some("url")));
    }

    fn check_url(url: &str, shown: &str) {
        let settings = Settings::from_secret_url(url).unwrap();
        let Settings { host, port, user, password, database, .. } = settings;
        let password = password.map(|password| password.reveal().to_owned());
        assert_eq!(format!("{user:?} {password:?} {host:?} {port:?} {database:?}").replace("Some", ""), shown, "{url}");
    }

    #[test]
    fn missing_parts_of_a_url_stay_absent() {
        check_url("mysql://u@h/d", r#"("u") None ("h") None ("d")"#);
        check_url("jdbc:mysql://u:p%40ss@h:33/d", r#"("u") ("p@ss") ("h") (33) ("d")"#);
        check_url("mariadb://h", r#"None None ("h") None None"#);
        check_url("mysql://u@[::1]:3306/d", r#"("u") None ("::1") (3306) ("d")"#);
    }

    #[test]
    fn errors_about_a_url_do_not_show_the_secret() {
        for (url, message) in [
            ("mysql://u:s3cret@h/d", "the URL of a database must not have a password"),
            ("mysql://u@h/d?password=s3cret", "the URL of the database has parameters, which are not supported"),
            ("postgres://u:s3cret@h/d", "the URL of the database does not begin with mysql://"),
            ("mysql://u:s3cret@/d", "the URL of the database cannot be read"),
        ] {
            let error = Settings::from_url(url).unwrap_err();
            assert_eq!(error.message, message);
            assert!(!format!("{error:?}").contains("s3cret"));
        }
    }

    #[test]
    fn missing_and_wrong_settings_are_errors() {
        let nothing = DatabaseEnvironment::default();
        let error = |url: Option<&str>, given: Settings| {
            DatabaseOptions::resolve_over(given, None, url, &nothing).unwrap_err().message
        };
        assert_eq!(error(None, Settings::default()), "the host of the database is missing");
        assert_eq!(error(Some("mysql://h/d"), Settings::default()), "the user of the database is missing");
        let mode = SslMode::from_name("verify_ca").unwrap_err();
        assert_eq!(mode.message, "the sslMode VERIFY_CA is not supported");
        assert_eq!(SslMode::from_name("on").unwrap_err().message, "`on` is not an sslMode");
        assert_eq!(port("0").unwrap_err().message, "`0` is not a port");
        let ca = Settings { ssl_mode: Some(SslMode::Required), ssl_ca: Some("ca.pem".into()), ..Settings::default() };
        assert_eq!(error(Some("mysql://u@h/d"), ca), "sslCa is given, but this sslMode checks no certificate");
    }

    #[test]
    fn an_authority_without_a_mode_means_verify_identity() {
        let ca = Settings { ssl_ca: Some("ca.pem".into()), ..Settings::default() };
        let url = Some("mysql://u@h/d");
        let resolved = DatabaseOptions::resolve_over(ca, None, url, &DatabaseEnvironment::default()).unwrap();
        assert_eq!(resolved.ssl_mode, SslMode::VerifyIdentity);
    }
}
