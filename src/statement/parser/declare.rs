//! DECLARE [OR REPLACE] [VARIABLE] name [, …] [type] [{DEFAULT | =} value], SET VARIABLE, DROP TEMPORARY VARIABLE.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::{Assigned, DeclareVariable, SetVariable, StatementKind};
use pinsql_base::error::{Error, ErrorCode, Result};

impl StatementParser<'_> {
    pub(super) fn declare(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let or_replace = self.parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
        if matches!(upper(&self.parser.peek_token()).as_str(), "VARIABLE" | "VAR") {
            self.parser.next_token();
        }
        let names = self.comma_separated(Self::name)?;
        let starts_value = |parser: &mut Self| {
            let next = parser.parser.peek_token();
            next.token == Token::Eq || upper(&next) == "DEFAULT"
        };
        let mut data_type = None;
        if !starts_value(self) && self.parser.peek_token().token != Token::EOF {
            data_type = Some(self.type_text()?);
        }
        let mut value = None;
        if starts_value(self) {
            self.parser.next_token();
            value = Some(self.parser.parse_expr().map_err(|error| self.located(error))?);
        }
        if data_type.is_none() && value.is_none() {
            return Err(self.missing("a type, or DEFAULT and a value"));
        }
        Ok(StatementKind::DeclareVariable(Box::new(DeclareVariable { names, or_replace, data_type, value })))
    }

    pub(super) fn set(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        if self.parser.peek_nth_token(1).token == Token::Period {
            return self.setting();
        }
        let what = self.parser.next_token();
        if !matches!(upper(&what).as_str(), "VARIABLE" | "VAR") {
            return Err(unsupported(&format!("SET {}", what.token), &what)
                .with_hint("SET VARIABLE name = value; settings are in pinsql.toml, in flags and in the environment"));
        }
        let set = match self.parser.consume_token(&Token::LParen) {
            true => {
                let names = self.comma_separated(Self::name)?;
                self.expect(&Token::RParen)?;
                self.expect(&Token::Eq)?;
                self.expect(&Token::LParen)?;
                let query = self.query()?;
                self.expect(&Token::RParen)?;
                SetVariable::OfQuery { names, query }
            }
            false => SetVariable::Each(self.comma_separated(|parser| {
                let name = parser.name()?;
                parser.expect(&Token::Eq)?;
                if parser.parser.parse_keyword(Keyword::DEFAULT) {
                    return Ok((name, Assigned::Default));
                }
                let value = parser.parser.parse_expr().map_err(|error| parser.located(error))?;
                Ok((name, Assigned::Value(Box::new(value))))
            })?),
        };
        Ok(StatementKind::SetVariable(Box::new(set)))
    }

    /// Parses the text after DROP TEMPORARY VARIABLE.
    pub(super) fn drop_variable(&mut self) -> Result<StatementKind> {
        let if_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        let name = self.name()?;
        if self.parser.peek_token().token == Token::Comma {
            return Err(Error::new(ErrorCode::ParseSyntaxError, "DROP TEMPORARY VARIABLE takes one variable")
                .at(self.parser.peek_token().span));
        }
        Ok(StatementKind::DropVariable { name, if_exists })
    }
}
