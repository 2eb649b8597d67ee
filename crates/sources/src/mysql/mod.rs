//! `read_mysql`: a table, a view or a query of a MySQL or MariaDB server, as a table; and rows by number for `pinsql emulate`.
//!
//! The path of the data: `options` are read, `settings` and `credentials` say which server and as whom, `connection` asks it.
//! `types` gives each column its SQL type, `table` plans the scan with what `filter` can put into MySQL's SQL, `request` is that
//! SQL, and `scan` streams its rows through `decode` and `values` into batches. The client library is mysql_async; its types end here.
//!
//! Deliberately absent: any writing, a pool (a scan has one connection), parallel reads of one table (there is no cut of a table
//! that is right without a snapshot), and the binary log.

mod connection;
mod credentials;
mod decode;
mod error;
mod filter;
mod json;
mod operand;
mod options;
mod request;
mod rows;
mod scan;
mod settings;
mod table;
mod types;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::scalar::ScalarValue;

use self::connection::Connection;
use self::error::MysqlFailure;
use self::options::Options;
pub use self::options::option_names;
use self::request::{Relation, Request};
pub use self::rows::Database;
pub use self::scan::MysqlSource;
pub use self::settings::DatabaseOptions;
use self::table::MysqlTable;
use self::types::SourceColumn;
use pinsql_base::error::Result;
use pinsql_base::settings::DatabaseEnvironment;

/// The relation that a call of `read_mysql` means. The server is asked for its columns; no row is read.
pub async fn read_mysql(
    given: &BTreeMap<String, ScalarValue>,
    environment: &DatabaseEnvironment,
) -> Result<Arc<dyn TableProvider>> {
    let options = Options::parse(given, environment)?;
    let columns = columns_of(&options).await?;
    Ok(Arc::new(MysqlTable::new(options, columns)))
}

/// The same columns without rows, for a check.
pub async fn declared(
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
