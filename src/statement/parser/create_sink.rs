//! CREATE [OR REFRESH] SINK … INTO … [WITH (…)] AS query.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::StatementParser;
use crate::statement::ast::{CreateSink, StatementKind};
use pinsql_base::error::{Error, ErrorCode, Result, Span};

impl StatementParser<'_> {
    /// Parses the text after `CREATE [OR REFRESH] SINK`.
    pub(super) fn create_sink(&mut self, or_refresh: bool) -> Result<StatementKind> {
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let name = self.name()?;
        if or_refresh && if_not_exists {
            return Err(Error::new(
                ErrorCode::ConflictingClauses,
                "OR REFRESH and IF NOT EXISTS contradict each other",
            )
            .at(name.span));
        }
        if !self.parser.parse_keyword(Keyword::INTO) {
            return Err(self.missing("INTO and a place, such as INTO 's3://bucket/prefix'"));
        }
        let destination = self.parser.parse_expr().map_err(|error| self.located(error))?;
        let mut options = Vec::new();
        if self.parser.parse_keyword(Keyword::WITH) {
            self.expect(&Token::LParen)?;
            options = self.comma_separated(Self::sink_option)?;
            self.expect(&Token::RParen)?;
        }
        if !self.parser.parse_keyword(Keyword::AS) {
            return Err(self.missing("AS and a query over STREAM read_kafka(…)"));
        }
        let query = self.query()?;
        let create = CreateSink { name, destination, options, query, or_refresh, if_not_exists };
        Ok(StatementKind::CreateSink(Box::new(create)))
    }

    /// `'name' = value`. The value is a constant expression.
    fn sink_option(&mut self) -> Result<(String, Span, sqlparser::ast::Expr)> {
        let span = Span::from(self.parser.peek_token().span);
        let name = self.property_name()?;
        self.expect(&Token::Eq)?;
        let value = self.parser.parse_expr().map_err(|error| self.located(error))?;
        Ok((name, span, value))
    }
}
