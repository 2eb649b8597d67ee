//! Who is told what a table has become, outside its log.
//!
//! A catalog service lists tables for other engines. The log stays the truth: it is told after a commit, and when that
//! fails the commit stands.

use std::fmt;

use async_trait::async_trait;

use super::location::TableLocation;
use pinsql_base::error::Result;

#[async_trait]
pub trait Registrar: fmt::Debug + Send + Sync {
    /// Refuses a table that may be read only.
    fn require_writable(&self) -> Result<()>;

    /// Whether there is an entry of the table.
    fn is_known(&self) -> bool;

    /// A version landed. `defines` says that it made the table or changed its columns or properties.
    async fn committed(&self, location: &TableLocation, defines: bool) -> Result<()>;
}
