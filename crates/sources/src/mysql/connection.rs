//! A connection to a database: how it is opened, secured, set up and closed.
//!
//! Every connection uses UTC, utf8mb4 and read-only transactions, independent of the server's defaults. Rows use the binary
//! protocol, because the text protocol prints FLOAT with six digits.

use std::fmt;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{
    BinaryProtocol, Column, Conn, DriverError, Error as ClientError, Opts, OptsBuilder, QueryResult, Row, SslOpts,
    Statement, Value,
};

use super::error::{MysqlFailure, connecting, querying};
use super::settings::{DatabaseOptions, SslMode};

/// The interval of TCP keepalive.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// The largest row that the protocol allows.
const ROW_BYTES_MAX: usize = 1 << 30;
/// The most names in which an error searches for a similar one.
const NAMES_MAX: usize = 10_000;

/// Statements that run first on every connection. A reader that waits for a disk must not be disconnected after the server's
/// default of 60 seconds. Connector/J sets the same timeout when it streams (`netTimeoutForStreamingResults`).
const SETUP: [&str; 3] = [
    "SET NAMES utf8mb4",
    "SET SESSION time_zone = '+00:00', net_write_timeout = 600",
    "SET SESSION TRANSACTION READ ONLY",
];

/// An open connection.
pub(super) struct Connection {
    /// None only while it is closed or dropped.
    conn: Option<Conn>,
    options: DatabaseOptions,
}

/// The derived form would show the password in the client.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects, within the connect timeout. An unknown database is an error with all names of databases, for its hint.
    pub(super) async fn open(options: &DatabaseOptions) -> Result<Self, MysqlFailure> {
        match Self::open_in(options, options.database.as_deref()).await {
            Err(MysqlFailure::UnknownDatabase { server, database, .. }) => {
                let databases = Self::databases(options).await;
                Err(MysqlFailure::UnknownDatabase { server, database, databases })
            }
            opened => opened,
        }
    }

    async fn open_in(options: &DatabaseOptions, database: Option<&str>) -> Result<Self, MysqlFailure> {
        let connecting_to = |ssl: Option<SslOpts>| async {
            let connecting_to = Conn::new(client_options(options, database, ssl));
            tokio::time::timeout(options.connect_timeout, connecting_to).await.map_err(|_| MysqlFailure::Silent {
                server: options.server.to_string(),
                seconds: options.connect_timeout.as_secs(),
                connecting: true,
            })
        };
        let mut outcome = connecting_to(tls(options)).await?;
        let has_no_tls = matches!(outcome, Err(ClientError::Driver(DriverError::NoClientSslFlagFromServer)));
        if has_no_tls && options.ssl_mode == SslMode::Preferred {
            outcome = connecting_to(None).await?;
        }
        let conn = outcome.map_err(|error| connecting(options, error))?;
        Ok(Self { conn: Some(conn), options: options.clone() })
    }

    /// The databases that the user can see, for a hint.
    async fn databases(options: &DatabaseOptions) -> Vec<String> {
        // A failure here only means an error without a hint.
        let Ok(mut connection) = Self::open_in(options, None).await else { return Vec::new() };
        let names = connection.names("SELECT schema_name FROM information_schema.schemata", Vec::new()).await;
        names.unwrap_or_default()
    }

    /// The tables of a database, or of the connection's database if it is None.
    pub(super) async fn tables(&mut self, database: Option<&str>) -> Vec<String> {
        let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = COALESCE(?, DATABASE())";
        self.names(sql, vec![database.into()]).await.unwrap_or_default()
    }

    async fn names(&mut self, sql: &str, parameters: Vec<Value>) -> Result<Vec<String>, MysqlFailure> {
        let statement = self.prepare(sql).await?;
        let mut rows = self.execute(&statement, parameters).await?;
        let mut names = Vec::new();
        while let Some(row) = rows.next().await?
            && names.len() < NAMES_MAX
        {
            if let Some(Value::Bytes(name)) = row.as_ref(0) {
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
        Ok(names)
    }

    /// Prepares a query, which returns its columns. No row is read.
    pub(super) async fn prepare(&mut self, sql: &str) -> Result<Statement, MysqlFailure> {
        let Self { conn, options } = self;
        let conn = conn.as_mut().ok_or_else(|| closed(options))?;
        within_timeout(options, conn.prep(sql)).await
    }

    /// Runs a query. Each row is read from the server when [`Rows::next`] requests it.
    pub(super) async fn execute(
        &mut self,
        statement: &Statement,
        parameters: Vec<Value>,
    ) -> Result<Rows<'_>, MysqlFailure> {
        let Self { conn, options } = self;
        let conn = conn.as_mut().ok_or_else(|| closed(options))?;
        // An empty list would mean parameters by name.
        let parameters = match parameters.is_empty() {
            true => mysql_async::Params::Empty,
            false => mysql_async::Params::Positional(parameters),
        };
        let result = within_timeout(options, conn.exec_iter(statement, parameters)).await?;
        Ok(Rows { result, options })
    }

    /// Closes a connection whose rows are all read, with a message to the server.
    pub(super) async fn close(mut self) {
        if let Some(conn) = self.conn.take() {
            // All rows are read, so a failure does not matter.
            let _ = tokio::time::timeout(self.options.connect_timeout, conn.disconnect()).await;
        }
    }
}

