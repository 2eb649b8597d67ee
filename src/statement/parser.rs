//! The parser: SQL text to [`Statement`]s.
//!
//! The first words of a statement select the file that parses it. The statements around a query are parsed here, from
//! sqlparser's tokens. Queries and expressions are parsed by sqlparser. Any other form is an error that names it. The parser
//! never passes on a clause that later steps would ignore.

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
mod pieces;
mod restore;
mod set;
mod show;
mod streams;
mod truncate;
mod update;
mod vacuum;
mod versions;

use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span as TokenSpan, Token, TokenWithSpan};

use self::pieces::{unsupported, upper};
pub(super) use self::streams::{DELAY as STREAM_DELAY, STREAM as STREAM_MARKER, WATERMARK as STREAM_WATERMARK};
use super::ast::{CreateFunction, CreateView, Part, Source, Statement, StatementKind};
use super::dialect::{PinsqlDialect, tokenize};
use pinsql_base::error::{Error, ErrorCode, Result, Span, nearest};

/// The nesting limit of queries and expressions. It keeps any input from exhausting the stack.
const NESTING_MAX: usize = 100;

/// The statements by their first words, for the hint of an error.
pub const STATEMENTS: &str = "\
    SELECT, WITH, VALUES, EXPLAIN, CREATE TABLE, CREATE STREAMING TABLE, CREATE SINK, CREATE VIEW, \
    CREATE FUNCTION, CREATE SCHEMA, ALTER TABLE, COMMENT ON, COPY INTO, DECLARE, SET, ALTER VIEW, INSERT, UPDATE, \
    DELETE, MERGE, TRUNCATE, DROP, UNDROP, USE, SHOW, DESCRIBE, OPTIMIZE, VACUUM, RESTORE, SOURCE";

/// The first words of statements that Databricks has and pinsql does not
/// (<https://docs.databricks.com/en/sql/language-manual/index.html>).
const UNSUPPORTED_STATEMENTS: [&str; 29] = [
    "ANALYZE", "APPLY", "BEGIN", "CACHE", "CALL", "CLEAR", "CONVERT", "DENY", "EXECUTE", "FSCK", "GENERATE", "GET",
    "GRANT", "INSTALL", "LIST", "LOAD", "MSCK", "PUT", "REFRESH", "REMOVE", "REORG", "REPAIR", "RESET", "REVOKE",
    "SIGNAL", "SYNC", "UNCACHE", "UNSET", "ADD",
];

/// Parses a text that has no SOURCE statement, such as a stored definition. Errors have the code PARSE_SYNTAX_ERROR,
/// UNSUPPORTED_FEATURE, CONFLICTING_CLAUSES or one of the clause, and the place in the text.
pub fn parse(sql: &str) -> Result<Vec<Statement>> {
    let statement = |part| match part {
        Part::Statement(statement) => Ok(statement),
        Part::Source(source) => {
            Err(Error::new(ErrorCode::ParseSyntaxError, "SOURCE is allowed only in a file").at(source.span))
        }
    };
    parse_parts(sql)?.into_iter().map(statement).collect()
}

/// Parses a SQL file: its statements and its SOURCE statements, in order. Errors are those of [`parse`].
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

/// Parses a text that must be one name and nothing else.
pub(super) fn parse_name(text: &str) -> Result<Vec<Ident>> {
    let tokens = tokenize(text).map_err(|error| Error::new(ErrorCode::ParseSyntaxError, error.message))?;
    let dialect = PinsqlDialect::default();
    let mut parser = StatementParser { parser: Parser::new(&dialect).with_tokens_with_locations(tokens), end: (0, 0) };
    let name = parser.name()?;
    match (parser.parser.peek_token().token, name.computed) {
        (Token::EOF, None) => Ok(name.parts),
        _ => Err(Error::new(ErrorCode::ParseSyntaxError, "there is text after the name")),
    }
}

fn without_place(token: &TokenWithSpan) -> TokenWithSpan {
    TokenWithSpan { span: TokenSpan::empty(), ..token.clone() }
}

/// The text of `sql` in `span`.
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
        let again = parser(marked.iter().map(without_place).collect()).statement()?;
        add_texts(&mut kind, again, sql, span);
    }
    Ok(Part::Statement(Statement { kind, span }))
}

/// Adds the original text of views and functions to their statements, since the warehouse stores this text. Also adds a query
/// or body without places: other statements use it, and places in this text would be wrong there.
fn add_texts(kind: &mut StatementKind, again: StatementKind, sql: &str, span: Span) {
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
    /// The end of the statement. It is the place of an error about something missing.
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
                "UNDROP" => self.undrop()?,
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

    /// Returns UNSUPPORTED_FEATURE if the next word is one of `clauses`, which only Databricks has for this statement.
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
        if rest.token == Token::EOF {
            return Ok(());
        }
        self.parser.prev_token();
        let last = self.parser.next_token();
        // A misspelled keyword is parsed as an alias: in `FROM t LIMT 5`, the rest is `5`.
        let hint = match [&rest, &last].into_iter().find_map(misspelled) {
            Some((word, keyword)) => format!("did you mean {keyword} instead of {word}?"),
            None => "statements are separated by `;`".to_owned(),
        };
        let text = format!("unexpected `{}` after the end of the statement", rest.token);
        Err(Error::new(ErrorCode::ParseSyntaxError, text).at(rest.span).with_hint(hint))
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
}

/// The word and the keyword of a query that it is close to. None for a keyword itself.
fn misspelled(token: &TokenWithSpan) -> Option<(String, &'static str)> {
    const KEYWORDS: [&str; 10] =
        ["FROM", "WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "JOIN", "UNION"];
    let word = upper(token);
    let keyword = nearest(&word, KEYWORDS)?;
    (word != keyword).then_some((word, keyword))
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
            None => format!("supported statements: {STATEMENTS}"),
        },
    )
}

#[cfg(test)]
mod tests;
