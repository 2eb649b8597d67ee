//! The failures of a database, their codes and hints.
//!
//! The code decides about retries. A server that is away, overloaded or shutting down is a failure of a service, and a retry can
//! help. A failure that only a person can repair (a password, a name, a value) is not retried. The message of the server is the
//! cause; it never has a password.

use std::error::Error as _;
use std::io;

use mysql_async::{DriverError, Error as ClientError, IoError, ServerError};
use thiserror::Error;

use super::settings::DatabaseOptions;
use pinsql_base::error::{Error, ErrorCode, nearest};

/// A failure of a source in MySQL. It becomes an [`Error`] with its code, the message of the server as the cause, and a hint.
#[derive(Debug, Error)]
pub(super) enum MysqlFailure {
    #[error("the database server {server} cannot be reached")]
    Unreachable { server: String, reason: String },
    #[error("the database server {server} has not answered for {seconds} s")]
    Silent { server: String, seconds: u64, connecting: bool },
    #[error("the connection to the database server {server} was lost")]
    Lost { server: String, reason: String },
    #[error("the database server {server} refuses the user {user}")]
    Denied { server: String, user: String, reason: String },
    #[error("the database server {server} refuses this machine")]
    MachineDenied { server: String, reason: String },
    #[error("the database server {server} requires an authentication method that is not supported")]
    SignIn { server: String, reason: String },
    #[error("no TLS connection to the database server {server} can be made")]
    Tls { server: String, reason: String },
    #[error("the database server {server} does not support TLS")]
    NoTls { server: String },
    #[error("the database server {server} accepts only connections with TLS")]
    TlsWanted { server: String, reason: String },
    #[error("there is no database `{database}` on {server}")]
    UnknownDatabase { server: String, database: String, databases: Vec<String> },
    #[error("the user {user} may not use the database `{database}` on {server}")]
    DatabaseDenied { server: String, user: String, database: String, reason: String },
    #[error("no database is given")]
    NoDatabase,
    #[error("there is no table `{table}` on {server}")]
    UnknownTable { server: String, table: String, tables: Vec<String> },
    #[error("the user {user} may not read `{table}`")]
    TableDenied { user: String, table: String, reason: String },
    #[error("the database server {server} is overloaded or shutting down")]
    Overloaded { server: String, reason: String },
    #[error("the database server {server} refuses the query")]
    Query { server: String, reason: String },
    #[error("the client of the database failed")]
    Client { reason: String },
    #[error("the type of the column `{column}` cannot be read: {data_type}")]
    Type { column: String, data_type: String },
    #[error("the query of read_mysql has {count} parameter markers (?)")]
    Markers { count: u16 },
    #[error("the query of read_mysql gives no columns")]
    NoColumns,
    #[error("the columns of {source_name} have changed since the statement began")]
    Changed { source_name: String },
    #[error("the column `{column}` holds {value}")]
    Value { column: String, value: String, hint: String },
    #[error("row {number} of `{table}` no longer exists")]
    RowGone { table: String, number: u64 },
}

