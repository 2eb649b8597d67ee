//! What statements that change a table's definition say, as the parser hands it on.

use sqlparser::ast::{Expr, Ident};

use super::ast::{Column, Name};
use crate::error::Span;

/// `ALTER TABLE`, and `COMMENT ON`, which is another way to say one of its clauses.
#[derive(Debug)]
pub struct AlterTable {
    pub table: Name,
    pub action: AlterAction,
}

#[derive(Debug)]
pub enum AlterAction {
    AddColumns(Vec<AddColumn>),
    SetProperties(Vec<(String, String)>),
    UnsetProperties { keys: Vec<String>, if_exists: bool },
    AddConstraint(Box<CheckConstraint>),
    DropConstraint { name: Ident, if_exists: bool },
    AlterColumn { path: Vec<Ident>, change: ColumnChange },
    Comment(Option<String>),
}

#[derive(Debug)]
pub struct AddColumn {
    /// The column that it becomes a field of, and the fields on the way.
    pub parents: Vec<Ident>,
    pub column: Column,
    pub position: Option<Position>,
}

#[derive(Debug)]
pub enum ColumnChange {
    /// Without a text the comment is taken away.
    Comment(Option<String>),
    SetNotNull,
    DropNotNull,
    Move(Position),
}

#[derive(Debug)]
pub enum Position {
    First,
    After(Ident),
}

/// `CONSTRAINT name CHECK (condition)`
#[derive(Debug, Clone)]
pub struct CheckConstraint {
    pub name: Ident,
    pub condition: Expr,
    /// The condition as it is written: other engines get to see it.
    pub text: String,
    pub span: Span,
}
