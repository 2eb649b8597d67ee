//! ALTER TABLE: one commit with the table's new Metadata, and its Protocol where that has to be raised.
//!
//! The change itself is [`Alteration`]. Another change of the definition in between is a conflict. Rows that others add are not,
//! unless the change was checked against the rows of the table (`version`).

use crate::commit::base::Base;
use crate::commit::change::{Change, ChangeKind};
use crate::commit::{self, Committed};
use crate::spec::alteration::Alteration;
use crate::storage::location::TableLocation;
use crate::table::shape::Shape;
use pinsql_base::error::Result;

/// Commits the alteration. `version` is the version whose rows were checked for it, if it depends on rows: then rows that others
/// have added since are a conflict.
pub async fn alter(location: &TableLocation, alteration: Alteration, version: Option<u64>) -> Result<Committed> {
    location.require_writable().await?;
    let table = match version {
        Some(version) => location.open_version(version).await?,
        None => location.open_existing().await?,
    };
    // Refuses tables that pinsql cannot write.
    Shape::of_table(location.name(), &table)?;
    let kind = ChangeKind::Alter(Box::new(alteration));
    let change = Change { read_version: version, ..Change::new(location.clone(), kind) };
    commit::commit(&change, Base::Snapshot(Box::new(table)), None).await.map_err(|failure| failure.error)
}
