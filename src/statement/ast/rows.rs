//! The statements that change rows.

use sqlparser::ast::{Expr, Ident, Query, TableFactor};

use super::Name;
use pinsql_base::error::Span;

#[derive(Debug)]
pub struct Insert {
    pub table: Name,
    pub with_schema_evolution: bool,
    pub overwrite: bool,
    /// In the order of the query's columns; empty means those of the table.
    pub columns: Vec<Ident>,
    pub by_name: bool,
    /// The rows that the new ones take the place of.
    pub replace_where: Option<Box<Expr>>,
    pub query: Box<Query>,
}

/// The table whose rows a statement changes, as its expressions may call it.
#[derive(Debug)]
pub struct Target {
    pub table: Name,
    pub alias: Option<Ident>,
}

#[derive(Debug)]
pub struct Delete {
    pub target: Target,
    pub condition: Option<Expr>,
}

#[derive(Debug)]
pub struct Update {
    pub target: Target,
    pub assignments: Vec<Assignment>,
    pub condition: Option<Expr>,
}

/// `column = value`.
#[derive(Debug)]
pub struct Assignment {
    /// As written: perhaps the table, the column, perhaps fields in it.
    pub column: Name,
    /// `None` is DEFAULT: NULL, since no column has another default here.
    pub value: Option<Expr>,
}

#[derive(Debug)]
pub struct Merge {
    pub target: Target,
    pub with_schema_evolution: bool,
    pub source: TableFactor,
    /// What expressions call it.
    pub source_alias: Ident,
    pub on: Expr,
    pub clauses: Vec<MergeClause>,
}

#[derive(Debug)]
pub struct MergeClause {
    pub when: When,
    pub condition: Option<Expr>,
    pub action: MergeAction,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Matched,
    NotMatched,
    NotMatchedBySource,
}

#[derive(Debug)]
pub enum MergeAction {
    Delete,
    Update(Vec<Assignment>),
    /// `UPDATE SET *`
    UpdateAll,
    /// The values in the order of the columns, `None` for DEFAULT.
    Insert {
        columns: Vec<Ident>,
        values: Vec<Option<Expr>>,
    },
    /// `INSERT *`
    InsertAll,
}
