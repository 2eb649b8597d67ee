//! Statements about tables and sinks: CREATE, ALTER TABLE, COPY INTO, and the forms of EXPLAIN.

use sqlparser::ast::{Expr, Ident, Query, SelectItem};

use super::Name;
use crate::statement::query::expectations::Expectation;
use pinsql_base::error::Span;

/// CREATE TABLE.
#[derive(Debug, Clone)]
pub struct CreateTable {
    pub name: Name,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub columns: Vec<Column>,
    pub partitioned_by: Vec<Ident>,
    pub properties: Vec<(String, String)>,
    pub comment: Option<String>,
    /// An expression over constants and parameters, evaluated when the statement runs.
    pub location: Option<Expr>,
    /// `LIKE other`: the table gets the definition of another table.
    pub like: Option<Name>,
    pub constraints: Vec<CheckConstraint>,
    /// EXPECT constraints on the rows of the query. They belong to the statement and are not stored in the table.
    pub expectations: Vec<Expectation>,
    pub query: Option<Box<Query>>,
}

impl CreateTable {
    /// A statement with a name and no clauses.
    pub(in crate::statement) fn new(name: Name) -> Self {
        Self {
            name,
            or_replace: false,
            if_not_exists: false,
            columns: Vec::new(),
            partitioned_by: Vec::new(),
            properties: Vec::new(),
            comment: None,
            location: None,
            like: None,
            constraints: Vec::new(),
            expectations: Vec::new(),
            query: None,
        }
    }
}

/// A column in the list of CREATE TABLE, or an added one.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: Ident,
    /// As written: `STRUCT<a: INT>`.
    pub data_type: String,
    pub type_span: Span,
    pub not_null: bool,
    pub comment: Option<String>,
}

/// `CREATE [OR REFRESH] STREAMING TABLE`.
#[derive(Debug)]
pub struct CreateStreamingTable {
    /// The definition of the table. It always has a query.
    pub table: CreateTable,
    /// True if an existing table continues.
    pub or_refresh: bool,
    pub expectations: Vec<Expectation>,
}

/// `CREATE [OR REFRESH] SINK`.
#[derive(Debug)]
pub struct CreateSink {
    pub name: Name,
    /// An expression over constants and parameters.
    pub destination: Expr,
    /// Each option: its name, the place of the name, and a constant expression.
    pub options: Vec<(String, Span, Expr)>,
    pub query: Box<Query>,
    /// True if an existing sink continues.
    pub or_refresh: bool,
    pub if_not_exists: bool,
}

/// `ALTER TABLE`. `COMMENT ON` is parsed to the same type.
#[derive(Debug)]
pub struct AlterTable {
    pub table: Name,
    pub action: AlterAction,
}

/// The change that ALTER TABLE makes.
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

/// A column or a field of ADD COLUMNS.
#[derive(Debug)]
pub struct AddColumn {
    /// The path of the STRUCT that gets the field. Empty for a column.
    pub parents: Vec<Ident>,
    pub column: Column,
    pub position: Option<Position>,
}

/// The change that ALTER COLUMN makes.
#[derive(Debug)]
pub enum ColumnChange {
    /// None removes the comment.
    Comment(Option<String>),
    SetNotNull,
    DropNotNull,
    Move(Position),
}

/// The new position of a column.
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
    /// The original text of the condition, which Delta stores for other engines.
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
    /// The format as `read_files` names it: json, csv or parquet.
    pub format: &'static str,
    pub format_span: Span,
    pub validate: Option<Validate>,
    pub files: Vec<String>,
    pub pattern: Option<String>,
    pub format_options: Vec<(String, String)>,
    pub merge_schema: bool,
    pub force: bool,
}

/// How COPY INTO matches the columns of the files with those of the table.
#[derive(Debug)]
pub enum CopyColumns {
    ByName,
    ByPosition,
    Listed(Vec<Ident>),
}

/// VALIDATE: how many rows are checked against the table. No rows are written.
#[derive(Debug)]
pub enum Validate {
    All,
    Rows(u64),
}

/// The form of EXPLAIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainForm {
    Plain,
    Extended,
    Formatted,
    Cost,
    /// Runs the query and shows the metrics of each operator.
    Analyze,
}
