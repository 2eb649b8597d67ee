//! OPTIMIZE.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::{Optimize, StatementKind};
use pinsql_base::error::Result;

impl StatementParser<'_> {
    /// `OPTIMIZE name [WHERE predicate] [ZORDER BY (column, …)]`
    pub(super) fn optimize(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let table = self.name()?;
        let next = self.parser.peek_token();
        if upper(&next) == "FULL" {
            return Err(unsupported("OPTIMIZE … FULL, which clusters anew (liquid clustering),", &next));
        }
        let predicate = match self.parser.parse_keyword(Keyword::WHERE) {
            true => Some(self.parser.parse_expr().map_err(|error| self.located(error))?),
            false => None,
        };
        let mut z_order_by = Vec::new();
        if upper(&self.parser.peek_token()) == "ZORDER" {
            self.parser.next_token();
            self.keyword(Keyword::BY)?;
            // The brackets are optional.
            let is_bracketed = self.parser.consume_token(&Token::LParen);
            z_order_by = self.comma_separated(Self::name)?;
            if is_bracketed {
                self.expect(&Token::RParen)?;
            }
        }
        Ok(StatementKind::Optimize(Box::new(Optimize { table, predicate, z_order_by })))
    }
}
