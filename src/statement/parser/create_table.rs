//! CREATE TABLE: the columns, the clauses after them in any order, and the query.

use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::alter_table::CLUSTERING;
use super::constraint::TableConstraint;
use super::{StatementParser, unsupported, upper};
use crate::statement::ast::{Column, CreateTable, StatementKind};
use pinsql_base::error::{Error, ErrorCode, Result, Span};

impl StatementParser<'_> {
    pub(super) fn create_table(&mut self, or_replace: bool) -> Result<StatementKind> {
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let mut table = CreateTable { or_replace, if_not_exists, ..CreateTable::new(self.name()?) };
        if or_replace && if_not_exists {
            return Err(Error::new(
                ErrorCode::ConflictingClauses,
                "OR REPLACE and IF NOT EXISTS contradict each other",
            )
            .at(table.name.span));
        }
        let next = self.parser.peek_token();
        match upper(&next).as_str() {
            "LIKE" => {
                self.parser.next_token();
                table.like = Some(self.name()?);
            }
            "SHALLOW" | "DEEP" | "CLONE" => return Err(clone(&next)),
            _ if next.token == Token::LParen && !self.at_query() => self.table_list(&mut table)?,
            _ => {}
        }
        while self.table_clause(&mut table)? {}
        let next = self.parser.peek_token();
        if matches!(upper(&next).as_str(), "SHALLOW" | "DEEP" | "CLONE") {
            return Err(clone(&next));
        }
        if self.parser.parse_keyword(Keyword::AS) || self.at_query() {
            if table.like.is_some() {
                return Err(
                    Error::new(ErrorCode::ConflictingClauses, "CREATE TABLE … LIKE takes no query").at(next.span)
                );
            }
            table.query = Some(self.query()?);
        }
        Ok(StatementKind::CreateTable(Box::new(table)))
    }

    /// `(column, …, CONSTRAINT …)`
    fn table_list(&mut self, table: &mut CreateTable) -> Result<()> {
        self.expect(&Token::LParen)?;
        loop {
            match self.at_constraint() {
                true => match self.table_constraint()? {
                    TableConstraint::Check(check) => table.constraints.push(check),
                    TableConstraint::Expect(expectation) => table.expectations.push(expectation),
                },
                false => table.columns.push(self.column()?),
            }
            if !self.parser.consume_token(&Token::Comma) {
                break;
            }
        }
        self.expect(&Token::RParen)
    }

    /// One of the clauses between the columns and the query. As in Databricks, they may be in any order. False if there is
    /// none.
    pub(super) fn table_clause(&mut self, table: &mut CreateTable) -> Result<bool> {
        let clause = self.parser.peek_token();
        let word = upper(&clause);
        let is_given = match word.as_str() {
            "PARTITIONED" => !table.partitioned_by.is_empty(),
            "TBLPROPERTIES" => !table.properties.is_empty(),
            "COMMENT" => table.comment.is_some(),
            "LOCATION" => table.location.is_some(),
            _ => false,
        };
        if is_given {
            return Err(
                Error::new(ErrorCode::ConflictingClauses, format!("the clause {word} is given twice")).at(clause.span)
            );
        }
        match word.as_str() {
            "USING" => {
                self.parser.next_token();
                let format = self.identifier()?;
                if !format.value.eq_ignore_ascii_case("delta") {
                    return Err(Error::new(
                        ErrorCode::UnsupportedFeature,
                        format!("USING {} is not supported", format.value.to_uppercase()),
                    )
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
                table.properties = self.properties()?;
            }
            "COMMENT" => {
                self.parser.next_token();
                table.comment = Some(self.literal()?);
            }
            "LOCATION" => {
                self.parser.next_token();
                table.location = Some(self.parser.parse_expr().map_err(|error| self.located(error))?);
            }
            "CLUSTER" => return Err(unsupported("CLUSTER BY on a table", &clause).with_hint(CLUSTERING)),
            "CLUSTERED" => {
                return Err(unsupported("CLUSTERED BY … INTO BUCKETS", &clause)
                    .with_hint("Delta tables have no buckets: PARTITIONED BY, or OPTIMIZE … ZORDER BY"));
            }
            "OPTIONS" | "DEFAULT" | "ROW" | "SKEWED" | "STORED" => {
                return Err(unsupported(&format!("{word} on a table"), &clause));
            }
            "WITH" if upper(&self.parser.peek_nth_token(1)) == "ROW" => {
                return Err(unsupported("WITH ROW FILTER on a table", &clause));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A column of CREATE TABLE: `name type [NOT NULL] [COMMENT 'text']`.
    pub(super) fn column(&mut self) -> Result<Column> {
        let name = self.identifier()?;
        let column = self.column_of(name)?;
        let next = self.parser.peek_token();
        match upper(&next).as_str() {
            "" => Ok(column),
            other => Err(unsupported(&format!("{other} in a column's definition"), &next)),
        }
    }

    /// A column, starting at its type. It ends before FIRST or AFTER, which only an added column can have.
    pub(super) fn column_of(&mut self, name: Ident) -> Result<Column> {
        let (data_type, type_span) = self.data_type()?;
        let mut column = Column { name, data_type, type_span, not_null: false, comment: None };
        loop {
            let clause = self.parser.peek_token();
            let word = upper(&clause);
            if (word == "NOT" && column.not_null) || (word == "COMMENT" && column.comment.is_some()) {
                return Err(Error::new(ErrorCode::ConflictingClauses, format!("{word} is given twice for the column"))
                    .at(clause.span));
            }
            match word.as_str() {
                "NOT" => {
                    self.parser.next_token();
                    self.keyword(Keyword::NULL)?;
                    column.not_null = true;
                }
                "COMMENT" => {
                    self.parser.next_token();
                    column.comment = Some(self.literal()?);
                }
                "" | "FIRST" | "AFTER" => return Ok(column),
                other => {
                    let error = Error::new(
                        ErrorCode::UnsupportedFeature,
                        format!("{other} in a column's definition is not supported"),
                    );
                    return Err(error.at(clause.span).with_hint(why_not(other)));
                }
            }
        }
    }

    /// The text of a column's type: a word, and the content of the brackets after it.
    fn data_type(&mut self) -> Result<(String, Span)> {
        let start = self.parser.peek_token();
        let (mut text, mut depth, mut span) = (String::new(), 0_i32, Span::from(start.span));
        loop {
            let token = self.parser.peek_token();
            let goes_on = match &token.token {
                Token::EOF => false,
                Token::Word(_) => depth > 0 || text.is_empty(),
                // `STRUCT<>`
                Token::Lt | Token::LParen | Token::Neq => true,
                _ => depth > 0,
            };
            if !goes_on {
                break;
            }
            depth += match token.token {
                Token::Lt | Token::LParen => 1,
                Token::Gt | Token::RParen => -1,
                Token::ShiftRight => -2,
                _ => 0,
            };
            match &token.token {
                Token::SingleQuotedString(quoted) | Token::DoubleQuotedString(quoted) => {
                    text.push_str(&format!("'{}'", quoted.replace('\'', "''")));
                }
                other => text.push_str(&other.to_string()),
            }
            text.push(' ');
            span.end = Span::from(token.span).end;
            self.parser.next_token();
        }
        if text.is_empty() {
            return Err(Error::new(ErrorCode::ParseSyntaxError, "a column needs a type")
                .at(start.span)
                .with_hint("for example `ind BIGINT`"));
        }
        Ok((text.trim_end().to_owned(), span))
    }

    /// `('name' = 'value', …)`. A name that is given twice is an error.
    pub(super) fn properties(&mut self) -> Result<Vec<(String, String)>> {
        self.expect(&Token::LParen)?;
        let mut properties: Vec<(String, String)> = Vec::new();
        loop {
            let at = self.parser.peek_token();
            let property = self.property()?;
            if properties.iter().any(|(name, _)| *name == property.0) {
                return Err(Error::new(
                    ErrorCode::InvalidProperty,
                    format!("the table property {} is given twice", property.0),
                )
                .at(at.span));
            }
            properties.push(property);
            if !self.parser.consume_token(&Token::Comma) {
                break;
            }
        }
        self.expect(&Token::RParen)?;
        Ok(properties)
    }

    /// `'name' = 'value'`, `name.part = value` or `'name' 'value'`.
    pub(super) fn property(&mut self) -> Result<(String, String)> {
        let name = self.property_name()?;
        let _ = self.parser.consume_token(&Token::Eq);
        Ok((name, self.property_word()?))
    }

    /// The name of a property: `'a.b'` or `a.b`.
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
            other => {
                Err(Error::new(ErrorCode::ParseSyntaxError, format!("expected a table property, found `{other}`"))
                    .at(token.span)
                    .with_hint("TBLPROPERTIES ('name' = 'value', …)"))
            }
        }
    }
}

fn clone(at: &TokenWithSpan) -> Error {
    Error::new(ErrorCode::UnsupportedFeature, "CLONE is not supported")
        .at(at.span)
        .with_hint("CREATE TABLE t LIKE other takes the definition, CREATE TABLE t AS SELECT * FROM other the rows too")
}

/// The hint for a clause of a column that only Databricks has.
fn why_not(clause: &str) -> &'static str {
    match clause {
        "DEFAULT" => "it needs column defaults (writer version 7), which pinsql does not write",
        "GENERATED" => "generated and identity columns are not written; compute the value in the query",
        "CONSTRAINT" | "CHECK" => "write it after the columns: CONSTRAINT name CHECK (…)",
        "PRIMARY" | "FOREIGN" | "REFERENCES" | "UNIQUE" => {
            "in Databricks a key is only informational, and a Delta table cannot store it"
        }
        "MASK" => "it is kept in Databricks' catalog, which a Delta table on its own does not have",
        "COLLATE" => "texts are compared byte by byte",
        _ => "a column has a name, a type, NOT NULL and a COMMENT",
    }
}