impl MysqlFailure {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Lost { .. } | Self::Overloaded { .. } => {
                ErrorCode::ServiceUnavailable
            }
            Self::UnknownTable { .. } => ErrorCode::TableOrViewNotFound,
            Self::Type { .. } => ErrorCode::UnsupportedDatatype,
            Self::Query { .. } | Self::Markers { .. } | Self::NoColumns => ErrorCode::InvalidOption,
            Self::Changed { .. } | Self::RowGone { .. } => ErrorCode::SourceChanged,
            Self::Value { .. } => ErrorCode::InvalidRecord,
            Self::Client { .. } => ErrorCode::Internal,
            Self::Denied { .. } => ErrorCode::InvalidCredentials,
            Self::Tls { .. } => ErrorCode::InvalidCertificate,
            Self::UnknownDatabase { .. } => ErrorCode::ResourceNotFound,
            Self::MachineDenied { .. } | Self::DatabaseDenied { .. } | Self::TableDenied { .. } => {
                ErrorCode::PermissionDenied
            }
            Self::SignIn { .. } | Self::NoTls { .. } | Self::TlsWanted { .. } | Self::NoDatabase => {
                ErrorCode::InvalidConfiguration
            }
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Unreachable { reason, .. }
            | Self::Lost { reason, .. }
            | Self::Denied { reason, .. }
            | Self::MachineDenied { reason, .. }
            | Self::SignIn { reason, .. }
            | Self::Tls { reason, .. }
            | Self::TlsWanted { reason, .. }
            | Self::DatabaseDenied { reason, .. }
            | Self::TableDenied { reason, .. }
            | Self::Overloaded { reason, .. }
            | Self::Query { reason, .. }
            | Self::Client { reason } => Some(reason),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let said = match self {
            Self::Unreachable { .. } => "check that the server is running, and that host and port are right",
            Self::Silent { connecting: true, .. } => {
                "check firewalls and security groups; connectTimeout => '30s' waits longer"
            }
            Self::Silent { connecting: false, .. } => "socketTimeout => '1h' waits longer for a slow query",
            Self::Lost { .. } => "retry when the server is available",
            Self::Denied { .. } => {
                "check USER and PASSWORD, the hosts from which the server accepts this user, and whether it requires TLS"
            }
            Self::MachineDenied { .. } => "CREATE USER on the server names the hosts from which a user may connect",
            Self::SignIn { .. } => "the user needs one of mysql_native_password, caching_sha2_password and ed25519",
            Self::Tls { .. } => {
                "sslCa => 'ca.pem' names the authority of the server's certificate; sslMode => 'DISABLED' uses no TLS"
            }
            Self::NoTls { .. } => "sslMode => 'PREFERRED' also connects without TLS",
            Self::TlsWanted { .. } => "sslMode => 'REQUIRED', or VERIFY_IDENTITY with sslCa",
            Self::DatabaseDenied { .. } => "check the name; GRANT SELECT on the database allows the user to read it",
            Self::NoDatabase => "DATABASE in the credentials, database => 'name', or table => 'database.table'",
            Self::TableDenied { .. } => "GRANT SELECT on the table allows the user to read it",
            Self::Type { .. } => "query => 'SELECT CAST(column AS CHAR) AS column, … FROM table' reads it as text",
            Self::Markers { .. } => "write the values into the query",
            Self::NoColumns => "the query must be a SELECT",
            Self::Changed { .. } => "run the statement again",
            Self::Value { hint, .. } if !hint.is_empty() => hint,
            Self::UnknownDatabase { database, databases, .. } => return did_you_mean(database, databases),
            Self::UnknownTable { table, tables, .. } => return did_you_mean(&unqualified(Some(table)), tables),
            _ => return None,
        };
        Some(said.to_owned())
    }
}

fn did_you_mean(wanted: &str, known: &[String]) -> Option<String> {
    nearest(wanted, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
}

impl From<MysqlFailure> for Error {
    fn from(failure: MysqlFailure) -> Self {
        let mut error = Error::new(failure.code(), failure.to_string());
        error.hint = failure.hint();
        match failure.reason() {
            Some(reason) if !reason.is_empty() => error.caused_by(reason.to_owned()),
            _ => error,
        }
    }
}

/// The failure of a connection that could not be opened.
pub(super) fn connecting(options: &DatabaseOptions, error: ClientError) -> MysqlFailure {
    let server = options.server.to_string();
    match error {
        ClientError::Driver(DriverError::NoClientSslFlagFromServer) => MysqlFailure::NoTls { server },
        ClientError::Driver(
            error @ (DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled),
        ) => MysqlFailure::SignIn { server, reason: error.to_string() },
        ClientError::Io(IoError::Tls(error)) => MysqlFailure::Tls { server, reason: error.to_string() },
        ClientError::Io(IoError::Io(error)) => match tls_reason(&error) {
            Some(reason) => MysqlFailure::Tls { server, reason },
            None => MysqlFailure::Unreachable { server, reason: error.to_string() },
        },
        ClientError::Server(error) => refused(options, &error),
        other => MysqlFailure::Unreachable { server, reason: words(&other) },
    }
}

/// The failure of a query over an open connection.
pub(super) fn querying(options: &DatabaseOptions, error: ClientError) -> MysqlFailure {
    let server = options.server.to_string();
    match error {
        ClientError::Server(error) => refused(options, &error),
        ClientError::Io(error) => {
            let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            MysqlFailure::Lost { server, reason }
        }
        ClientError::Driver(error @ (DriverError::ConnectionClosed | DriverError::PacketOutOfOrder)) => {
            MysqlFailure::Lost { server, reason: error.to_string() }
        }
        other => MysqlFailure::Client { reason: words(&other) },
    }
}

/// The reason of rustls, whose error is inside the error of the socket.
fn tls_reason(error: &io::Error) -> Option<String> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).map(ToString::to_string)
}

