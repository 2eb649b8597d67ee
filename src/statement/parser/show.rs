//! SHOW, DESCRIBE and USE.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::error::Result;
use crate::statement::ast::StatementKind;

impl StatementParser<'_> {
    pub(super) fn show(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "SCHEMAS" | "DATABASES" => Ok(StatementKind::ShowSchemas { like: self.like()? }),
            "TABLES" => {
                let schema = if self.in_or_from() { Some(self.name()?) } else { None };
                Ok(StatementKind::ShowTables { schema, like: self.like()? })
            }
            "SINKS" => {
                let schema = if self.in_or_from() { Some(self.name()?) } else { None };
                Ok(StatementKind::ShowSinks { schema, like: self.like()? })
            }
            "VIEWS" => Ok(StatementKind::ShowViews { like: self.like()? }),
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
        if matches!(word.as_str(), "SCHEMA" | "DATABASE" | "FUNCTION" | "DETAIL" | "QUERY" | "CATALOG") {
            return Err(unsupported(&format!("DESCRIBE {word}"), &next));
        }
        if word == "HISTORY" {
            self.parser.next_token();
            return Ok(StatementKind::DescribeHistory { table: self.name()? });
        }
        self.optional(Keyword::TABLE);
        let extended = self.parser.parse_keyword(Keyword::EXTENDED);
        Ok(StatementKind::Describe { table: self.name()?, extended })
    }

    pub(super) fn use_schema(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let next = self.parser.peek_token();
        match upper(&next).as_str() {
            "CATALOG" => return Err(unsupported("USE CATALOG", &next)),
            "SCHEMA" | "DATABASE" => drop(self.parser.next_token()),
            _ => {}
        }
        Ok(StatementKind::Use { name: self.name()? })
    }

    fn in_or_from(&mut self) -> bool {
        self.parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::IN]).is_some()
    }

    /// `[LIKE] 'pattern'`
    fn like(&mut self) -> Result<Option<String>> {
        let given = self.parser.parse_keyword(Keyword::LIKE);
        if given || matches!(self.parser.peek_token().token, Token::SingleQuotedString(_)) {
            return self.literal().map(Some);
        }
        Ok(None)
    }
}
