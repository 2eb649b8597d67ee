//! CREATE [OR REPLACE] TEMPORARY VIEW.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{StatementParser, unsupported, upper};
use crate::error::{Error, Result};
use crate::statement::ast::{CreateView, StatementKind, ViewColumn};

impl StatementParser<'_> {
    /// What follows TEMPORARY.
    pub(super) fn create_temporary(&mut self, or_replace: bool) -> Result<StatementKind> {
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "VIEW" => self.create_view(or_replace),
            other => Err(unsupported(&format!("CREATE TEMPORARY {other}"), &what)),
        }
    }

    fn create_view(&mut self, or_replace: bool) -> Result<StatementKind> {
        let next = self.parser.peek_token();
        if self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]) {
            return Err(Error::sql("a temporary view takes no IF NOT EXISTS")
                .at(next.span)
                .with_hint("CREATE OR REPLACE TEMPORARY VIEW takes the place of one that is there"));
        }
        let name = self.name()?;
        let mut columns = Vec::new();
        if self.parser.consume_token(&Token::LParen) {
            columns = self.comma_separated(Self::view_column)?;
            self.expect(&Token::RParen)?;
        }
        let mut comment = None;
        loop {
            let clause = self.parser.peek_token();
            match upper(&clause).as_str() {
                "COMMENT" => {
                    self.parser.next_token();
                    comment = Some(self.literal()?);
                }
                "TBLPROPERTIES" => return Err(unsupported("TBLPROPERTIES on a temporary view", &clause)),
                _ => break,
            }
        }
        self.keyword(Keyword::AS)?;
        let query = self.query()?;
        let placeless_query = query.clone();
        Ok(StatementKind::CreateView(Box::new(CreateView {
            name,
            or_replace,
            columns,
            comment,
            query,
            placeless_query,
        })))
    }

    fn view_column(&mut self) -> Result<ViewColumn> {
        let name = self.identifier()?;
        let comment = if self.parser.parse_keyword(Keyword::COMMENT) { Some(self.literal()?) } else { None };
        Ok(ViewColumn { name, comment })
    }
}

/// A permanent view: refused, with what can be had instead.
pub(super) fn permanent_view(at: &TokenWithSpan) -> Error {
    Error::sql("a view that outlives its session is not supported")
        .at(at.span)
        .with_hint("CREATE TEMPORARY VIEW lasts as long as the command; SOURCE 'file.sql' shares it between files")
}
