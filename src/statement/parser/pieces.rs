//! The parts from which all statements are parsed: names, words, literals, lists and queries, and their errors.

use sqlparser::ast::{Expr, Ident, ObjectNamePart};
use sqlparser::keywords::Keyword;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{NESTING_MAX, StatementParser};
use crate::statement::ast::Name;
use pinsql_base::error::{Error, ErrorCode, Result, Span};

impl StatementParser<'_> {
    /// A query, parsed by sqlparser.
    pub(super) fn query(&mut self) -> Result<Box<sqlparser::ast::Query>> {
        self.parser.parse_query().map_err(|error| self.located(error))
    }

    /// True if a query starts here, perhaps in brackets.
    pub(super) fn at_query(&self) -> bool {
        let mut position = 0;
        while self.parser.peek_nth_token(position).token == Token::LParen {
            position += 1;
        }
        matches!(upper(&self.parser.peek_nth_token(position)).as_str(), "SELECT" | "WITH" | "VALUES" | "FROM")
    }

    /// The name of an object, or `IDENTIFIER(text)`.
    pub(super) fn name(&mut self) -> Result<Name> {
        let start = self.parser.peek_token().span;
        if self.at_identifier() {
            self.parser.next_token();
            self.expect(&Token::LParen)?;
            let text = self.parser.parse_expr().map_err(|error| self.located(error))?;
            let end = self.parser.peek_token().span;
            self.expect(&Token::RParen)?;
            let span = Span { start: Span::from(start).start, end: Span::from(end).end };
            return Ok(Name { parts: Vec::new(), computed: Some(Box::new(text)), span });
        }
        let object = self.parser.parse_object_name(false).map_err(|error| self.located(error))?;
        let parts: Vec<Ident> = object
            .0
            .into_iter()
            .filter_map(|part| match part {
                ObjectNamePart::Identifier(ident) => Some(ident),
                ObjectNamePart::Function(_) => None,
            })
            .collect();
        let end = parts.last().map_or(start, |part| part.span);
        Ok(Name { parts, computed: None, span: Span { start: Span::from(start).start, end: Span::from(end).end } })
    }

    /// An expression, parsed by sqlparser.
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.parser.parse_expr().map_err(|error| self.located(error))
    }

    /// True if `IDENTIFIER(text)` is next, and not a table named `identifier` with a list of columns.
    fn at_identifier(&self) -> bool {
        let token = |place| self.parser.peek_nth_token(place);
        let is_text = match token(2).token {
            Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) | Token::Colon | Token::Placeholder(_) => true,
            Token::Word(_) => token(3).token == Token::RParen,
            _ => false,
        };
        upper(&token(0)) == "IDENTIFIER" && token(1).token == Token::LParen && is_text
    }

    /// One name without dots.
    pub(super) fn identifier(&mut self) -> Result<Ident> {
        self.parser.parse_identifier().map_err(|error| self.located(error))
    }

    /// A string literal.
    pub(super) fn literal(&mut self) -> Result<String> {
        let token = self.parser.next_token();
        match token.token {
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => Ok(text),
            Token::EOF => Err(Error::new(
                ErrorCode::ParseSyntaxError,
                "expected a string in quotes, found the end of the statement",
            )),
            other => {
                Err(Error::new(ErrorCode::ParseSyntaxError, format!("expected a string in quotes, found `{other}`"))
                    .at(token.span))
            }
        }
    }

    /// Requires a keyword.
    pub(super) fn keyword(&mut self, keyword: Keyword) -> Result<()> {
        self.parser.expect_keyword_is(keyword).map_err(|error| self.located(error))
    }

    /// Skips a keyword that is optional and has no effect.
    pub(super) fn optional(&mut self, keyword: Keyword) {
        let _ = self.parser.parse_keyword(keyword);
    }

    /// Requires a token.
    pub(super) fn expect(&mut self, token: &Token) -> Result<()> {
        self.parser.expect_token(token).map(drop).map_err(|error| self.located(error))
    }

    /// A list with at least one item.
    pub(super) fn comma_separated<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.parser.consume_token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// PARSE_SYNTAX_ERROR `expected …` at the next token.
    pub(super) fn missing(&self, what: &str) -> Error {
        let next = self.parser.peek_token();
        let error = Error::new(ErrorCode::ParseSyntaxError, format!("expected {what}"));
        match next.token {
            Token::EOF => error.at(Span { start: self.end, end: (self.end.0, self.end.1 + 1) }),
            _ => error.at(next.span),
        }
    }

    /// Converts an error of sqlparser. sqlparser writes the place at the end of the message; here it becomes the span.
    pub(super) fn located(&self, error: ParserError) -> Error {
        let message = match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
            ParserError::RecursionLimitExceeded => {
                return Error::new(
                    ErrorCode::StatementTooComplex,
                    format!("the statement nests deeper than {NESTING_MAX} levels"),
                )
                .at(self.parser.peek_token().span)
                .with_hint("divide it with WITH, or into several statements");
            }
        };
        let (text, start) = match message.rsplit_once(" at Line: ") {
            Some((text, place)) => {
                let start = place
                    .split_once(", Column: ")
                    .and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
                (text.to_owned(), start.unwrap_or(self.end))
            }
            None => (message, self.end),
        };
        let text = match text.strip_prefix("Expected: ").and_then(|text| text.split_once(", found: ")) {
            Some((expected, "EOF")) => format!("expected {expected}, found the end of the statement"),
            Some((expected, found)) => format!("expected {expected}, found `{found}`"),
            None => text,
        };
        Error::new(ErrorCode::ParseSyntaxError, text).at(Span { start, end: (start.0, start.1 + 1) })
    }

    /// Requires a word that sqlparser does not have as a keyword.
    pub(super) fn word(&mut self, word: &str) -> Result<()> {
        let token = self.parser.next_token();
        match upper(&token) == word {
            true => Ok(()),
            false if token.token == Token::EOF => {
                Err(Error::new(ErrorCode::ParseSyntaxError, format!("expected {word}, found the end of the statement")))
            }
            false => Err(Error::new(ErrorCode::ParseSyntaxError, format!("expected {word}, found `{}`", token.token))
                .at(token.span)),
        }
    }
}

/// The token as an upper-case word. Empty for other tokens and for quoted names.
pub(super) fn upper(token: &TokenWithSpan) -> String {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_uppercase(),
        _ => String::new(),
    }
}

/// UNSUPPORTED_FEATURE at a token. PARSE_SYNTAX_ERROR if the token is the end of the statement.
pub(super) fn unsupported(what: &str, at: &TokenWithSpan) -> Error {
    if at.token == Token::EOF {
        return Error::new(ErrorCode::ParseSyntaxError, "the statement ends too early");
    }
    Error::new(ErrorCode::UnsupportedFeature, format!("{what} is not supported")).at(at.span)
}