/// The innermost message of the client, which wraps an error in each of its layers.
fn words(error: &ClientError) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The failure for an error number of the server (<https://mariadb.com/kb/en/mariadb-error-codes/>,
/// <https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html>).
fn refused(options: &DatabaseOptions, error: &ServerError) -> MysqlFailure {
    let (server, user) = (options.server.to_string(), options.user.clone());
    let reason = error.message.clone();
    let database = || options.database.clone().unwrap_or_default();
    match error.code {
        1045 | 1698 | 3118 | 4151 => MysqlFailure::Denied { server, user, reason },
        1129 | 1130 => MysqlFailure::MachineDenied { server, reason },
        1251 | 1524 => MysqlFailure::SignIn { server, reason },
        3159 => MysqlFailure::TlsWanted { server, reason },
        1044 => MysqlFailure::DatabaseDenied { server, user, database: database(), reason },
        1049 => MysqlFailure::UnknownDatabase { server, database: database(), databases: Vec::new() },
        1046 => MysqlFailure::NoDatabase,
        1146 => {
            // Table 'pins.pin_dat' doesn't exist
            let table = reason.split('\'').nth(1).unwrap_or_default().to_owned();
            MysqlFailure::UnknownTable { server, table, tables: Vec::new() }
        }
        1142 | 1143 => MysqlFailure::TableDenied { user, table: unqualified(last_quoted(&reason)), reason },
        // Out of connections, memory, disk, locks or time; a shutdown; a killed query or connection.
        1021
        | 1028
        | 1037
        | 1038
        | 1040
        | 1041
        | 1053
        | 1105
        | 1152..=1161
        | 1203
        | 1205
        | 1213
        | 1226
        | 1317
        | 1927
        | 1969
        | 3024 => MysqlFailure::Overloaded { server, reason },
        _ => MysqlFailure::Query { server, reason },
    }
}

/// The text in the last quotes of a message of the server, which uses two kinds: "denied to user 'me' for table `pins`.`pin`".
fn last_quoted(message: &str) -> Option<&str> {
    message.rsplit(['\'', '`']).nth(1)
}

fn unqualified(name: Option<&str>) -> String {
    name.and_then(|name| name.rsplit('.').next()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use pinsql_base::error::ErrorKind;

    use super::*;
    use pinsql_base::settings::DatabaseEnvironment;

    fn check(code: u16, message: &str, kind: ErrorKind, said: &str) {
        let options =
            DatabaseOptions::resolve(None, Some("mysql://me@db/pins"), &DatabaseEnvironment::default()).unwrap();
        let server = ServerError { code, message: message.to_owned(), state: "HY000".to_owned() };
        let error = Error::from(querying(&options, ClientError::Server(server)));
        assert_eq!((error.kind(), error.message.as_str()), (kind, said));
    }

    #[test]
    fn errors_of_the_server_are_classified_by_number() {
        check(1045, "Access denied", ErrorKind::Config, "the database server db:3306 refuses the user me");
        check(1049, "Unknown", ErrorKind::Config, "there is no database `pins` on db:3306");
        check(1146, "Table 'pins.pin' doesn't exist", ErrorKind::Sql, "there is no table `pins.pin` on db:3306");
        check(
            1142,
            "SELECT command denied to user 'me'@'h' for table `pins`.`pin`",
            ErrorKind::Config,
            "the user me may not read `pin`",
        );
        check(1317, "interrupted", ErrorKind::Service, "the database server db:3306 is overloaded or shutting down");
        check(1064, "syntax", ErrorKind::Sql, "the database server db:3306 refuses the query");
    }
}
