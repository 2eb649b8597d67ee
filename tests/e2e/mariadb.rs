//! A real MariaDB server.
//!
//! Tests that do not harm it share one server. Each test has a separate database in it. A test that kills its server
//! has a separate one. The server listens on loopback, with and without TLS. The certificate is made for this run. The
//! server logs every statement.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::certificate;
use crate::python;
use crate::service::{self, Service};

/// Can read and write every database, like the administrator of a pipeline.
pub(crate) const USER: &str = "pins";
pub(crate) const PASSWORD: &str = "mariadb-secret-of-the-tests";
/// Can sign in, but read nothing.
pub(crate) const STRANGER: &str = "stranger";
/// The database that exists from the beginning.
const DATABASE: &str = "pinterest";

#[derive(Debug)]
pub(crate) struct Mariadb {
    /// The data. It stays after the server is killed.
    data: TempDir,
    port: u16,
    /// True for the shared server. It lives until the process ends, so its supervisor deletes the data instead of a
    /// destructor.
    is_shared: bool,
    service: Option<Service>,
}

/// The server that all tests share. The first call starts it.
pub(crate) fn server() -> &'static Mariadb {
    static SERVER: OnceLock<Mariadb> = OnceLock::new();
    SERVER.get_or_init(|| Mariadb::make(true))
}

impl Mariadb {
    /// A separate server that can be killed and started again.
    pub(crate) fn start() -> Self {
        Self::make(false)
    }

    fn make(is_shared: bool) -> Self {
        let parent = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(&parent).unwrap();
        let data = tempfile::Builder::new().prefix("mariadb-data-").tempdir_in(parent).unwrap();
        let [port] = service::free_ports();
        let mut server = Self { data, port, is_shared, service: None };
        certificate::make(server.data.path());
        server.make_data();
        server.begin();
        server
    }

    /// Starts the server with its existing data.
    pub(crate) fn begin(&mut self) {
        let folder = self.data.path();
        let mut program = program("sbin/mariadbd");
        program.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"]).args(as_root());
        program.args(["--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0", "--general-log=1"]);
        program.arg(format!("--basedir={}", python::mariadb().join("usr").display()));
        // The path of a Unix socket must be short, wherever the tests run. So it is relative to the data folder.
        program.args([format!("--port={}", self.port), "--socket=server.sock".to_owned()]);
        for (option, file) in [
            ("datadir", "data"),
            ("init-file", "users.sql"),
            ("general-log-file", "general.log"),
            ("ssl-cert", "server.pem"),
            ("ssl-key", "server.key"),
        ] {
            program.arg(format!("--{option}={}", folder.join(file).display()));
        }
        let leftovers = if self.is_shared { vec![folder.display().to_string()] } else { Vec::new() };
        let service = Service::start("MariaDB", service::folder("mariadb"), &leftovers, &program);
        service.await_ready(|| TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        self.service = Some(service);
    }

    /// Kills the server at an arbitrary moment. Its data stays.
    pub(crate) fn kill(&mut self) {
        self.service = None;
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the server, as PEM.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.data.path().join("server.pem")
    }

    /// A database that no other test uses.
    pub(crate) fn database(&self, name: &str) -> Database<'_> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.load(&format!("CREATE DATABASE {name}"));
        Database { server: self, name }
    }

    /// Runs SQL in the database that exists from the beginning.
    pub(crate) fn load(&self, sql: &str) {
        self.main().load(sql);
    }

    /// A `db_creds.yaml` for the database that exists from the beginning.
    pub(crate) fn credentials_file(&self) -> String {
        self.main().credentials_file()
    }

    fn main(&self) -> Database<'_> {
        Database { server: self, name: DATABASE.to_owned() }
    }

    /// The statements in the server's log that contain this text.
    pub(crate) fn statements(&self, text: &str) -> Vec<String> {
        let log = fs::read(self.data.path().join("general.log")).unwrap();
        let log = String::from_utf8_lossy(&log).into_owned();
        log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }

    fn make_data(&self) {
        let mut install = program("bin/mariadb-install-db");
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]).args(as_root());
        install.arg(format!("--basedir={}", python::mariadb().join("usr").display()));
        install.arg(format!("--datadir={}", self.data.path().join("data").display()));
        run(&mut install);
        let users = format!(
            "CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n\
             CREATE USER IF NOT EXISTS '{STRANGER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
             CREATE DATABASE IF NOT EXISTS {DATABASE};\n"
        );
        service::configure(self.data.path(), "users.sql", &users);
    }
}

/// One database of a server.
#[derive(Debug)]
pub(crate) struct Database<'a> {
    pub(crate) server: &'a Mariadb,
    pub(crate) name: String,
}

impl Database<'_> {
    /// Runs SQL with a client that is not part of pinsql.
    pub(crate) fn load(&self, sql: &str) {
        self.client(sql);
    }

    /// The rows of a query as the client prints them: fields separated by tabs, NULL as `NULL`.
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        self.client(sql).lines().map(str::to_owned).collect()
    }

    fn client(&self, sql: &str) -> String {
        let mut client = program("bin/mariadb");
        client.args(["--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"]);
        client.args(["--host=127.0.0.1", &format!("--port={}", self.server.port), &format!("--user={USER}")]);
        client.arg(&self.name).env("MYSQL_PWD", PASSWORD);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), sql).unwrap();
        client.stdin(Stdio::from(file.reopen().unwrap()));
        run(&mut client)
    }

    /// A `db_creds.yaml` in the format of the pipeline's scripts. The file is next to the server's data.
    pub(crate) fn credentials_file(&self) -> String {
        let (port, name) = (self.server.port, &self.name);
        let text = format!("HOST: 127.0.0.1\nUSER: {USER}\nPASSWORD: {PASSWORD}\nDATABASE: {name}\nPORT: {port}\n");
        let path = service::configure(self.server.data.path(), &format!("{name}_creds.yaml"), &text);
        path.to_str().unwrap().to_owned()
    }

    /// The same credentials as environment variables.
    pub(crate) fn variables(&self) -> [(&'static str, String); 5] {
        [
            ("PINSQL_DB_HOST", "127.0.0.1".to_owned()),
            ("PINSQL_DB_PORT", self.server.port.to_string()),
            ("PINSQL_DB_USER", USER.to_owned()),
            ("PINSQL_DB_PASSWORD", PASSWORD.to_owned()),
            ("PINSQL_DB_DATABASE", self.name.clone()),
        ]
    }
}

/// A program from the server's folder, with the libraries that it needs.
fn program(name: &str) -> Command {
    let usr = python::mariadb().join("usr");
    let mut program = Command::new("env");
    program.arg(format!("LD_LIBRARY_PATH={}", libraries(&usr))).arg(usr.join(name));
    program
}

fn libraries(usr: &Path) -> String {
    usr.join("lib/x86_64-linux-gnu").display().to_string()
}

/// The server refuses to run as root without this option.
fn as_root() -> Option<&'static str> {
    (fs::metadata("/proc/self").unwrap().uid() == 0).then_some("--user=root")
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{:?} failed:\n{stdout}\n{stderr}", command.get_program());
    stdout.into_owned()
}
