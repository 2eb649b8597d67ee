//! TRUNCATE TABLE.

use sqlparser::keywords::Keyword;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::StatementKind;
use pinsql_base::error::Result;

impl StatementParser<'_> {
    pub(super) fn truncate(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        self.keyword(Keyword::TABLE)?;
        let table = self.name()?;
        let next = self.parser.peek_token();
        // Databricks also refuses PARTITION for Delta tables.
        if upper(&next) == "PARTITION" {
            return Err(unsupported("TRUNCATE TABLE … PARTITION", &next)
                .with_hint("DELETE FROM the table WHERE its partition columns have these values"));
        }
        Ok(StatementKind::Truncate { table })
    }
}
