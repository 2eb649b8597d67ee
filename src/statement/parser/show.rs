//! SHOW, DESCRIBE and USE.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::{FunctionsShown, StatementKind};
use pinsql_base::error::{Error, ErrorCode, Result};

impl StatementParser<'_> {
    pub(super) fn show(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "CATALOGS" => Ok(StatementKind::ShowCatalogs { like: self.like()? }),
            "SCHEMAS" | "DATABASES" => Ok(StatementKind::ShowSchemas { like: self.like()? }),
            "TABLES" => {
                let schema = if self.in_or_from() { Some(self.name()?) } else { None };
                Ok(StatementKind::ShowTables { schema, like: self.like()? })
            }
            "SINKS" => {
                let schema = if self.in_or_from() { Some(self.name()?) } else { None };
                Ok(StatementKind::ShowSinks { schema, like: self.like()? })
            }
            "PARTITIONS" => {
                let table = self.name()?;
                Ok(StatementKind::ShowPartitions { table, values: self.partition_values()? })
            }
            "VIEWS" => {
                let schema = if self.in_or_from() { Some(self.name()?) } else { None };
                Ok(StatementKind::ShowViews { schema, like: self.like()? })
            }
            "FUNCTIONS" => self.show_functions(FunctionsShown::All),
            "USER" | "SYSTEM" | "ALL" if upper(&self.parser.peek_token()) == "FUNCTIONS" => {
                self.parser.next_token();
                self.show_functions(match upper(&what).as_str() {
                    "USER" => FunctionsShown::User,
                    "SYSTEM" => FunctionsShown::System,
                    _ => FunctionsShown::All,
                })
            }
            "COLUMNS" => {
                if !self.in_or_from() {
                    return Err(self.missing("IN and the name of a table"));
                }
                let mut table = self.name()?;
                if self.in_or_from() {
                    let schema = self.name()?;
                    table.parts.splice(0..0, schema.parts);
                }
                Ok(StatementKind::ShowColumns { table })
            }
            "CREATE" => {
                let kind = self.parser.peek_token();
                if matches!(upper(&kind).as_str(), "SCHEMA" | "DATABASE" | "VIEW") {
                    return Err(unsupported(&format!("SHOW CREATE {}", upper(&kind)), &kind));
                }
                self.keyword(Keyword::TABLE)?;
                let table = self.name()?;
                let next = self.parser.peek_token();
                match upper(&next).as_str() {
                    "AS" => Err(unsupported("SHOW CREATE TABLE … AS SERDE", &next)),
                    _ => Ok(StatementKind::ShowCreateTable { table }),
                }
            }
            "TBLPROPERTIES" => {
                let table = self.name()?;
                let mut key = None;
                if self.parser.consume_token(&Token::LParen) {
                    key = Some(self.property_name()?);
                    self.expect(&Token::RParen)?;
                }
                Ok(StatementKind::ShowProperties { table, key })
            }
            other => Err(unsupported(&format!("SHOW {other}"), &what)),
        }
    }

    pub(super) fn describe(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let next = self.parser.peek_token();
        let word = upper(&next);
        if word == "CATALOG" {
            return Err(unsupported(&format!("DESCRIBE {word}"), &next));
        }
        if word == "FUNCTION" {
            self.parser.next_token();
            return self.describe_function();
        }
        if word == "HISTORY" {
            self.parser.next_token();
            let table = self.name()?;
            let limit = match self.parser.parse_keyword(Keyword::LIMIT) {
                true => Some(self.parser.parse_literal_uint().map_err(|error| self.located(error))?),
                false => None,
            };
            return Ok(StatementKind::DescribeHistory { table, limit });
        }
        if word == "DETAIL" {
            self.parser.next_token();
            return Ok(StatementKind::DescribeDetail { table: self.name()? });
        }
        if matches!(word.as_str(), "SCHEMA" | "DATABASE") {
            self.parser.next_token();
            let extended = self.parser.parse_keyword(Keyword::EXTENDED);
            return Ok(StatementKind::DescribeSchema { schema: self.name()?, extended });
        }
        if word == "QUERY" || self.at_query() {
            if word == "QUERY" {
                self.parser.next_token();
            }
            return Ok(StatementKind::DescribeQuery { query: self.query()? });
        }
        self.optional(Keyword::TABLE);
        let extended = self.parser.parse_keyword(Keyword::EXTENDED);
        Ok(StatementKind::Describe { table: self.name()?, extended })
    }

    pub(super) fn use_schema(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let next = self.parser.peek_token();
        match upper(&next).as_str() {
            "CATALOG" => {
                self.parser.next_token();
                return Ok(StatementKind::UseCatalog { name: self.name()? });
            }
            "SCHEMA" | "DATABASE" => drop(self.parser.next_token()),
            _ => {}
        }
        Ok(StatementKind::Use { name: self.name()? })
    }

    /// `PARTITION (a = 1, b = 'x')`: the columns and their values as text.
    fn partition_values(&mut self) -> Result<Vec<(String, String)>> {
        if !self.parser.parse_keyword(Keyword::PARTITION) {
            return Ok(Vec::new());
        }
        self.expect(&Token::LParen)?;
        let values = self.comma_separated(|parser| {
            let column = parser.identifier()?.value;
            parser.expect(&Token::Eq)?;
            let value = parser.parser.next_token();
            match value.token {
                Token::Number(text, _) | Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => {
                    Ok((column, text))
                }
                other => Err(Error::new(ErrorCode::ParseSyntaxError, format!("expected a value, found `{other}`"))
                    .at(value.span)),
            }
        })?;
        self.expect(&Token::RParen)?;
        Ok(values)
    }

    /// True after FROM or IN, which is skipped.
    pub(super) fn in_or_from(&mut self) -> bool {
        self.parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::IN]).is_some()
    }

    /// `[LIKE] 'pattern'`
    pub(super) fn like(&mut self) -> Result<Option<String>> {
        let given = self.parser.parse_keyword(Keyword::LIKE);
        if given || matches!(self.parser.peek_token().token, Token::SingleQuotedString(_)) {
            return self.literal().map(Some);
        }
        Ok(None)
    }
}
