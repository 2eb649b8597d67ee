//! INSERT.

use sqlparser::ast::{Expr, Query, SetExpr, Value};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::{Insert, StatementKind};
use pinsql_base::error::Result;

impl StatementParser<'_> {
    pub(super) fn insert(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let with_schema_evolution = self.with_schema_evolution()?;
        let overwrite = self.parser.parse_keyword(Keyword::OVERWRITE);
        if !overwrite {
            self.keyword(Keyword::INTO)?;
        } else {
            self.optional(Keyword::INTO);
        }
        self.optional(Keyword::TABLE);
        let table = self.name()?;
        let clause = self.parser.peek_token();
        if upper(&clause) == "PARTITION" {
            return Err(unsupported(&format!("INSERT … {}", upper(&clause)), &clause));
        }
        let by_name = self.parser.parse_keywords(&[Keyword::BY, Keyword::NAME]);
        let columns = if !by_name && self.parser.peek_token().token == Token::LParen && !self.at_query() {
            self.expect(&Token::LParen)?;
            let columns = self.comma_separated(Self::identifier)?;
            self.expect(&Token::RParen)?;
            columns
        } else {
            Vec::new()
        };
        let clause = self.parser.peek_token();
        let replace_where = self.replace_where(overwrite)?;
        if with_schema_evolution && replace_where.is_some() {
            return Err(unsupported("INSERT WITH SCHEMA EVOLUTION … REPLACE WHERE", &clause)
                .with_hint("add the columns first: ALTER TABLE … ADD COLUMNS"));
        }
        let mut query = self.query()?;
        put_defaults(&mut query);
        let insert = Insert { table, with_schema_evolution, overwrite, columns, by_name, replace_where, query };
        Ok(StatementKind::Insert(Box::new(insert)))
    }

    /// `REPLACE WHERE condition`, between the columns and the query.
    fn replace_where(&mut self, overwrite: bool) -> Result<Option<Box<Expr>>> {
        let clause = self.parser.peek_token();
        if upper(&clause) != "REPLACE" {
            return Ok(None);
        }
        self.parser.next_token();
        let what = upper(&self.parser.peek_token());
        if overwrite || what != "WHERE" {
            let verb = if overwrite { "OVERWRITE" } else { "INTO" };
            return Err(unsupported(&format!("INSERT {verb} … REPLACE {what}"), &clause)
                .with_hint("INSERT INTO … REPLACE WHERE condition query"));
        }
        self.parser.next_token();
        self.expression().map(|condition| Some(Box::new(condition)))
    }
}

/// Replaces DEFAULT in VALUES by NULL. Tables with other defaults cannot be written.
fn put_defaults(query: &mut Query) {
    let SetExpr::Values(values) = query.body.as_mut() else { return };
    let is_default = |value: &Expr| match value {
        Expr::Identifier(name) => name.quote_style.is_none() && name.value.eq_ignore_ascii_case("DEFAULT"),
        _ => false,
    };
    let written = values.rows.iter_mut().flat_map(|row| row.content.iter_mut());
    written.filter(|value| is_default(value)).for_each(|value| *value = Expr::Value(Value::Null.into()));
}
