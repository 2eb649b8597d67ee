//! ALTER TABLE and COMMENT ON.
//!
//! A form that needs an unsupported table feature is refused with the name of that feature.

use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::constraint::key;
use super::{StatementParser, upper};
use crate::statement::ast::{AddColumn, AlterAction, AlterTable, Column, ColumnChange, Name, Position, StatementKind};
use pinsql_base::error::{Error, ErrorCode, Result};

const COLUMN_MAPPING: &str = "it needs column mapping, which pinsql does not write; \
    CREATE OR REPLACE TABLE t AS SELECT … FROM t gives a table with other columns";
const TYPE_WIDENING: &str = "it needs type widening, which pinsql does not write; \
    CREATE OR REPLACE TABLE t AS SELECT CAST(…) … FROM t gives a table with other types";
const CATALOG: &str = "it is kept in Databricks' catalog, which a Delta table on its own does not have";
const PARTITIONS: &str = "the partitions of a Delta table are those of its rows";
/// The hint for CLUSTER BY.
pub(super) const CLUSTERING: &str =
    "it needs liquid clustering, which pinsql does not write; OPTIMIZE t ZORDER BY (…) orders the rows";

impl StatementParser<'_> {
    /// Parses the text after ALTER TABLE.
    pub(super) fn alter_table(&mut self) -> Result<StatementKind> {
        let table = self.name()?;
        let clause = self.parser.next_token();
        let action = match upper(&clause).as_str() {
            "ADD" => self.alter_add()?,
            "ALTER" | "CHANGE" => self.alter_column()?,
            "DROP" => self.alter_drop()?,
            "SET" => self.alter_set()?,
            "UNSET" => self.alter_unset()?,
            "RENAME" => return Err(self.renaming(&clause)),
            "CLUSTER" => return Err(refused("ALTER TABLE … CLUSTER BY", &clause, CLUSTERING)),
            "RECOVER" | "PARTITION" => {
                return Err(refused(&format!("ALTER TABLE … {}", upper(&clause)), &clause, PARTITIONS));
            }
            "REPLACE" => return Err(refused("ALTER TABLE … REPLACE COLUMNS", &clause, COLUMN_MAPPING)),
            "" => return Err(self.missing("ADD, ALTER COLUMN, DROP CONSTRAINT, SET or UNSET TBLPROPERTIES")),
            other => return Err(refused(&format!("ALTER TABLE … {other}"), &clause, CATALOG)),
        };
        Ok(StatementKind::AlterTable(Box::new(AlterTable { table, action })))
    }

    fn alter_add(&mut self) -> Result<AlterAction> {
        let what = self.parser.peek_token();
        match upper(&what).as_str() {
            "CONSTRAINT" | "CHECK" => {
                return self.check_constraint().map(|check| AlterAction::AddConstraint(Box::new(check)));
            }
            "PRIMARY" | "FOREIGN" => return Err(key(&what)),
            "PARTITION" => return Err(refused("ALTER TABLE … ADD PARTITION", &what, PARTITIONS)),
            "COLUMN" | "COLUMNS" => drop(self.parser.next_token()),
            _ => {}
        }
        let next = self.parser.peek_token();
        if upper(&next) == "IF" {
            return Err(refused("ADD COLUMN IF NOT EXISTS", &next, "DESCRIBE t shows the columns that are there"));
        }
        let bracketed = self.parser.consume_token(&Token::LParen);
        let columns = self.comma_separated(Self::added_column)?;
        if bracketed {
            self.expect(&Token::RParen)?;
        }
        Ok(AlterAction::AddColumns(columns))
    }

    fn added_column(&mut self) -> Result<AddColumn> {
        let first = self.parser.peek_token();
        let mut path = self.column_path()?;
        let name = path.pop().ok_or_else(|| self.missing("the name of a column"))?;
        let column: Column = self.column_of(name)?;
        if column.not_null {
            return Err(refused(
                "NOT NULL on an added column",
                &first,
                "the rows that are there have no value for it; add it, fill it, and ALTER COLUMN … SET NOT NULL",
            ));
        }
        Ok(AddColumn { parents: path, column, position: self.position()? })
    }

    /// `a`, `a.b.c`
    fn column_path(&mut self) -> Result<Vec<Ident>> {
        let mut path = vec![self.identifier()?];
        while self.parser.consume_token(&Token::Period) {
            path.push(self.identifier()?);
        }
        Ok(path)
    }

    fn position(&mut self) -> Result<Option<Position>> {
        if self.parser.parse_keyword(Keyword::FIRST) {
            return Ok(Some(Position::First));
        }
        match self.parser.parse_keyword(Keyword::AFTER) {
            true => Ok(Some(Position::After(self.identifier()?))),
            false => Ok(None),
        }
    }

    fn alter_column(&mut self) -> Result<AlterAction> {
        self.optional(Keyword::COLUMN);
        let path = self.column_path()?;
        let next = self.parser.peek_token();
        let word = upper(&next);
        let change = match word.as_str() {
            "COMMENT" => {
                self.parser.next_token();
                ColumnChange::Comment(Some(self.literal()?))
            }
            "FIRST" | "AFTER" => match self.position()? {
                Some(position) => ColumnChange::Move(position),
                None => return Err(self.missing("FIRST or AFTER")),
            },
            "SET" | "DROP" => {
                self.parser.next_token();
                let what = self.parser.next_token();
                match upper(&what).as_str() {
                    "NOT" => {
                        self.keyword(Keyword::NULL)?;
                        if word == "SET" { ColumnChange::SetNotNull } else { ColumnChange::DropNotNull }
                    }
                    other => return Err(column_clause(&format!("{word} {other}"), &what)),
                }
            }
            "" => return Err(self.missing("COMMENT, SET NOT NULL, DROP NOT NULL, FIRST or AFTER")),
            "TYPE" => return Err(refused("ALTER COLUMN … TYPE", &next, TYPE_WIDENING)),
            // Hive's form: CHANGE COLUMN a a INT.
            other => return Err(column_clause(other, &next)),
        };
        if self.parser.peek_token().token == Token::Comma {
            let next = self.parser.peek_token();
            return Err(refused("ALTER COLUMN of several columns at once", &next, "write a statement for each"));
        }
        Ok(AlterAction::AlterColumn { path, change })
    }

    fn alter_drop(&mut self) -> Result<AlterAction> {
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "CONSTRAINT" => {
                let if_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
                let name = self.identifier()?;
                let next = self.parser.peek_token();
                if matches!(upper(&next).as_str(), "RESTRICT" | "CASCADE") {
                    let said = format!("{} after DROP CONSTRAINT", upper(&next));
                    return Err(refused(&said, &next, "it is about keys, which tables here do not have"));
                }
                Ok(AlterAction::DropConstraint { name, if_exists })
            }
            "COLUMN" | "COLUMNS" => Err(refused("ALTER TABLE … DROP COLUMN", &what, COLUMN_MAPPING)),
            "PRIMARY" | "FOREIGN" => Err(key(&what)),
            "FEATURE" => {
                Err(refused("ALTER TABLE … DROP FEATURE", &what, "the protocol of a table is never downgraded"))
            }
            "PARTITION" => {
                Err(refused("ALTER TABLE … DROP PARTITION", &what, "DELETE FROM t WHERE … deletes the rows of one"))
            }
            "" => Err(self.missing("CONSTRAINT and its name")),
            other => Err(refused(&format!("ALTER TABLE … DROP {other}"), &what, CATALOG)),
        }
    }

    fn alter_set(&mut self) -> Result<AlterAction> {
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "TBLPROPERTIES" => Ok(AlterAction::SetProperties(self.properties()?)),
            "LOCATION" => {
                Err(refused("ALTER TABLE … SET LOCATION", &what, "a table lives in <warehouse>/<schema>/<table>"))
            }
            "" => Err(self.missing("TBLPROPERTIES ('name' = 'value', …)")),
            other => Err(refused(&format!("ALTER TABLE … SET {other}"), &what, CATALOG)),
        }
    }

    fn alter_unset(&mut self) -> Result<AlterAction> {
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "TBLPROPERTIES" => {
                let if_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
                self.expect(&Token::LParen)?;
                let keys = self.comma_separated(Self::property_name)?;
                self.expect(&Token::RParen)?;
                Ok(AlterAction::UnsetProperties { keys, if_exists })
            }
            "" => Err(self.missing("TBLPROPERTIES ('name', …)")),
            other => Err(refused(&format!("ALTER TABLE … UNSET {other}"), &what, CATALOG)),
        }
    }

    fn renaming(&self, clause: &TokenWithSpan) -> Error {
        match upper(&self.parser.peek_token()).as_str() {
            "TO" => refused(
                "ALTER TABLE … RENAME TO",
                clause,
                "a table's name is that of its folder, which cannot be moved in one step: CREATE TABLE new AS SELECT * FROM old",
            ),
            "PARTITION" => refused("ALTER TABLE … RENAME PARTITION", clause, PARTITIONS),
            _ => refused("ALTER TABLE … RENAME COLUMN", clause, COLUMN_MAPPING),
        }
    }

    /// `COMMENT ON { TABLE t | COLUMN t.c } IS { 'text' | NULL }`
    pub(super) fn comment_on(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        self.keyword(Keyword::ON)?;
        let what = self.parser.next_token();
        let mut table = match upper(&what).as_str() {
            "TABLE" | "COLUMN" => self.name()?,
            other => return Err(refused(&format!("COMMENT ON {other}"), &what, CATALOG)),
        };
        self.keyword(Keyword::IS)?;
        let comment = if self.parser.parse_keyword(Keyword::NULL) { None } else { Some(self.literal()?) };
        let action = match upper(&what).as_str() {
            "TABLE" => AlterAction::Comment(comment),
            _ => match table.parts.pop() {
                Some(column) if !table.parts.is_empty() => {
                    AlterAction::AlterColumn { path: vec![column], change: ColumnChange::Comment(comment) }
                }
                _ => return Err(Error::new(ErrorCode::ParseSyntaxError, "expected table.column").at(table.span)),
            },
        };
        let table = Name { parts: table.parts, computed: table.computed, span: table.span };
        Ok(StatementKind::AlterTable(Box::new(AlterTable { table, action })))
    }
}

/// The error for an unsupported clause of ALTER COLUMN.
fn column_clause(clause: &str, at: &TokenWithSpan) -> Error {
    let why = match clause.split(' ').next_back().unwrap_or_default() {
        "DEFAULT" => "it needs column defaults, which pinsql does not write",
        "IDENTITY" => "it needs identity columns, which pinsql does not write",
        "TYPE" => TYPE_WIDENING,
        "MASK" | "TAGS" | "TAG" => CATALOG,
        _ => "a column can get a COMMENT, SET or DROP NOT NULL, and another place (FIRST, AFTER)",
    };
    refused(&format!("ALTER COLUMN … {clause}"), at, why)
}

fn refused(what: &str, at: &TokenWithSpan, why: &str) -> Error {
    if at.token == Token::EOF {
        return Error::new(ErrorCode::ParseSyntaxError, "the statement ends too early");
    }
    Error::new(ErrorCode::UnsupportedFeature, format!("{what} is not supported")).at(at.span).with_hint(why)
}
