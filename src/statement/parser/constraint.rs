//! `CONSTRAINT name …`: CHECK and EXPECT.
//!
//! CHECK is stored in the table, and every engine that writes the table enforces it. EXPECT belongs to the query that creates
//! the table. PRIMARY KEY and FOREIGN KEY are only comments in Databricks' catalog: nothing enforces them, and a Delta table
//! cannot store them.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{StatementParser, upper};
use crate::statement::ast::CheckConstraint;
use crate::statement::query::expectations::Expectation;
use pinsql_base::error::{Error, ErrorCode, Result, Span};
use pinsql_sources::operators::OnViolation;

/// An entry in the column list of CREATE TABLE that is not a column.
pub(super) enum TableConstraint {
    Check(CheckConstraint),
    Expect(Expectation),
}

impl StatementParser<'_> {
    /// True if the next entry of the column list is a constraint.
    pub(super) fn at_constraint(&self) -> bool {
        matches!(upper(&self.parser.peek_token()).as_str(), "CONSTRAINT" | "CHECK" | "PRIMARY" | "FOREIGN")
            && !matches!(self.parser.peek_nth_token(1).token, Token::Comma | Token::RParen | Token::EOF)
    }

    /// `CONSTRAINT name { CHECK (condition) | EXPECT (condition) [ON VIOLATION …] }`
    pub(super) fn table_constraint(&mut self) -> Result<TableConstraint> {
        let first = self.parser.peek_token();
        if upper(&first) != "CONSTRAINT" {
            return Err(nameless(&first));
        }
        self.parser.next_token();
        let name = self.identifier()?;
        let kind = self.parser.next_token();
        match upper(&kind).as_str() {
            "CHECK" => {
                let (condition, text) = self.bracketed_condition()?;
                self.refuse_constraint_options()?;
                Ok(TableConstraint::Check(CheckConstraint { span: Span::from(name.span), name, condition, text }))
            }
            "EXPECT" => {
                let (condition, _) = self.bracketed_condition()?;
                let text = condition.to_string();
                let action = self.on_violation()?;
                let span = Span::from(name.span);
                Ok(TableConstraint::Expect(Expectation { span, name: name.value, condition, text, action }))
            }
            "PRIMARY" | "FOREIGN" => Err(key(&kind)),
            _ if kind.token == Token::EOF => Err(self.missing("CHECK (condition)")),
            _ => Err(Error::new(
                ErrorCode::ParseSyntaxError,
                format!("expected CHECK or EXPECT, found `{}`", kind.token),
            )
            .at(kind.span)),
        }
    }

    /// The constraint of `ADD CONSTRAINT name CHECK (condition)`, starting at CONSTRAINT.
    pub(super) fn check_constraint(&mut self) -> Result<CheckConstraint> {
        let first = self.parser.peek_token();
        match self.table_constraint()? {
            TableConstraint::Check(check) => Ok(check),
            TableConstraint::Expect(_) => Err(Error::new(
                ErrorCode::InvalidTableDefinition,
                "an expectation belongs to the query that makes a table",
            )
            .at(first.span)
            .with_hint("CREATE OR REPLACE TABLE t (CONSTRAINT c EXPECT (…)) AS SELECT …; CHECK is for the table")),
        }
    }

    /// `CONSTRAINT name EXPECT (condition) [ON VIOLATION { DROP ROW | FAIL UPDATE }]`
    pub(super) fn expectation(&mut self) -> Result<Expectation> {
        let first = self.parser.peek_token();
        match self.table_constraint()? {
            TableConstraint::Expect(expectation) => Ok(expectation),
            TableConstraint::Check(_) => {
                Err(Error::new(ErrorCode::UnsupportedFeature, "CHECK on a streaming table is not supported")
                    .at(first.span)
                    .with_hint("CONSTRAINT c EXPECT (…) ON VIOLATION FAIL UPDATE stops the stream at such a row"))
            }
        }
    }

    fn on_violation(&mut self) -> Result<OnViolation> {
        if !self.parser.parse_keyword(Keyword::ON) {
            return Ok(OnViolation::Keep);
        }
        self.word("VIOLATION")?;
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "DROP" => {
                self.keyword(Keyword::ROW)?;
                Ok(OnViolation::DropRow)
            }
            "FAIL" => {
                self.word("UPDATE")?;
                Ok(OnViolation::FailUpdate)
            }
            _ => Err(Error::new(ErrorCode::ParseSyntaxError, "expected DROP ROW or FAIL UPDATE").at(what.span)),
        }
    }

    /// `(condition)`: the expression and its original text.
    fn bracketed_condition(&mut self) -> Result<(sqlparser::ast::Expr, String)> {
        self.expect(&Token::LParen)?;
        let text = self.text_up_to_bracket();
        let condition = self.parser.parse_expr().map_err(|error| self.located(error))?;
        self.expect(&Token::RParen)?;
        Ok((condition, text))
    }

    /// The text from here to the closing bracket. White space becomes one space.
    fn text_up_to_bracket(&self) -> String {
        let (mut text, mut depth) = (String::new(), 0_u32);
        let mut last: Option<TokenWithSpan> = None;
        for ahead in 0.. {
            let token = self.parser.peek_nth_token(ahead);
            match token.token {
                Token::EOF => break,
                Token::RParen if depth == 0 => break,
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if last.is_some_and(|last| last.span.end != token.span.start) {
                text.push(' ');
            }
            text.push_str(&written(&token.token));
            last = Some(token);
        }
        text
    }

    /// Refuses the options that Databricks allows after its informational constraints, and those that would change the
    /// meaning of a CHECK.
    fn refuse_constraint_options(&self) -> Result<()> {
        let next = self.parser.peek_token();
        let first = match upper(&next).as_str() {
            "NOT" => upper(&self.parser.peek_nth_token(1)),
            other => other.to_owned(),
        };
        match first.as_str() {
            "ENFORCED" if upper(&next) == "ENFORCED" => {
                Err(Error::new(ErrorCode::UnsupportedFeature, "ENFORCED is not supported")
                    .at(next.span)
                    .with_hint("a CHECK is always enforced"))
            }
            "ENFORCED" | "DEFERRABLE" | "INITIALLY" | "NORELY" | "RELY" => {
                let said = format!("{} after a CHECK is not supported", upper(&next));
                Err(Error::new(ErrorCode::UnsupportedFeature, said)
                    .at(next.span)
                    .with_hint("a CHECK is always enforced, row by row"))
            }
            _ => Ok(()),
        }
    }
}

/// The error for PRIMARY KEY and FOREIGN KEY.
pub(super) fn key(kind: &TokenWithSpan) -> Error {
    Error::new(ErrorCode::UnsupportedFeature, format!("{} KEY is not supported", upper(kind)))
        .at(kind.span)
        .with_hint("in Databricks it is only informational, and a Delta table cannot store it")
}

fn nameless(first: &TokenWithSpan) -> Error {
    match upper(first).as_str() {
        "CHECK" => Error::new(ErrorCode::ParseSyntaxError, "a CHECK needs a name")
            .at(first.span)
            .with_hint("CONSTRAINT name CHECK (…)"),
        _ => key(first),
    }
}

/// The token as SQL text that Databricks parses to the same token.
fn written(token: &Token) -> String {
    let quoted = |quote: char, text: &str| {
        let escaped = text.replace('\\', "\\\\").replace(quote, &format!("\\{quote}")).replace('\n', "\\n");
        format!("{quote}{escaped}{quote}")
    };
    match token {
        Token::SingleQuotedString(text) => quoted('\'', text),
        Token::DoubleQuotedString(text) => quoted('"', text),
        other => other.to_string(),
    }
}
