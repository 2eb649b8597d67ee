//! The statements that change rows.

use sqlparser::ast::{Expr, Ident, Query, TableFactor};

use super::Name;
use pinsql_base::error::Span;

/// INSERT INTO, INSERT OVERWRITE and INSERT INTO … REPLACE WHERE.
#[derive(Debug)]
pub struct Insert {
    pub table: Name,
    pub with_schema_evolution: bool,
    pub overwrite: bool,
    /// The columns in the order of the query. Empty: all columns of the table.
    pub columns: Vec<Ident>,
    pub by_name: bool,
    /// The condition of REPLACE WHERE: rows for which it is true are deleted.
    pub replace_where: Option<Box<Expr>>,
    pub query: Box<Query>,
}

/// The table of DELETE, UPDATE or MERGE, and its alias in expressions.
#[derive(Debug)]
pub struct Target {
    pub table: Name,
    pub alias: Option<Ident>,
}

/// DELETE FROM.
#[derive(Debug)]
pub struct Delete {
    pub target: Target,
    pub condition: Option<Expr>,
}

/// UPDATE.
#[derive(Debug)]
pub struct Update {
    pub target: Target,
    pub assignments: Vec<Assignment>,
    pub condition: Option<Expr>,
}

/// `column = value`.
#[derive(Debug)]
pub struct Assignment {
    /// As written: `column`, `table.column` or `column.field`.
    pub column: Name,
    /// None for DEFAULT, which is NULL, since tables with other defaults cannot be written.
    pub value: Option<Expr>,
}

/// MERGE INTO.
#[derive(Debug)]
pub struct Merge {
    pub target: Target,
    pub with_schema_evolution: bool,
    pub source: TableFactor,
    /// The name of the source in expressions.
    pub source_alias: Ident,
    pub on: Expr,
    pub clauses: Vec<MergeClause>,
}

/// A WHEN clause of MERGE.
#[derive(Debug)]
pub struct MergeClause {
    pub when: When,
    pub condition: Option<Expr>,
    pub action: MergeAction,
    pub span: Span,
}

/// The rows of a WHEN clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Matched,
    NotMatched,
    NotMatchedBySource,
}

/// The action of a WHEN clause.
#[derive(Debug)]
pub enum MergeAction {
    Delete,
    Update(Vec<Assignment>),
    /// `UPDATE SET *`
    UpdateAll,
    /// The values in the order of the columns. None for DEFAULT.
    Insert {
        columns: Vec<Ident>,
        values: Vec<Option<Expr>>,
    },
    /// `INSERT *`
    InsertAll,
}
