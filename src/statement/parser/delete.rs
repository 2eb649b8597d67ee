//! DELETE, and the parts that all statements on rows share: `table [AS alias]` and `WHERE`.

use sqlparser::ast::Expr;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, upper};
use crate::statement::ast::{Delete, StatementKind, Target};
use pinsql_base::error::Result;

/// The words after the name of the table that are not its alias.
const AFTER_TARGET: [&str; 3] = ["SET", "USING", "WHERE"];

impl StatementParser<'_> {
    pub(super) fn delete(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        self.keyword(Keyword::FROM)?;
        let target = self.target()?;
        let condition = self.condition()?;
        Ok(StatementKind::Delete(Box::new(Delete { target, condition })))
    }

    /// The table of a statement on rows: `table [AS alias]`.
    pub(super) fn target(&mut self) -> Result<Target> {
        let table = self.name()?;
        let has_as = self.parser.parse_keyword(Keyword::AS);
        let next = self.parser.peek_token();
        let is_word = matches!(next.token, Token::Word(_)) && !AFTER_TARGET.contains(&upper(&next).as_str());
        let alias = if has_as || is_word { Some(self.identifier()?) } else { None };
        Ok(Target { table, alias })
    }

    /// `WHERE condition`, if it is there.
    pub(super) fn condition(&mut self) -> Result<Option<Expr>> {
        match self.parser.parse_keyword(Keyword::WHERE) {
            true => self.expression().map(Some),
            false => Ok(None),
        }
    }
}
