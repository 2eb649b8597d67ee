//! CREATE TABLE: its columns, the clauses behind them in any order, and the query.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::error::{Error, Result, Span};
use crate::statement::ast::{Column, CreateTable, StatementKind};

impl StatementParser<'_> {
    pub(super) fn create_table(&mut self, or_replace: bool) -> Result<StatementKind> {
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let mut table = CreateTable { or_replace, if_not_exists, ..CreateTable::new(self.name()?) };
        if or_replace && if_not_exists {
            return Err(Error::sql("OR REPLACE and IF NOT EXISTS contradict each other").at(table.name.span));
        }
        if self.parser.consume_token(&Token::LParen) {
            table.columns = self.comma_separated(Self::column)?;
            self.expect(&Token::RParen)?;
        }
        while self.table_clause(&mut table)? {}
        if self.parser.parse_keyword(Keyword::AS) || self.at_query() {
            table.query = Some(self.query()?);
        }
        Ok(StatementKind::CreateTable(Box::new(table)))
    }

    /// One of the clauses between a table's columns and its query, in any order, as Databricks takes them.
    pub(super) fn table_clause(&mut self, table: &mut CreateTable) -> Result<bool> {
        let clause = self.parser.peek_token();
        match upper(&clause).as_str() {
            "USING" => {
                self.parser.next_token();
                let format = self.identifier()?;
                if !format.value.eq_ignore_ascii_case("delta") {
                    return Err(Error::sql(format!("USING {} is not supported", format.value.to_uppercase()))
                        .at(format.span)
                        .with_hint("pinsql keeps its tables in Delta format: USING DELTA, or leave the clause out"));
                }
            }
            "PARTITIONED" => {
                self.parser.next_token();
                self.keyword(Keyword::BY)?;
                self.expect(&Token::LParen)?;
                table.partitioned_by = self.comma_separated(Self::identifier)?;
                self.expect(&Token::RParen)?;
            }
            "TBLPROPERTIES" => {
                self.parser.next_token();
                self.expect(&Token::LParen)?;
                table.properties = self.comma_separated(Self::property)?;
                self.expect(&Token::RParen)?;
            }
            "COMMENT" => {
                self.parser.next_token();
                table.comment = Some(self.literal()?);
            }
            "LOCATION" => {
                self.parser.next_token();
                table.location = Some(self.parser.parse_expr().map_err(|error| self.located(error))?);
            }
            "CLUSTER" | "CLUSTERED" => return Err(unsupported("CLUSTER BY on a table", &clause)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn column(&mut self) -> Result<Column> {
        let first = self.parser.peek_token();
        if upper(&first) == "CONSTRAINT" {
            return Err(unsupported("CONSTRAINT in CREATE TABLE", &first));
        }
        let name = self.identifier()?;
        let (data_type, type_span) = self.data_type()?;
        let mut column = Column { name, data_type, type_span, not_null: false, comment: None };
        loop {
            let clause = self.parser.peek_token();
            match upper(&clause).as_str() {
                "NOT" => {
                    self.parser.next_token();
                    self.keyword(Keyword::NULL)?;
                    column.not_null = true;
                }
                "COMMENT" => {
                    self.parser.next_token();
                    column.comment = Some(self.literal()?);
                }
                "" => return Ok(column),
                other => return Err(unsupported(&format!("{other} in a column's definition"), &clause)),
            }
        }
    }

    /// The text of a column's type: everything up to what can follow one, brackets kept together.
    fn data_type(&mut self) -> Result<(String, Span)> {
        let start = self.parser.peek_token();
        let (mut text, mut depth, mut span) = (String::new(), 0_i32, Span::from(start.span));
        loop {
            let token = self.parser.peek_token();
            let ends = match &token.token {
                Token::EOF => true,
                Token::Comma | Token::RParen => depth == 0,
                Token::Word(word) => {
                    depth == 0
                        && matches!(
                            word.keyword,
                            Keyword::NOT | Keyword::COMMENT | Keyword::DEFAULT | Keyword::GENERATED
                        )
                }
                _ => false,
            };
            if ends {
                break;
            }
            depth += match token.token {
                Token::Lt | Token::LParen => 1,
                Token::Gt | Token::RParen => -1,
                Token::ShiftRight => -2,
                _ => 0,
            };
            text.push_str(&token.token.to_string());
            text.push(' ');
            span.end = Span::from(token.span).end;
            self.parser.next_token();
        }
        if text.is_empty() {
            return Err(Error::sql("a column needs a type").at(start.span).with_hint("for example `ind BIGINT`"));
        }
        Ok((text.trim_end().to_owned(), span))
    }

    /// `'name' = 'value'`, `name.part = value` or `'name' 'value'`.
    pub(super) fn property(&mut self) -> Result<(String, String)> {
        let name = self.property_name()?;
        let _ = self.parser.consume_token(&Token::Eq);
        Ok((name, self.property_word()?))
    }

    pub(super) fn property_name(&mut self) -> Result<String> {
        let mut name = self.property_word()?;
        while self.parser.consume_token(&Token::Period) {
            name = format!("{name}.{}", self.property_word()?);
        }
        Ok(name)
    }

    fn property_word(&mut self) -> Result<String> {
        let token = self.parser.next_token();
        match token.token {
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) | Token::Number(text, _) => Ok(text),
            Token::Word(word) => Ok(word.value),
            other => Err(Error::sql(format!("expected a table property, found `{other}`"))
                .at(token.span)
                .with_hint("TBLPROPERTIES ('name' = 'value', …)")),
        }
    }
}
