//! UPDATE, and the assignments that UPDATE and MERGE share.

use sqlparser::ast::Expr;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, upper};
use crate::statement::ast::{Assignment, StatementKind, Update};
use pinsql_base::error::Result;

impl StatementParser<'_> {
    pub(super) fn update(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let target = self.target()?;
        self.keyword(Keyword::SET)?;
        let assignments = self.comma_separated(Self::assignment)?;
        let condition = self.condition()?;
        Ok(StatementKind::Update(Box::new(Update { target, assignments, condition })))
    }

    /// `column = value`.
    pub(super) fn assignment(&mut self) -> Result<Assignment> {
        let column = self.name()?;
        self.expect(&Token::Eq)?;
        Ok(Assignment { column, value: self.value()? })
    }

    /// An expression, or DEFAULT.
    pub(super) fn value(&mut self) -> Result<Option<Expr>> {
        let is_default = upper(&self.parser.peek_token()) == "DEFAULT"
            && !matches!(self.parser.peek_nth_token(1).token, Token::Period | Token::LParen);
        if is_default {
            self.parser.next_token();
            return Ok(None);
        }
        self.expression().map(Some)
    }
}