impl Drop for Connection {
    /// Closes the socket, which ends the query on the server.
    ///
    /// In a runtime, the destructor of the client first reads the rest of the result in a task, which may be a huge table. On a
    /// thread without a runtime it only closes the socket.
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            // If no thread can be started, the client reads the rest in the background: slow, but not wrong.
            let _ = thread::Builder::new().name("mysql-close".to_owned()).spawn(move || drop(conn));
        }
    }
}

/// The rows of a running query.
pub(super) struct Rows<'a> {
    result: QueryResult<'a, 'static, BinaryProtocol>,
    options: &'a DatabaseOptions,
}

impl Rows<'_> {
    pub(super) fn columns(&self) -> &[Column] {
        self.result.columns_ref()
    }

    pub(super) async fn next(&mut self) -> Result<Option<Row>, MysqlFailure> {
        within_timeout(self.options, self.result.next()).await
    }
}

/// Waits for an answer of the server, within the read timeout.
async fn within_timeout<T>(
    options: &DatabaseOptions,
    answer: impl Future<Output = mysql_async::Result<T>>,
) -> Result<T, MysqlFailure> {
    match tokio::time::timeout(options.read_timeout, answer).await {
        Ok(answer) => answer.map_err(|error| querying(options, error)),
        Err(_) => Err(MysqlFailure::Silent {
            server: options.server.to_string(),
            seconds: options.read_timeout.as_secs(),
            connecting: false,
        }),
    }
}

fn closed(options: &DatabaseOptions) -> MysqlFailure {
    MysqlFailure::Lost { server: options.server.to_string(), reason: String::new() }
}

fn client_options(options: &DatabaseOptions, database: Option<&str>, ssl: Option<SslOpts>) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(options.server.host.clone())
        .tcp_port(options.server.port)
        .user(Some(options.user.clone()))
        .pass(options.password.as_ref().map(|password| password.reveal().to_owned()))
        .db_name(database.map(str::to_owned))
        .ssl_opts(ssl)
        .init(SETUP.map(str::to_owned).to_vec())
        .tcp_keepalive(Some(KEEPALIVE))
        // Connect exactly as the options say: no Unix socket instead of TCP, and no limits requested from the server.
        .prefer_socket(false)
        .max_allowed_packet(Some(ROW_BYTES_MAX))
        .wait_timeout(Some(0))
        .into()
}

/// The TLS settings of the options. None is a connection without TLS.
fn tls(options: &DatabaseOptions) -> Option<SslOpts> {
    static PROVIDER: Once = Once::new();
    // The client uses the default provider of the process, and has to be told which, because two are compiled in.
    PROVIDER.call_once(|| {
        // It fails if another part of the process has set a provider, which is fine too.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let trusting = || SslOpts::default().with_danger_accept_invalid_certs(true);
    match options.ssl_mode {
        SslMode::Disabled => None,
        SslMode::Preferred | SslMode::Required => Some(trusting()),
        SslMode::VerifyIdentity => Some(match &options.ssl_ca {
            Some(file) => {
                SslOpts::default().with_root_certs(vec![file.clone().into()]).with_disable_built_in_roots(true)
            }
            None => SslOpts::default(),
        }),
    }
}
