//! `read_mysql`: a table, a view or a query of a MySQL or MariaDB server as a table; and rows by number for `pinsql emulate`.
//!
//! Modules in reading order. `options` are the arguments of a call; `settings` and `credentials` give the server, the user and
//! the password; `connection` sends the queries. `types` gives each column its SQL type. `table` plans the scan, with the
//! conditions that `filter` and `operand` can translate to MySQL's SQL. `request` writes that SQL. `scan` streams its rows
//! through `decode` and `values` into batches. `rows` and `json` serve the emulator. `error` has the failures.
//!
//! The client library is mysql_async. None of its types leaves this folder. [`MysqlSource`] is public because the ledger
//! finds it in a plan that ran; it shows DataFusion's types only.
//!
//! Deliberately absent: writing; a pool (a scan has one connection); parallel reads of one table (without a snapshot no
//! division of a table is consistent); and the binary log.

mod options;

mod credentials;
mod settings;

mod connection;

mod types;

mod filter;
mod operand;
mod request;
mod table;

mod decode;
mod scan;
mod values;

mod json;
mod rows;

mod error;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::scalar::ScalarValue;

use self::connection::Connection;
use self::error::MysqlFailure;
use self::options::Options;
use self::request::{Relation, Request};
use self::table::MysqlTable;
use self::types::SourceColumn;
use pinsql_base::error::Result;
use pinsql_base::settings::DatabaseEnvironment;

// For the table function of SQL, and for the ledger, which finds the source in a plan that ran.
pub use self::options::option_names;
pub use self::scan::MysqlSource;
// For `pinsql emulate`.
pub use self::rows::Database;
pub use self::settings::DatabaseOptions;

/// The table of one call of `read_mysql`. `given` are its arguments by name, in any case; `environment` has the defaults.
///
/// Connects to the server and prepares the query to get its columns. No row is read. Errors: a wrong option, and every failure
/// of the server.
pub async fn read_mysql(
    given: &BTreeMap<String, ScalarValue>,
    environment: &DatabaseEnvironment,
) -> Result<Arc<dyn TableProvider>> {
    let options = Options::parse(given, environment)?;
    let columns = columns_of(&options).await?;
    Ok(Arc::new(MysqlTable::new(options, columns)))
}

/// An empty table with the columns of [`read_mysql`], for a command that only checks a query. It connects to the server too.
pub async fn schema_only(
    given: &BTreeMap<String, ScalarValue>,
    environment: &DatabaseEnvironment,
) -> Result<Arc<dyn TableProvider>> {
    let columns = columns_of(&Options::parse(given, environment)?).await?;
    let schema: SchemaRef = Arc::new(types::schema(&columns));
    Ok(Arc::new(EmptyTable::new(schema)))
}

async fn columns_of(options: &Options) -> Result<Vec<SourceColumn>> {
    let mut connection = Connection::open(&options.database).await?;
    let statement = match connection.prepare(&Request::all(&options.relation)).await {
        Err(MysqlFailure::UnknownTable { server, table, .. }) => {
            let database = match &options.relation {
                Relation::Table { database, .. } => database.as_deref(),
                Relation::Query(_) => None,
            };
            let tables = connection.tables(database).await;
            return Err(MysqlFailure::UnknownTable { server, table, tables }.into());
        }
        prepared => prepared?,
    };
    if statement.num_params() > 0 {
        return Err(MysqlFailure::Markers { count: statement.num_params() }.into());
    }
    let columns = types::columns(&statement.columns(), options.types)?;
    connection.close().await;
    match columns.is_empty() {
        true => Err(MysqlFailure::NoColumns.into()),
        false => Ok(columns),
    }
}
