//! A statement that is planned and not run: what EXPLAIN shows of INSERT and CREATE TABLE.

use super::query::Planned;
use crate::catalog::TableName;
use pinsql_delta::WriteKind;

/// The planned query of a statement, and the table that would receive its rows. A plain query has no target.
pub(super) struct PlannedWrite {
    pub(super) planned: Planned,
    pub(super) target: Option<(TableName, WriteKind)>,
}
