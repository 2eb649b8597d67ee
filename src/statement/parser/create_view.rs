//! CREATE [OR REPLACE] [TEMPORARY] VIEW, and ALTER VIEW … AS.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::{AlterView, CreateView, StatementKind, ViewColumn};
use pinsql_base::error::{Error, ErrorCode, Result, Span};

impl StatementParser<'_> {
    /// Parses the text after CREATE [OR REPLACE] TEMPORARY.
    pub(super) fn create_temporary(&mut self, or_replace: bool) -> Result<StatementKind> {
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "VIEW" => self.create_view(or_replace, true),
            "FUNCTION" => self.create_function(or_replace, true),
            other => Err(unsupported(&format!("CREATE TEMPORARY {other}"), &what)),
        }
    }

    pub(super) fn create_view(&mut self, or_replace: bool, is_temporary: bool) -> Result<StatementKind> {
        let next = self.parser.peek_token();
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        if if_not_exists && is_temporary {
            return Err(Error::new(ErrorCode::ConflictingClauses, "a temporary view takes no IF NOT EXISTS")
                .at(next.span)
                .with_hint("CREATE OR REPLACE TEMPORARY VIEW replaces an existing one"));
        }
        if if_not_exists && or_replace {
            return Err(Error::new(
                ErrorCode::ConflictingClauses,
                "OR REPLACE and IF NOT EXISTS contradict each other",
            )
            .at(next.span));
        }
        let name = self.name()?;
        let mut columns = Vec::new();
        if self.parser.consume_token(&Token::LParen) {
            columns = self.comma_separated(Self::view_column)?;
            self.expect(&Token::RParen)?;
        }
        let mut comment = None;
        let mut properties = Vec::new();
        loop {
            let clause = self.parser.peek_token();
            let word = upper(&clause);
            match word.as_str() {
                "COMMENT" if comment.is_none() => {
                    self.parser.next_token();
                    comment = Some(self.literal()?);
                }
                "TBLPROPERTIES" if is_temporary => {
                    return Err(unsupported("TBLPROPERTIES on a temporary view", &clause));
                }
                "TBLPROPERTIES" if properties.is_empty() => {
                    self.parser.next_token();
                    self.expect(&Token::LParen)?;
                    properties = self.comma_separated(Self::property)?;
                    self.expect(&Token::RParen)?;
                }
                "COMMENT" | "TBLPROPERTIES" => {
                    return Err(
                        Error::new(ErrorCode::ConflictingClauses, format!("{word} is given twice")).at(clause.span)
                    );
                }
                "SCHEMA" | "WITH" | "DEFAULT" => return Err(unsupported(&format!("{word} on a view"), &clause)),
                _ => break,
            }
        }
        self.keyword(Keyword::AS)?;
        let query_start = Span::from(self.parser.peek_token().span).start;
        let query = self.query()?;
        let placeless_query = query.clone();
        Ok(StatementKind::CreateView(Box::new(CreateView {
            name,
            is_temporary,
            or_replace,
            if_not_exists,
            properties,
            columns,
            comment,
            query,
            placeless_query,
            text: String::new(),
            query_text: String::new(),
            query_start,
        })))
    }

    fn view_column(&mut self) -> Result<ViewColumn> {
        let name = self.identifier()?;
        let comment = if self.parser.parse_keyword(Keyword::COMMENT) { Some(self.literal()?) } else { None };
        Ok(ViewColumn { name, comment })
    }

    /// Parses the text after ALTER VIEW.
    pub(super) fn alter_view(&mut self) -> Result<StatementKind> {
        let name = self.name()?;
        let next = self.parser.peek_token();
        if !self.parser.parse_keyword(Keyword::AS) {
            return Err(unsupported(&format!("ALTER VIEW … {}", upper(&next)), &next)
                .with_hint("ALTER VIEW name AS query; CREATE OR REPLACE VIEW changes the rest"));
        }
        let query_start = Span::from(self.parser.peek_token().span).start;
        let query = self.query()?;
        Ok(StatementKind::AlterView(Box::new(AlterView { name, query, query_start, query_text: String::new() })))
    }
}
