//! CREATE [OR REFRESH] STREAMING TABLE: the definition of a table, its expectations, and a query over a stream.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::{CreateStreamingTable, CreateTable, StatementKind};
use pinsql_base::error::{Error, ErrorCode, Result};

impl StatementParser<'_> {
    /// `OR REFRESH`. sqlparser has no keyword for it.
    pub(super) fn or_refresh(&mut self) -> Result<bool> {
        if !self.parser.parse_keyword(Keyword::OR) {
            return Ok(false);
        }
        self.word("REFRESH")?;
        Ok(true)
    }

    /// Parses the text after `CREATE [OR REFRESH] STREAMING`.
    pub(super) fn create_streaming_table(&mut self, or_refresh: bool) -> Result<StatementKind> {
        self.keyword(Keyword::TABLE)?;
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let mut table = CreateTable { if_not_exists, ..CreateTable::new(self.name()?) };
        if or_refresh && if_not_exists {
            return Err(Error::new(
                ErrorCode::ConflictingClauses,
                "OR REFRESH and IF NOT EXISTS contradict each other",
            )
            .at(table.name.span));
        }
        let mut expectations = Vec::new();
        if self.parser.consume_token(&Token::LParen) {
            loop {
                if self.at_constraint() {
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
}
