//! Which server, which database, and as whom: resolved once.
//!
//! Options of a call win over its URL, those over the file of credentials, that over the environment. A password is taken from
//! a file or from the environment alone: SQL text and command lines are seen by too many.

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
const SECRET_HINT: &str = "keep it in a file (credentials => 'db_creds.yaml', with HOST, USER, PASSWORD, DATABASE, PORT) or in PINSQL_DB_PASSWORD";

/// How a connection is secured, by the names that MySQL's own clients have for it.
///
/// VERIFY_CA is deliberately absent: the client library cannot check an authority and leave the host's name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disabled,
    /// TLS where the server has it. The server's certificate is not looked at.
    Preferred,
    Required,
    /// The certificate must be of a known authority, and for this host.
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

/// A database, and how it is reached.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    pub(super) server: Server,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) database: Option<String>,
    pub(super) ssl_mode: SslMode,
    /// A file of certificates that are trusted; without it, those that browsers trust are.
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
    /// What `--credentials`, `--db-url` and the environment say. A password in `url` is refused.
    pub fn resolve(credentials: Option<&Path>, url: Option<&str>, environment: &DatabaseEnvironment) -> Result<Self> {
        Self::resolve_over(Settings::default(), credentials, url, environment)
    }

    /// The same below what the options of a call say.
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

/// What one place says; each of it may be absent.
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
    /// What `self` does not say, `other` does.
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
            return Err(Error::new(ErrorCode::InvalidConfiguration, "a database's URL has no password in it here")
                .with_hint(SECRET_HINT)
                .without_place());
        }
        Ok(settings)
    }

    /// The same with a password. What is wrong with it is said without showing it.
    fn from_secret_url(url: &str) -> Result<Self> {
        let wrong = |what: &str| {
            let error = Error::new(ErrorCode::InvalidConfiguration, format!("the database's URL {what}"));
            error.with_hint("write mysql://user@host:3306/database").without_place()
        };
        let plain = url.strip_prefix("jdbc:").unwrap_or(url);
        let plain = match plain.split_once("://") {
            Some(("mysql" | "mariadb", rest)) => format!("mysql://{rest}"),
            _ => return Err(wrong("does not begin with mysql://")),
        };
        if plain.contains(['?', '#']) {
            return Err(wrong("has parameters, which are options here"));
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
            Error::new(ErrorCode::InvalidConfiguration, format!("the database's {what} is not given")).with_hint(
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
                    "sslCa is given, and the sslMode looks at no certificate",
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

/// The refusal of a password where it would be seen.
pub(super) fn password_refused() -> Error {
    Error::new(ErrorCode::InvalidOption, "a password has no place in SQL").with_hint(SECRET_HINT).without_place()
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
    fn each_place_gives_way_to_the_one_before_it() {
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
    fn urls_are_read_with_what_they_say_and_no_more() {
        check_url("mysql://u@h/d", r#"("u") None ("h") None ("d")"#);
        check_url("jdbc:mysql://u:p%40ss@h:33/d", r#"("u") ("p@ss") ("h") (33) ("d")"#);
        check_url("mariadb://h", r#"None None ("h") None None"#);
        check_url("mysql://u@[::1]:3306/d", r#"("u") None ("::1") (3306) ("d")"#);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (url, message) in [
            ("mysql://u:s3cret@h/d", "a database's URL has no password in it here"),
            ("mysql://u@h/d?password=s3cret", "the database's URL has parameters, which are options here"),
            ("postgres://u:s3cret@h/d", "the database's URL does not begin with mysql://"),
            ("mysql://u:s3cret@/d", "the database's URL cannot be read"),
        ] {
            let error = Settings::from_url(url).unwrap_err();
            assert_eq!(error.message, message);
            assert!(!format!("{error:?}").contains("s3cret"));
        }
    }

    #[test]
    fn what_is_missing_or_does_not_fit_is_said() {
        let nothing = DatabaseEnvironment::default();
        let error = |url: Option<&str>, given: Settings| {
            DatabaseOptions::resolve_over(given, None, url, &nothing).unwrap_err().message
        };
        assert_eq!(error(None, Settings::default()), "the database's host is not given");
        assert_eq!(error(Some("mysql://h/d"), Settings::default()), "the database's user is not given");
        let mode = SslMode::from_name("verify_ca").unwrap_err();
        assert_eq!(mode.message, "the sslMode VERIFY_CA is not supported");
        assert_eq!(SslMode::from_name("on").unwrap_err().message, "`on` is not an sslMode");
        assert_eq!(port("0").unwrap_err().message, "`0` is not a port");
        let ca = Settings { ssl_mode: Some(SslMode::Required), ssl_ca: Some("ca.pem".into()), ..Settings::default() };
        assert_eq!(error(Some("mysql://u@h/d"), ca), "sslCa is given, and the sslMode looks at no certificate");
    }

    #[test]
    fn an_authority_alone_asks_for_its_check() {
        let ca = Settings { ssl_ca: Some("ca.pem".into()), ..Settings::default() };
        let url = Some("mysql://u@h/d");
        let resolved = DatabaseOptions::resolve_over(ca, None, url, &DatabaseEnvironment::default()).unwrap();
        assert_eq!(resolved.ssl_mode, SslMode::VerifyIdentity);
    }
}
