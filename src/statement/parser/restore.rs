//! RESTORE.

use sqlparser::keywords::Keyword;

use super::StatementParser;
use crate::statement::ast::{Restore, StatementKind};
use pinsql_base::error::Result;

impl StatementParser<'_> {
    /// `RESTORE [TABLE] name [TO] {VERSION | TIMESTAMP} AS OF …`
    pub(super) fn restore(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        self.optional(Keyword::TABLE);
        let table = self.name()?;
        self.optional(Keyword::TO);
        let version = self.parser.maybe_parse_table_version().map_err(|error| self.located(error))?;
        let Some(version) = version else {
            return Err(self.missing("VERSION AS OF or TIMESTAMP AS OF"));
        };
        Ok(StatementKind::Restore(Box::new(Restore { table, version })))
    }
}
