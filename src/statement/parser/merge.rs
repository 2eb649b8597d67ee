//! MERGE INTO. sqlparser's own parser has neither `UPDATE SET *` nor `INSERT *`.

use sqlparser::ast::{Ident, ObjectNamePart, TableFactor};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::{Merge, MergeAction, MergeClause, StatementKind, When};
use pinsql_base::engine_error::counted;
use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// The name of a source that has no name and no alias.
const SOURCE: &str = "source";

impl StatementParser<'_> {
    pub(super) fn merge(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let with_schema_evolution = self.with_schema_evolution()?;
        self.keyword(Keyword::INTO)?;
        let target = self.target()?;
        self.keyword(Keyword::USING)?;
        let source = self.parser.parse_table_factor().map_err(|error| self.located(error))?;
        let source_alias = self.name_of_source(&source)?;
        self.keyword(Keyword::ON)?;
        let on = self.expression()?;
        let mut clauses: Vec<MergeClause> = Vec::new();
        while self.parser.parse_keyword(Keyword::WHEN) {
            let clause = self.merge_clause()?;
            if clauses.iter().any(|earlier| earlier.when == clause.when && earlier.condition.is_none()) {
                return Err(Error::new(
                    ErrorCode::ConflictingClauses,
                    format!("only the last {} clause can be without a condition", clause.when.name()),
                )
                .at(clause.span)
                .with_hint("the clauses are tried in their order, so this one would never be reached"));
            }
            clauses.push(clause);
        }
        if clauses.is_empty() {
            return Err(self.missing("WHEN MATCHED, WHEN NOT MATCHED or WHEN NOT MATCHED BY SOURCE"));
        }
        Ok(StatementKind::Merge(Box::new(Merge { target, with_schema_evolution, source, source_alias, on, clauses })))
    }

    /// `WITH SCHEMA EVOLUTION`, after MERGE or INSERT.
    pub(super) fn with_schema_evolution(&mut self) -> Result<bool> {
        if !self.parser.parse_keyword(Keyword::WITH) {
            return Ok(false);
        }
        for word in ["SCHEMA", "EVOLUTION"] {
            if upper(&self.parser.peek_token()) != word {
                return Err(self.missing(word));
            }
            self.parser.next_token();
        }
        Ok(true)
    }

    fn name_of_source(&self, source: &TableFactor) -> Result<Ident> {
        Ok(match source {
            TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
                alias.name.clone()
            }
            TableFactor::Table { name, .. } => match name.0.last() {
                Some(ObjectNamePart::Identifier(name)) => name.clone(),
                _ => Ident::new(SOURCE),
            },
            TableFactor::Derived { .. } => Ident::new(SOURCE),
            _ => {
                return Err(self.missing("a table, a view, a table function or a query in brackets"));
            }
        })
    }

    fn merge_clause(&mut self) -> Result<MergeClause> {
        let start = Span::from(self.parser.peek_token().span).start;
        let is_not = self.parser.parse_keyword(Keyword::NOT);
        self.keyword(Keyword::MATCHED)?;
        let by = is_not && self.parser.parse_keyword(Keyword::BY);
        let when = match (is_not, by) {
            (false, _) => When::Matched,
            (true, false) => When::NotMatched,
            (true, true) => {
                let side = self.parser.peek_token();
                match upper(&side).as_str() {
                    "TARGET" => When::NotMatched,
                    "SOURCE" => When::NotMatchedBySource,
                    _ => return Err(self.missing("TARGET or SOURCE")),
                }
            }
        };
        if by {
            self.parser.next_token();
        }
        let condition = match self.parser.parse_keyword(Keyword::AND) {
            true => Some(self.expression()?),
            false => None,
        };
        self.keyword(Keyword::THEN)?;
        let end = Span::from(self.parser.peek_token().span).end;
        let action = self.merge_action(when)?;
        Ok(MergeClause { when, condition, action, span: Span { start, end } })
    }

    fn merge_action(&mut self, when: When) -> Result<MergeAction> {
        let word = self.parser.peek_token();
        let action = match (upper(&word).as_str(), when) {
            ("DELETE", When::Matched | When::NotMatchedBySource) => {
                self.parser.next_token();
                return Ok(MergeAction::Delete);
            }
            ("UPDATE", When::Matched | When::NotMatchedBySource) => {
                self.parser.next_token();
                self.keyword(Keyword::SET)?;
                let star = self.parser.peek_token();
                if self.parser.consume_token(&Token::Mul) {
                    if when == When::NotMatchedBySource {
                        return Err(Error::new(
                            ErrorCode::ParseSyntaxError,
                            "UPDATE SET * needs a row of the source, and here there is none",
                        )
                        .at(star.span)
                        .with_hint("WHEN NOT MATCHED BY SOURCE THEN UPDATE SET column = …"));
                    }
                    MergeAction::UpdateAll
                } else {
                    MergeAction::Update(self.comma_separated(Self::assignment)?)
                }
            }
            ("INSERT", When::NotMatched) => {
                self.parser.next_token();
                if self.parser.consume_token(&Token::Mul) { MergeAction::InsertAll } else { self.merge_insert()? }
            }
            _ => {
                let wanted = match when {
                    When::NotMatched => "INSERT",
                    When::Matched | When::NotMatchedBySource => "UPDATE SET or DELETE",
                };
                return Err(self.missing(&format!("{wanted} after {}", when.name())));
            }
        };
        let next = self.parser.peek_token();
        if upper(&next) == "EXCEPT" {
            return Err(unsupported("* EXCEPT in MERGE", &next).with_hint("list the columns"));
        }
        Ok(action)
    }

    fn merge_insert(&mut self) -> Result<MergeAction> {
        let start = self.parser.peek_token().span;
        self.expect(&Token::LParen)?;
        let columns = self.comma_separated(Self::identifier)?;
        self.expect(&Token::RParen)?;
        self.keyword(Keyword::VALUES)?;
        self.expect(&Token::LParen)?;
        let values = self.comma_separated(Self::value)?;
        self.expect(&Token::RParen)?;
        if columns.len() != values.len() {
            let said =
                format!("INSERT lists {} and {}", counted(columns.len(), "column"), counted(values.len(), "value"));
            return Err(Error::new(ErrorCode::ColumnArityMismatch, said).at(start));
        }
        Ok(MergeAction::Insert { columns, values })
    }
}

impl When {
    /// The words of the clause, for errors.
    pub(in crate::statement) fn name(self) -> &'static str {
        match self {
            Self::Matched => "WHEN MATCHED",
            Self::NotMatched => "WHEN NOT MATCHED",
            Self::NotMatchedBySource => "WHEN NOT MATCHED BY SOURCE",
        }
    }
}
