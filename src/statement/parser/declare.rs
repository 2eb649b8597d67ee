//! DECLARE [OR REPLACE] [VARIABLE] name [STRING] {DEFAULT | =} value.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, upper};
use crate::error::{Error, Result};
use crate::statement::ast::{DeclareVariable, StatementKind};

impl StatementParser<'_> {
    pub(super) fn declare(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let or_replace = self.parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
        if matches!(upper(&self.parser.peek_token()).as_str(), "VARIABLE" | "VAR") {
            self.parser.next_token();
        }
        let name = self.identifier()?;
        let next = self.parser.peek_token();
        match (upper(&next).as_str(), &next.token) {
            ("DEFAULT", _) | (_, Token::Eq) => {}
            ("STRING", _) => drop(self.parser.next_token()),
            _ => {
                return Err(Error::sql("a variable of a type other than STRING, or without a value, is not supported")
                    .at(next.span)
                    .with_hint("DECLARE VARIABLE name STRING DEFAULT 'text'; a parameter, :name, has other types"));
            }
        }
        if !self.parser.consume_token(&Token::Eq) {
            self.keyword(Keyword::DEFAULT)?;
        }
        let value = self.parser.parse_expr().map_err(|error| self.located(error))?;
        Ok(StatementKind::DeclareVariable(Box::new(DeclareVariable { name, or_replace, value })))
    }
}
