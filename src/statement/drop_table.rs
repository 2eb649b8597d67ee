//! DROP TABLE and UNDROP TABLE. A table outside of the warehouse keeps its files.

use super::ast::Name;
use super::{Outcome, object_names};
use crate::catalog::Dropped;
use crate::session::Session;
use pinsql_base::error::Result;

pub(super) async fn execute(session: &Session, name: &Name, if_exists: bool, purge: bool) -> Result<Outcome> {
    object_names::refuse_temporary_view(session, name, "DROP TABLE")?;
    let table = name.table(session)?;
    if if_exists && !session.warehouse().table_exists(&table).await? {
        return Ok(Outcome::Done(format!("there is no table {table}")));
    }
    let dropped = session.warehouse().drop_table(&table, purge).await.map_err(|error| error.at(name.span))?;
    Ok(Outcome::Done(match dropped {
        Dropped::Deleted => format!("table {table} dropped"),
        Dropped::Kept => format!("table {table} dropped; UNDROP TABLE brings it back until VACUUM deletes its files"),
        Dropped::Elsewhere(place) => {
            format!("table {table} dropped; its files stay at {}", place.as_str().trim_end_matches('/'))
        }
    }))
}

pub(super) async fn undrop(session: &Session, name: &Name) -> Result<Outcome> {
    let table = name.table(session)?;
    session.warehouse().undrop_table(&table).await.map_err(|error| error.at(name.span))?;
    Ok(Outcome::Done(format!("table {table} is back")))
}
