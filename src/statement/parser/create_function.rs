//! CREATE [OR REPLACE] [TEMPORARY] FUNCTION with a SQL body or from a library; DROP, SHOW and DESCRIBE FUNCTION.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::session::sql_functions::{Body, DataAccess, Parameter, ResultColumn, Returns, Signature};
use crate::statement::ast::{CreateFunction, FunctionSource, FunctionsShown, Name, StatementKind};
use pinsql_base::error::{Error, ErrorCode, Result, Span};
use pinsql_base::schema::{parse_type, type_name};

impl StatementParser<'_> {
    pub(super) fn create_function(&mut self, or_replace: bool, is_temporary: bool) -> Result<StatementKind> {
        let next = self.parser.peek_token();
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        if if_not_exists && or_replace {
            return Err(Error::new(
                ErrorCode::ConflictingClauses,
                "OR REPLACE and IF NOT EXISTS contradict each other",
            )
            .at(next.span));
        }
        if if_not_exists && is_temporary {
            return Err(Error::new(ErrorCode::ConflictingClauses, "a temporary function takes no IF NOT EXISTS")
                .at(next.span)
                .with_hint("CREATE OR REPLACE TEMPORARY FUNCTION replaces an existing one"));
        }
        let name = self.name()?;
        let mut body_start = (0, 0);
        let source = match self.parser.peek_token().token {
            Token::LParen => self.sql_function(&name, &mut body_start)?,
            _ => self.library_function()?,
        };
        Ok(StatementKind::CreateFunction(Box::new(CreateFunction {
            name,
            is_temporary,
            or_replace,
            if_not_exists,
            placeless: source.clone(),
            source,
            text: String::new(),
            body_text: String::new(),
            body_start,
        })))
    }

    /// `(parameters) [RETURNS …] [characteristics] RETURN body`
    fn sql_function(&mut self, name: &Name, body_start: &mut (u64, u64)) -> Result<FunctionSource> {
        self.expect(&Token::LParen)?;
        let mut signature = Signature::default();
        if !self.parser.consume_token(&Token::RParen) {
            signature.parameters = self.comma_separated(Self::parameter)?;
            self.expect(&Token::RParen)?;
        }
        check_parameters(&signature.parameters, name)?;
        if upper(&self.parser.peek_token()) == "RETURNS" {
            self.parser.next_token();
            signature.returns = self.returns()?;
        }
        while self.characteristic(&mut signature)? {}
        if upper(&self.parser.peek_token()) != "RETURN" {
            return Err(self.missing("RETURN and an expression or a query"));
        }
        self.parser.next_token();
        let first = self.parser.peek_token();
        *body_start = Span::from(first.span).start;
        let is_query = matches!(upper(&first).as_str(), "SELECT" | "WITH" | "VALUES" | "FROM" | "TABLE");
        let body = match is_query || matches!(signature.returns, Returns::Table(_)) {
            true => Body::Query(self.query()?),
            false => Body::Expression(Box::new(self.parser.parse_expr().map_err(|error| self.located(error))?)),
        };
        Ok(FunctionSource::Sql { signature, body })
    }

    /// `name type [DEFAULT value] [COMMENT 'text']`
    fn parameter(&mut self) -> Result<Parameter> {
        let name = self.identifier()?;
        let data_type = self.type_text()?;
        let mut parameter = Parameter { name, data_type, default: None, comment: None };
        loop {
            if parameter.default.is_none() && self.parser.parse_keyword(Keyword::DEFAULT) {
                parameter.default = Some(self.parser.parse_expr().map_err(|error| self.located(error))?);
            } else if parameter.comment.is_none() && self.parser.parse_keyword(Keyword::COMMENT) {
                parameter.comment = Some(self.literal()?);
            } else {
                return Ok(parameter);
            }
        }
    }

    /// A type, in the spelling of `pinsql_base::schema::type_name`.
    pub(super) fn type_text(&mut self) -> Result<String> {
        let start = self.parser.peek_token();
        let data_type = self.parser.parse_data_type().map_err(|error| self.located(error))?;
        let known = parse_type(&data_type.to_string()).map_err(|error| error.at(start.span))?;
        Ok(type_name(&known))
    }

    fn returns(&mut self) -> Result<Returns> {
        if !self.parser.parse_keyword(Keyword::TABLE) {
            return self.type_text().map(Returns::Scalar);
        }
        let mut columns = Vec::new();
        if self.parser.consume_token(&Token::LParen) {
            columns = self.comma_separated(|parser| {
                let name = parser.identifier()?;
                let data_type = parser.type_text()?;
                let comment =
                    if parser.parser.parse_keyword(Keyword::COMMENT) { Some(parser.literal()?) } else { None };
                Ok(ResultColumn { name, data_type, comment })
            })?;
            self.expect(&Token::RParen)?;
        }
        Ok(Returns::Table(columns))
    }

    /// One of the clauses between the result type and the body. They may be in any order. False if there is none.
    fn characteristic(&mut self, signature: &mut Signature) -> Result<bool> {
        let clause = self.parser.peek_token();
        let word = upper(&clause);
        let twice = || {
            Err(Error::new(
                ErrorCode::ConflictingClauses,
                format!("{word} is given twice, or contradicts a clause before"),
            )
            .at(clause.span))
        };
        match word.as_str() {
            "LANGUAGE" => {
                self.parser.next_token();
                let language = self.identifier()?;
                if !language.value.eq_ignore_ascii_case("sql") {
                    return Err(Error::new(
                        ErrorCode::UnsupportedFeature,
                        format!("LANGUAGE {} is not supported", language.value.to_uppercase()),
                    )
                    .at(language.span)
                    .with_hint("LANGUAGE SQL; functions in Rust come by USING LIBRARY"));
                }
            }
            "DETERMINISTIC" | "NOT" => {
                if signature.is_deterministic.is_some() {
                    return twice();
                }
                self.parser.next_token();
                if word == "NOT" {
                    self.keyword(Keyword::DETERMINISTIC)?;
                }
                signature.is_deterministic = Some(word != "NOT");
            }
            "COMMENT" => {
                if signature.comment.is_some() {
                    return twice();
                }
                self.parser.next_token();
                signature.comment = Some(self.literal()?);
            }
            "CONTAINS" | "READS" => {
                if signature.data_access.is_some() {
                    return twice();
                }
                self.parser.next_token();
                self.expected_word("SQL")?;
                signature.data_access = Some(match word.as_str() {
                    "READS" => {
                        self.expected_word("DATA")?;
                        DataAccess::ReadsSqlData
                    }
                    _ => DataAccess::ContainsSql,
                });
            }
            "" | "RETURN" => return Ok(false),
            other => return Err(unsupported(&format!("{other} in CREATE FUNCTION"), &clause)),
        }
        Ok(true)
    }

    fn expected_word(&mut self, word: &str) -> Result<()> {
        if upper(&self.parser.peek_token()) != word {
            return Err(self.missing(word));
        }
        self.parser.next_token();
        Ok(())
    }

    /// `[AS 'name in the library'] USING LIBRARY 'path'`
    fn library_function(&mut self) -> Result<FunctionSource> {
        let exported = if self.parser.parse_keyword(Keyword::AS) { Some(self.literal()?) } else { None };
        if !self.parser.parse_keyword(Keyword::USING) {
            return Err(self.missing("the parameters in brackets, or USING LIBRARY 'path'"));
        }
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "LIBRARY" => {}
            other => {
                return Err(unsupported(&format!("CREATE FUNCTION … USING {other}"), &what)
                    .with_hint("USING LIBRARY 'path' loads a library that is written in Rust"));
            }
        }
        let path_span = Span::from(self.parser.peek_token().span);
        Ok(FunctionSource::Library { path: self.literal()?, path_span, exported })
    }

    /// Parses the text after `DROP [TEMPORARY] FUNCTION`.
    pub(super) fn drop_function(&mut self, is_temporary: bool) -> Result<StatementKind> {
        let if_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        Ok(StatementKind::DropFunction { name: self.name()?, is_temporary, if_exists })
    }

    /// Parses the text after DESCRIBE FUNCTION.
    pub(super) fn describe_function(&mut self) -> Result<StatementKind> {
        let extended = self.parser.parse_keyword(Keyword::EXTENDED);
        Ok(StatementKind::DescribeFunction { name: self.name()?, extended })
    }

    /// Parses the text after SHOW … FUNCTIONS. `kind` is the word before FUNCTIONS.
    pub(super) fn show_functions(&mut self, kind: FunctionsShown) -> Result<StatementKind> {
        let schema = if self.in_or_from() { Some(self.name()?) } else { None };
        let like = match &self.parser.peek_token().token {
            // Databricks also allows a name without LIKE and without quotes.
            Token::Word(word) if word.keyword != Keyword::LIKE => Some(self.name()?.to_string()),
            _ => self.like()?,
        };
        Ok(StatementKind::ShowFunctions { kind, schema, like })
    }
}

fn check_parameters(parameters: &[Parameter], function: &Name) -> Result<()> {
    let mut before: Option<&Parameter> = None;
    for (position, parameter) in parameters.iter().enumerate() {
        let name = &parameter.name.value;
        if parameters[..position].iter().any(|other| other.name.value.eq_ignore_ascii_case(name)) {
            return Err(Error::new(
                ErrorCode::DuplicateColumn,
                format!("two parameters of {function} are named `{name}`"),
            )
            .at(parameter.name.span));
        }
        if let Some(before) = before.filter(|_| parameter.default.is_none()) {
            let said = format!("`{name}` has no DEFAULT, and `{}` before it has one", before.name.value);
            return Err(Error::new(ErrorCode::InvalidFunctionDefinition, said).at(parameter.name.span));
        }
        before = before.or(Some(parameter).filter(|parameter| parameter.default.is_some()));
    }
    Ok(())
}
