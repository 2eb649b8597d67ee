//! SQL text to [`Statement`]s.
//!
//! A statement's first words decide who reads it: the forms below are read here, from sqlparser's tokens; a query, and
//! every expression inside a statement, is read by sqlparser itself. A form that is not in the list is an error that
//! names it: nothing is passed on in the hope that somebody downstream understands it.

mod alter_table;
mod constraint;
mod copy_into;
mod create_function;
mod create_sink;
mod create_streaming_table;
mod create_table;
mod create_view;
mod declare;
mod delete;
mod drop;
mod explain;
mod insert;
mod merge;
mod optimize;
mod restore;
mod set;
mod show;
mod streams;
mod truncate;
mod update;
mod vacuum;
mod versions;

use sqlparser::ast::{Expr, Ident, ObjectNamePart};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span as TokenSpan, Token, TokenWithSpan};

pub(super) use self::streams::{DELAY as STREAM_DELAY, STREAM as STREAM_MARKER, WATERMARK as STREAM_WATERMARK};
use super::ast::{CreateFunction, CreateView, Name, Part, Source, Statement, StatementKind};
use super::dialect::{PinsqlDialect, tokenize};
use pinsql_base::error::{Error, ErrorCode, Result, Span, nearest};

/// How deep a query or an expression may nest before the parser refuses it, so that no input can exhaust the stack.
const NESTING_MAX: usize = 100;

/// What can stand at the start of a statement, for the hint of an error.
pub const STATEMENTS: &str = "SELECT, WITH, VALUES, EXPLAIN, CREATE TABLE, CREATE STREAMING TABLE, CREATE SINK, CREATE VIEW, CREATE FUNCTION, CREATE SCHEMA, ALTER TABLE, COMMENT ON, COPY INTO, DECLARE, SET, ALTER VIEW, INSERT, UPDATE, DELETE, MERGE, TRUNCATE, DROP, USE, SHOW, DESCRIBE, OPTIMIZE, VACUUM, RESTORE, SOURCE";

/// The first words of the statements that only Databricks has
/// (<https://docs.databricks.com/en/sql/language-manual/index.html>).
const UNSUPPORTED_STATEMENTS: [&str; 30] = [
    "ANALYZE", "APPLY", "BEGIN", "CACHE", "CALL", "CLEAR", "CONVERT", "DENY", "EXECUTE", "FSCK", "GENERATE", "GET",
    "GRANT", "INSTALL", "LIST", "LOAD", "MSCK", "PUT", "REFRESH", "REMOVE", "REORG", "REPAIR", "RESET", "REVOKE",
    "SIGNAL", "SYNC", "UNCACHE", "UNDROP", "UNSET", "ADD",
];

/// Reads all the statements of a text that takes in no other.
pub fn parse(sql: &str) -> Result<Vec<Statement>> {
    let statement = |part| match part {
        Part::Statement(statement) => Ok(statement),
        Part::Source(source) => {
            Err(Error::new(ErrorCode::ParseSyntaxError, "SOURCE can stand in a file only").at(source.span))
        }
    };
    parse_parts(sql)?.into_iter().map(statement).collect()
}

/// Reads a file: its statements, and the files that it takes in.
pub fn parse_parts(sql: &str) -> Result<Vec<Part>> {
    let tokens = tokenize(sql).map_err(|error| {
        Error::new(ErrorCode::ParseSyntaxError, error.message).at(Span {
            start: (error.location.line, error.location.column),
            end: (error.location.line, error.location.column + 1),
        })
    })?;
    tokens
        .split(|token| token.token == Token::SemiColon)
        .filter(|tokens| tokens.iter().any(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)))
        .map(|tokens| parse_one(sql, tokens))
        .collect()
}

