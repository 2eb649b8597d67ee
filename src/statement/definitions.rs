//! What statements that change a table's definition say, as the parser hands it on.

use sqlparser::ast::{Expr, Ident, SelectItem};

use super::ast::{Column, Name};
use pinsql_base::error::Span;

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

/// `COPY INTO`
#[derive(Debug)]
pub struct CopyInto {
    pub table: Name,
    pub columns: CopyColumns,
    /// An expression over constants and parameters.
    pub path: Expr,
    /// `(SELECT … FROM 'path')`
    pub select: Option<Vec<SelectItem>>,
    /// As `read_files` names it.
    pub format: &'static str,
    pub format_span: Span,
    pub validate: Option<Validate>,
    pub files: Vec<String>,
    pub pattern: Option<String>,
    pub format_options: Vec<(String, String)>,
    pub merge_schema: bool,
    pub force: bool,
}

#[derive(Debug)]
pub enum CopyColumns {
    ByName,
    ByPosition,
    Listed(Vec<Ident>),
}

/// How many rows are held against the table, and none written.
#[derive(Debug)]
pub enum Validate {
    All,
    Rows(u64),
}

/// What EXPLAIN shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainForm {
    Plain,
    Extended,
    Formatted,
    Cost,
    /// Runs the query, and shows what each step did.
    Analyze,
}
