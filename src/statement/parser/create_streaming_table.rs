//! CREATE [OR REFRESH] STREAMING TABLE: a table's definition, its expectations, and the query over a stream.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::error::{Error, Result, Span};
use crate::operators::OnViolation;
use crate::statement::ast::{CreateStreamingTable, CreateTable, StatementKind};
use crate::statement::query::expectations::Expectation;

impl StatementParser<'_> {
    /// `OR REFRESH`, which sqlparser has no keyword for.
    pub(super) fn or_refresh(&mut self) -> Result<bool> {
        if !self.parser.parse_keyword(Keyword::OR) {
            return Ok(false);
        }
        self.word("REFRESH")?;
        Ok(true)
    }

    /// What follows `CREATE [OR REFRESH] STREAMING`.
    pub(super) fn create_streaming_table(&mut self, or_refresh: bool) -> Result<StatementKind> {
        self.keyword(Keyword::TABLE)?;
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let mut table = CreateTable { if_not_exists, ..CreateTable::new(self.name()?) };
        if or_refresh && if_not_exists {
            return Err(Error::sql("OR REFRESH and IF NOT EXISTS contradict each other").at(table.name.span));
        }
        let mut expectations = Vec::new();
        if self.parser.consume_token(&Token::LParen) {
            loop {
                if upper(&self.parser.peek_token()) == "CONSTRAINT" {
                    expectations.push(self.expectation()?);
                } else {
                    table.columns.push(self.column()?);
                }
                if !self.parser.consume_token(&Token::Comma) {
                    break;
                }
            }
            self.expect(&Token::RParen)?;
        }
        loop {
            let clause = self.parser.peek_token();
            if matches!(upper(&clause).as_str(), "SCHEDULE" | "TRIGGER" | "FLOW") {
                return Err(unsupported(&format!("{} on a streaming table", upper(&clause)), &clause));
            }
            if !self.table_clause(&mut table)? {
                break;
            }
        }
        if !self.parser.parse_keyword(Keyword::AS) && !self.at_query() {
            return Err(self.missing("AS and a query over STREAM read_kinesis(…), read_kafka(…) or read_files(…)"));
        }
        table.query = Some(self.query()?);
        Ok(StatementKind::CreateStreamingTable(Box::new(CreateStreamingTable { table, or_refresh, expectations })))
    }

    /// `CONSTRAINT name EXPECT (condition) [ON VIOLATION { DROP ROW | FAIL UPDATE }]`
    fn expectation(&mut self) -> Result<Expectation> {
        self.keyword(Keyword::CONSTRAINT)?;
        let name = self.identifier()?;
        self.word("EXPECT")?;
        self.expect(&Token::LParen)?;
        let condition = self.parser.parse_expr().map_err(|error| self.located(error))?;
        self.expect(&Token::RParen)?;
        let mut action = OnViolation::Keep;
        if self.parser.parse_keyword(Keyword::ON) {
            self.word("VIOLATION")?;
            let what = self.parser.next_token();
            action = match upper(&what).as_str() {
                "DROP" => {
                    self.keyword(Keyword::ROW)?;
                    OnViolation::DropRow
                }
                "FAIL" => {
                    self.word("UPDATE")?;
                    OnViolation::FailUpdate
                }
                _ => return Err(Error::sql("expected DROP ROW or FAIL UPDATE").at(what.span)),
            };
        }
        let text = condition.to_string();
        Ok(Expectation { span: Span::from(name.span), name: name.value, condition, text, action })
    }

    /// A word that is no keyword everywhere.
    fn word(&mut self, word: &str) -> Result<()> {
        let token = self.parser.next_token();
        match upper(&token) == word {
            true => Ok(()),
            false if token.token == Token::EOF => {
                Err(Error::sql(format!("expected {word}, found the end of the statement")))
            }
            false => Err(Error::sql(format!("expected {word}, found `{}`", token.token)).at(token.span)),
        }
    }
}