/// Reads a text that is a name and nothing else.
pub(super) fn parse_name(text: &str) -> Result<Vec<Ident>> {
    let tokens = tokenize(text).map_err(|error| Error::new(ErrorCode::ParseSyntaxError, error.message))?;
    let dialect = PinsqlDialect::default();
    let mut parser = StatementParser { parser: Parser::new(&dialect).with_tokens_with_locations(tokens), end: (0, 0) };
    let name = parser.name()?;
    match (parser.parser.peek_token().token, name.computed) {
        (Token::EOF, None) => Ok(name.parts),
        _ => Err(Error::new(ErrorCode::ParseSyntaxError, "something stands behind it")),
    }
}

fn placeless(token: &TokenWithSpan) -> TokenWithSpan {
    TokenWithSpan { span: TokenSpan::empty(), ..token.clone() }
}

/// The stretch of a text between two places.
fn text_between(sql: &str, span: Span) -> String {
    let lines = sql.lines().enumerate().map(|(index, line)| (index as u64 + 1, line));
    let within = lines.filter(|(number, _)| (span.start.0..=span.end.0).contains(number));
    let cut = within.map(|(number, line)| {
        let first = if number == span.start.0 { span.start.1.saturating_sub(1) } else { 0 };
        let last = if number == span.end.0 { span.end.1.saturating_sub(1) } else { u64::MAX };
        let place = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
        line.chars().take(place(last)).skip(place(first)).collect::<String>()
    });
    cut.collect::<Vec<_>>().join("\n")
}

fn parse_one(sql: &str, tokens: &[TokenWithSpan]) -> Result<Part> {
    let meaningful = || tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    let start = meaningful().next().map_or((1, 1), |token| Span::from(token.span).start);
    let end = meaningful().next_back().map_or(start, |token| Span::from(token.span).end);
    let span = Span { start, end };
    let dialect = PinsqlDialect::default();
    let parser = |tokens: Vec<TokenWithSpan>| {
        let parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
        StatementParser { parser, end }
    };
    let marked = versions::written_out(streams::marked(tokens)?)?;
    if meaningful().next().is_some_and(|token| upper(token) == "SOURCE") {
        return parser(marked).source(span).map(Part::Source).map_err(|error| error.at(span));
    }
    let mut kind = parser(marked.clone()).statement().map_err(|error| error.at(span))?;
    if matches!(kind, StatementKind::CreateView(_) | StatementKind::AlterView(_) | StatementKind::CreateFunction(_)) {
        let again = parser(marked.iter().map(placeless).collect()).statement()?;
        keep_text(&mut kind, again, sql, span);
    }
    Ok(Part::Statement(Statement { kind, span }))
}

/// What is read in other statements has no place in them; what is kept in the warehouse is kept as it is written.
fn keep_text(kind: &mut StatementKind, again: StatementKind, sql: &str, span: Span) {
    match (kind, again) {
        (StatementKind::CreateView(view), StatementKind::CreateView(again)) => {
            let CreateView { query, .. } = *again;
            view.placeless_query = query;
            view.text = text_between(sql, span);
            view.query_text = text_between(sql, Span { start: view.query_start, end: span.end });
        }
        (StatementKind::CreateFunction(function), StatementKind::CreateFunction(again)) => {
            let CreateFunction { source, .. } = *again;
            function.placeless = source;
            function.text = text_between(sql, span);
            function.body_text = text_between(sql, Span { start: function.body_start, end: span.end });
        }
        (StatementKind::AlterView(view), _) => {
            view.query_text = text_between(sql, Span { start: view.query_start, end: span.end });
        }
        _ => {}
    }
}

struct StatementParser<'a> {
    parser: Parser<'a>,
    /// Where the statement ends: the place of an error that says something is missing.
    end: (u64, u64),
}

