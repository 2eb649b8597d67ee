//! DROP TABLE. A table outside of the warehouse keeps its files.

use super::ast::Name;
use super::{Outcome, object_names};
use crate::session::Session;
use pinsql_base::error::Result;

pub(super) async fn execute(session: &Session, name: &Name, if_exists: bool) -> Result<Outcome> {
    object_names::refuse_temporary_view(session, name, "DROP TABLE")?;
    let table = name.table(session)?;
    if if_exists && !session.warehouse().table_exists(&table).await? {
        return Ok(Outcome::Done(format!("there is no table {table}")));
    }
    let left = session.warehouse().drop_table(&table).await.map_err(|error| error.at(name.span))?;
    Ok(Outcome::Done(match left {
        None => format!("table {table} dropped"),
        Some(place) => format!("table {table} dropped; its files stay at {}", place.as_str().trim_end_matches('/')),
    }))
}
