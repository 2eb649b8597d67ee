//! Rows by number, as JSON: the posts of `pinsql emulate`.
//!
//! The scripts of the pipeline query `SELECT * FROM table LIMIT n, 1` for each post, which reads n rows to return one. Here a
//! small table is read once, and its rows come from memory in the same order. Only a larger table is queried row by row.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_async::Value;

use super::connection::Connection;
use super::error::MysqlFailure;
use super::json;
use super::request::{Relation, Request};
use super::settings::DatabaseOptions;
use super::types::{SourceColumn, TypeOptions, columns};
use pinsql_base::error::{Error, Result};

/// The most memory for the rows of all tables of a database.
const HELD_BYTES_MAX: usize = 256 << 20;
/// The memory of a row besides its text.
const ROW_COST_BYTES: usize = 32;

/// The types as the client of the scripts reads them: `TINYINT(1)` is a number.
const TYPES: TypeOptions = TypeOptions { tiny_is_flag: false, zero_dates_are_null: true };

/// A database whose rows are read by number, for `pinsql emulate`.
#[derive(Debug)]
pub struct Database {
    options: DatabaseOptions,
    /// None after a failure: the next query connects again.
    connection: Option<Connection>,
    tables: HashMap<String, KnownTable>,
    held_bytes: usize,
    held_bytes_max: usize,
}

/// A table that was used before.
#[derive(Debug)]
enum KnownTable {
    /// All rows in memory.
    Held(Vec<Arc<str>>),
    /// Too large for memory: rows are queried one by one.
    Queried { rows: u64 },
}

impl Database {
    /// Connects, so that a wrong password is an error before the first row. Errors: every failure of the server.
    pub async fn connect(options: &DatabaseOptions) -> Result<Self> {
        let connection = Some(Connection::open(options).await?);
        Ok(Self {
            options: options.clone(),
            connection,
            tables: HashMap::new(),
            held_bytes: 0,
            held_bytes_max: HELD_BYTES_MAX,
        })
    }

    /// Sets how many bytes of rows are held in memory. The default is 256 MiB.
    pub fn with_memory_max(mut self, bytes_max: usize) -> Self {
        self.held_bytes_max = bytes_max;
        self
    }

    /// The number of rows of a table. Row numbers are below it. The first call for a small table reads the table.
    pub async fn count(&mut self, table: &str) -> Result<u64> {
        Ok(match self.known_table(table).await? {
            KnownTable::Held(rows) => rows.len() as u64,
            KnownTable::Queried { rows } => *rows,
        })
    }

    /// The rows with these numbers, counted from 0 in the order of the server. Each is a JSON object with the columns in the
    /// order of the table. A row that no longer exists is an error.
    pub async fn rows(&mut self, table: &str, numbers: &[u64]) -> Result<Vec<Arc<str>>> {
        let gone = |number: u64| Error::from(MysqlFailure::RowGone { table: table.to_owned(), number });
        if let KnownTable::Held(rows) = self.known_table(table).await? {
            let row = |number: &u64| usize::try_from(*number).ok().and_then(|number| rows.get(number));
            return numbers.iter().map(|number| row(number).cloned().ok_or_else(|| gone(*number))).collect();
        }
        let queried = self.query_rows(table, numbers).await;
        queried.map_err(|failure| self.forget_connection(failure))
    }

    async fn known_table(&mut self, table: &str) -> Result<&KnownTable> {
        if !self.tables.contains_key(table) {
            let loaded = self.load(table).await;
            let known = loaded.map_err(|failure| self.forget_connection(failure))?;
            self.tables.insert(table.to_owned(), known);
        }
        self.tables.get(table).ok_or_else(|| Error::internal("a table that was just read is missing"))
    }

    fn forget_connection(&mut self, failure: MysqlFailure) -> Error {
        self.connection = None;
        failure.into()
    }

    async fn connection(&mut self) -> Result<&mut Connection, MysqlFailure> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.options).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Reads a table into memory, or counts its rows if it is too large.
    async fn load(&mut self, table: &str) -> Result<KnownTable, MysqlFailure> {
        let relation = relation(&self.options, table)?;
        let room_bytes = self.held_bytes_max.saturating_sub(self.held_bytes);
        if let Some((rows, bytes)) = hold(self.connection().await?, &Request::all(&relation), room_bytes).await? {
            self.held_bytes += bytes;
            return Ok(KnownTable::Held(rows));
        }
        // The rest of a huge result is not read. Dropping the connection ends the query.
        self.connection = None;
        let count = Request { relation, columns: Vec::new(), conditions: Vec::new(), rows_max: None };
        let connection = self.connection().await?;
        let statement = connection.prepare(&count.sql()).await?;
        let counted = match connection.execute(&statement, Vec::new()).await?.next().await? {
            Some(row) => row.as_ref(0).cloned(),
            None => None,
        };
        match counted {
            Some(Value::Int(rows)) => Ok(KnownTable::Queried { rows: rows.unsigned_abs() }),
            Some(Value::UInt(rows)) => Ok(KnownTable::Queried { rows }),
            _ => Err(MysqlFailure::Client { reason: "COUNT(*) returned no number".to_owned() }),
        }
    }

    async fn query_rows(&mut self, table: &str, numbers: &[u64]) -> Result<Vec<Arc<str>>, MysqlFailure> {
        let sql = format!("{} LIMIT ?, 1", Request::all(&relation(&self.options, table)?));
        let connection = self.connection().await?;
        let statement = connection.prepare(&sql).await?;
        let columns = columns(&statement.columns(), TYPES)?;
        let mut given = Vec::with_capacity(numbers.len());
        for number in numbers {
            let mut rows = connection.execute(&statement, vec![Value::UInt(*number)]).await?;
            let gone = || MysqlFailure::RowGone { table: table.to_owned(), number: *number };
            let row = rows.next().await?.ok_or_else(gone)?;
            given.push(json::object(&columns, &row, TYPES)?.into());
            while rows.next().await?.is_some() {}
        }
        Ok(given)
    }
}

fn relation(options: &DatabaseOptions, table: &str) -> Result<Relation, MysqlFailure> {
    let unknown = || {
        let server = options.server.to_string();
        MysqlFailure::UnknownTable { server, table: table.to_owned(), tables: Vec::new() }
    };
    Relation::table(table).ok_or_else(unknown)
}

/// All rows of a query and their size in memory. None if they are larger than `bytes_max`.
async fn hold(
    connection: &mut Connection,
    sql: &str,
    bytes_max: usize,
) -> Result<Option<(Vec<Arc<str>>, usize)>, MysqlFailure> {
    let statement = match connection.prepare(sql).await {
        Err(MysqlFailure::UnknownTable { server, table, .. }) => {
            let tables = connection.tables(None).await;
            return Err(MysqlFailure::UnknownTable { server, table, tables });
        }
        prepared => prepared?,
    };
    let columns: Vec<SourceColumn> = columns(&statement.columns(), TYPES)?;
    let mut rows = connection.execute(&statement, Vec::new()).await?;
    let (mut held, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().await? {
        let json: Arc<str> = json::object(&columns, &row, TYPES)?.into();
        bytes += json.len() + ROW_COST_BYTES;
        if bytes > bytes_max {
            return Ok(None);
        }
        held.push(json);
    }
    Ok(Some((held, bytes)))
}