impl StatementParser<'_> {
    fn statement(&mut self) -> Result<StatementKind> {
        let first = self.parser.peek_token();
        let kind = match &first.token {
            Token::LParen => self.query().map(StatementKind::Query)?,
            Token::Word(word) => match word.value.to_uppercase().as_str() {
                "SELECT" | "WITH" | "VALUES" | "FROM" | "TABLE" => self.query().map(StatementKind::Query)?,
                "EXPLAIN" => self.explain()?,
                "COMMENT" => self.comment_on()?,
                "COPY" => self.copy_into()?,
                "CREATE" => self.create()?,
                "INSERT" => self.insert()?,
                "DELETE" => self.delete()?,
                "UPDATE" => self.update()?,
                "MERGE" => self.merge()?,
                "TRUNCATE" => self.truncate()?,
                "DECLARE" => self.declare()?,
                "DROP" => self.drop()?,
                "ALTER" => self.alter()?,
                "SET" => self.set()?,
                "USE" => self.use_schema()?,
                "SHOW" => self.show()?,
                "DESCRIBE" | "DESC" => self.describe()?,
                "OPTIMIZE" => self.optimize()?,
                "VACUUM" => self.vacuum()?,
                "RESTORE" => self.restore()?,
                other => return Err(unknown_statement(other, &first)),
            },
            _ => return Err(unsupported(&format!("a statement that starts with `{}`", first.token), &first)),
        };
        self.end_of_statement()?;
        Ok(kind)
    }

    /// Refuses a clause that comes next and that this statement has only in Databricks.
    fn refuse_clause(&mut self, statement: &str, clauses: &[&str]) -> Result<()> {
        let next = self.parser.peek_token();
        match clauses.iter().find(|clause| upper(&next) == **clause) {
            Some(clause) => Err(unsupported(&format!("{statement} … {clause}"), &next)),
            None => Ok(()),
        }
    }

    /// `SOURCE 'file.sql'`
    fn source(&mut self, span: Span) -> Result<Source> {
        self.parser.next_token();
        let next = self.parser.peek_token();
        if !matches!(next.token, Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)) {
            return Err(Error::new(ErrorCode::ParseSyntaxError, "expected the name of a file in quotes")
                .at(next.span)
                .with_hint("SOURCE 'rules.sql'"));
        }
        let path = self.literal()?;
        self.end_of_statement()?;
        Ok(Source { path, span })
    }

    fn end_of_statement(&mut self) -> Result<()> {
        let rest = self.parser.peek_token();
        match rest.token {
            Token::EOF => Ok(()),
            _ => Err(Error::new(
                ErrorCode::ParseSyntaxError,
                format!("unexpected `{}` after the end of the statement", rest.token),
            )
            .at(rest.span)
            .with_hint("statements are separated by `;`")),
        }
    }

    fn query(&mut self) -> Result<Box<sqlparser::ast::Query>> {
        self.parser.parse_query().map_err(|error| self.located(error))
    }

    fn create(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let or_replace = self.parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
        let or_refresh = !or_replace && self.or_refresh()?;
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "STREAMING" if !or_replace => self.create_streaming_table(or_refresh),
            "SINK" if !or_replace => self.create_sink(or_refresh),
            _ if or_refresh => {
                Err(Error::new(ErrorCode::ParseSyntaxError, "CREATE OR REFRESH is for a STREAMING TABLE or a SINK")
                    .at(what.span))
            }
            "TABLE" => self.create_table(or_replace),
            "TEMP" | "TEMPORARY" => self.create_temporary(or_replace),
            "VIEW" => self.create_view(or_replace, false),
            "FUNCTION" => self.create_function(or_replace, false),
            "GLOBAL" => Err(unsupported("CREATE GLOBAL TEMPORARY VIEW", &what)),
            "MATERIALIZED" => Err(unsupported("CREATE MATERIALIZED VIEW", &what)
                .with_hint("CREATE VIEW, CREATE TABLE … AS, or CREATE STREAMING TABLE")),
            "SCHEMA" | "DATABASE" if !or_replace => {
                let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
                let name = self.name()?;
                self.refuse_clause("CREATE SCHEMA", &["COMMENT", "LOCATION", "MANAGED", "WITH", "DEFAULT"])?;
                Ok(StatementKind::CreateSchema { name, if_not_exists })
            }
            other => Err(unsupported(&format!("CREATE {}{other}", if or_replace { "OR REPLACE " } else { "" }), &what)),
        }
    }

    fn alter(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "TABLE" => self.alter_table(),
            "VIEW" => self.alter_view(),
            other => Err(unsupported(&format!("ALTER {other}"), &what)),
        }
    }

    /// Whether a query starts here, perhaps behind brackets.
    fn at_query(&self) -> bool {
        let mut position = 0;
        while self.parser.peek_nth_token(position).token == Token::LParen {
            position += 1;
        }
        matches!(upper(&self.parser.peek_nth_token(position)).as_str(), "SELECT" | "WITH" | "VALUES" | "FROM")
    }

    fn name(&mut self) -> Result<Name> {
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

    fn expression(&mut self) -> Result<Expr> {
        self.parser.parse_expr().map_err(|error| self.located(error))
    }

    /// Whether `IDENTIFIER(text)` stands here, and not a name with a list of columns behind it.
    fn at_identifier(&self) -> bool {
        let token = |place| self.parser.peek_nth_token(place);
        let is_text = match token(2).token {
            Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) | Token::Colon | Token::Placeholder(_) => true,
            Token::Word(_) => token(3).token == Token::RParen,
            _ => false,
        };
        upper(&token(0)) == "IDENTIFIER" && token(1).token == Token::LParen && is_text
    }

    fn identifier(&mut self) -> Result<Ident> {
        self.parser.parse_identifier().map_err(|error| self.located(error))
    }

    fn literal(&mut self) -> Result<String> {
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

    fn keyword(&mut self, keyword: Keyword) -> Result<()> {
        self.parser.expect_keyword_is(keyword).map_err(|error| self.located(error))
    }

    /// A word that may stand here and says nothing.
    fn optional(&mut self, keyword: Keyword) {
        let _ = self.parser.parse_keyword(keyword);
    }

    fn expect(&mut self, token: &Token) -> Result<()> {
        self.parser.expect_token(token).map(drop).map_err(|error| self.located(error))
    }

    fn comma_separated<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.parser.consume_token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn missing(&self, what: &str) -> Error {
        let next = self.parser.peek_token();
        let error = Error::new(ErrorCode::ParseSyntaxError, format!("expected {what}"));
        match next.token {
            Token::EOF => error.at(Span { start: self.end, end: (self.end.0, self.end.1 + 1) }),
            _ => error.at(next.span),
        }
    }

    /// sqlparser writes the place of an error at the end of its message; here it goes where it can be shown.
    fn located(&self, error: ParserError) -> Error {
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
}

/// The token as an upper-case word; empty when it is not one or when it is quoted.
fn upper(token: &TokenWithSpan) -> String {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_uppercase(),
        _ => String::new(),
    }
}

fn unsupported(what: &str, at: &TokenWithSpan) -> Error {
    if at.token == Token::EOF {
        return Error::new(ErrorCode::ParseSyntaxError, "the statement ends too early");
    }
    Error::new(ErrorCode::UnsupportedFeature, format!("{what} is not supported")).at(at.span)
}

fn unknown_statement(word: &str, at: &TokenWithSpan) -> Error {
    let code = match UNSUPPORTED_STATEMENTS.contains(&word) {
        true => ErrorCode::UnsupportedFeature,
        false => ErrorCode::ParseSyntaxError,
    };
    let verbs = STATEMENTS.split(", ").filter_map(|statement| statement.split(' ').next());
    Error::new(code, format!("the statement {word} is not supported")).at(at.span).with_hint(
        match nearest(word, verbs) {
            Some(verb) => format!("did you mean {verb}?"),
            None => format!("what is: {STATEMENTS}"),
        },
    )
}

#[cfg(test)]
mod tests;
