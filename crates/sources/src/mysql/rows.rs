//! Rows by their number, as JSON: what `pinsql emulate` posts.
//!
//! The pipeline's scripts ask `SELECT * FROM table LIMIT n, 1` for each post, which reads n rows to give one. Tables that are
//! small are read once and rows are drawn from memory, in the same order; only what is larger is asked for row by row.

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

/// What all tables of a database may take in memory.
const HELD_BYTES_MAX: usize = 256 << 20;
/// What a row costs beside its text.
const ROW_COST_BYTES: usize = 32;

/// As the scripts' own client reads them: `TINYINT(1)` is a number.
const TYPES: TypeOptions = TypeOptions { tiny_is_flag: false, zero_dates_are_null: true };

/// A database whose rows are drawn by number.
#[derive(Debug)]
pub struct Database {
    options: DatabaseOptions,
    /// None after a failure: the next question connects again.
    connection: Option<Connection>,
    tables: HashMap<String, Drawn>,
    held_bytes: usize,
    held_bytes_max: usize,
}

/// A table that was looked at.
#[derive(Debug)]
enum Drawn {
    Held(Vec<Arc<str>>),
    /// Too large to hold.
    Asked {
        rows: u64,
    },
}

impl Database {
    /// Connects, so that a wrong password is known before anything is sent.
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

    /// Holds less, or more, than 256 MiB of rows in memory.
    pub fn with_memory_max(mut self, bytes_max: usize) -> Self {
        self.held_bytes_max = bytes_max;
        self
    }

    /// How many rows a table has: a row's number is below that. A small table is read here.
    pub async fn count(&mut self, table: &str) -> Result<u64> {
        Ok(match self.drawn(table).await? {
            Drawn::Held(rows) => rows.len() as u64,
            Drawn::Asked { rows } => *rows,
        })
    }

    /// The rows of these numbers, counted from 0, in the order that the server gives them. Each is a JSON object with the
    /// table's columns in their order.
    pub async fn rows(&mut self, table: &str, numbers: &[u64]) -> Result<Vec<Arc<str>>> {
        let gone = |number: u64| Error::from(MysqlFailure::RowGone { table: table.to_owned(), number });
        if let Drawn::Held(rows) = self.drawn(table).await? {
            let row = |number: &u64| usize::try_from(*number).ok().and_then(|number| rows.get(number));
            return numbers.iter().map(|number| row(number).cloned().ok_or_else(|| gone(*number))).collect();
        }
        let asked = self.ask(table, numbers).await;
        asked.map_err(|failure| self.forget_connection(failure))
    }

    async fn drawn(&mut self, table: &str) -> Result<&Drawn> {
        if !self.tables.contains_key(table) {
            let looked = self.look(table).await;
            let drawn = looked.map_err(|failure| self.forget_connection(failure))?;
            self.tables.insert(table.to_owned(), drawn);
        }
        self.tables.get(table).ok_or_else(|| Error::internal("a table that was looked at is not known"))
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

    /// Reads a table, or, when it is too large to hold, counts it.
    async fn look(&mut self, table: &str) -> Result<Drawn, MysqlFailure> {
        let relation = relation(&self.options, table)?;
        let room_bytes = self.held_bytes_max.saturating_sub(self.held_bytes);
        if let Some((rows, bytes)) = hold(self.connection().await?, &Request::all(&relation), room_bytes).await? {
            self.held_bytes += bytes;
            return Ok(Drawn::Held(rows));
        }
        // The rest of a huge result is not read: the connection goes with it.
        self.connection = None;
        let count = Request { relation, columns: Vec::new(), conditions: Vec::new(), rows_max: None };
        let connection = self.connection().await?;
        let statement = connection.prepare(&count.sql()).await?;
        let counted = match connection.execute(&statement, Vec::new()).await?.next().await? {
            Some(row) => row.as_ref(0).cloned(),
            None => None,
        };
        match counted {
            Some(Value::Int(rows)) => Ok(Drawn::Asked { rows: rows.unsigned_abs() }),
            Some(Value::UInt(rows)) => Ok(Drawn::Asked { rows }),
            _ => Err(MysqlFailure::Client { reason: "COUNT(*) gave no number".to_owned() }),
        }
    }

    async fn ask(&mut self, table: &str, numbers: &[u64]) -> Result<Vec<Arc<str>>, MysqlFailure> {
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

/// All rows of a query with their cost in bytes, or None when they cost more than `bytes_max`.
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
