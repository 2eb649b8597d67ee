//! EXPLAIN, with Spark's forms.

use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::{ExplainForm, StatementKind};
use pinsql_base::error::{Error, ErrorCode, Result};

impl StatementParser<'_> {
    /// Parses the statement, starting at EXPLAIN.
    pub(super) fn explain(&mut self) -> Result<StatementKind> {
        let explain = self.parser.next_token();
        let word = self.parser.peek_token();
        let form = match upper(&word).as_str() {
            "EXTENDED" => ExplainForm::Extended,
            "FORMATTED" => ExplainForm::Formatted,
            "COST" => ExplainForm::Cost,
            "ANALYZE" => ExplainForm::Analyze,
            "CODEGEN" => {
                return Err(Error::new(ErrorCode::UnsupportedFeature, "EXPLAIN CODEGEN is not supported")
                    .at(word.span)
                    .with_hint("no code is generated here: EXPLAIN FORMATTED draws the plan that runs"));
            }
            _ => ExplainForm::Plain,
        };
        if form != ExplainForm::Plain {
            self.parser.next_token();
        }
        let first = self.parser.peek_token();
        let statement = match upper(&first).as_str() {
            "SELECT" | "WITH" | "VALUES" | "FROM" | "TABLE" => StatementKind::Query(self.query()?),
            "" if first.token == Token::LParen => StatementKind::Query(self.query()?),
            "INSERT" => self.insert()?,
            "CREATE" => self.create()?,
            other => return Err(unsupported(&format!("EXPLAIN {other}"), &first)),
        };
        match &statement {
            StatementKind::Query(_) => {}
            _ if form == ExplainForm::Analyze => {
                return Err(Error::new(
                    ErrorCode::UnsupportedFeature,
                    "EXPLAIN ANALYZE of a statement that writes is not supported",
                )
                .at(explain.span)
                .with_hint("ANALYZE runs the statement. EXPLAIN without it shows the plan and writes nothing"));
            }
            StatementKind::Insert(_) => {}
            StatementKind::CreateTable(create) if create.query.is_some() => {}
            _ => {
                return Err(Error::new(
                    ErrorCode::UnsupportedFeature,
                    "EXPLAIN is for queries, INSERT and CREATE TABLE … AS",
                )
                .at(first.span));
            }
        }
        Ok(StatementKind::Explain { form, statement: Box::new(statement) })
    }
}
