//! The syntax tree: the statements as the parser returns them.
//!
//! Queries and expressions are sqlparser's types. The statements around them have types of pinsql, since their Databricks
//! forms differ from sqlparser's. Each accepted clause has a field, so no clause can be ignored.

mod row_changes;
mod tables;

use std::borrow::Cow;

use sqlparser::ast::{Expr, Ident, Query, TableVersion};

pub(crate) use self::row_changes::{Assignment, Delete, Insert, Merge, MergeAction, MergeClause, Target, Update, When};
pub(crate) use self::tables::{
    AddColumn, AlterAction, AlterTable, CheckConstraint, Column, ColumnChange, CopyColumns, CopyInto, CreateSink,
    CreateStreamingTable, CreateTable, ExplainForm, Position, Validate,
};
use crate::catalog::TableName;
use crate::session::Session;
use crate::session::sql_functions::{Body, Signature};
use crate::statement::query::identifier_parts;
use pinsql_base::error::{Error, ErrorCode, Result, Span};
use pinsql_delta::REJECTS_SUFFIX;

/// A statement and its place in the file.
#[derive(Debug)]
pub struct Statement {
    pub kind: StatementKind,
    pub span: Span,
}

/// A statement of a file, or a SOURCE statement that includes another file.
#[derive(Debug)]
pub enum Part {
    Statement(Statement),
    Source(Source),
}

/// SOURCE: includes the statements of another file. The path is relative to the file with the SOURCE statement.
#[derive(Debug)]
pub struct Source {
    pub path: String,
    pub span: Span,
}

/// The statements. [`execute`](super::execute) has the file that runs each.
#[derive(Debug)]
pub enum StatementKind {
    Query(Box<Query>),
    Explain { form: ExplainForm, statement: Box<StatementKind> },
    CreateSchema { name: Name, if_not_exists: bool },
    CreateTable(Box<CreateTable>),
    AlterTable(Box<AlterTable>),
    CreateStreamingTable(Box<CreateStreamingTable>),
    CreateSink(Box<CreateSink>),
    CopyInto(Box<CopyInto>),
    Insert(Box<Insert>),
    Delete(Box<Delete>),
    Update(Box<Update>),
    Merge(Box<Merge>),
    Truncate { table: Name },
    CreateView(Box<CreateView>),
    AlterView(Box<AlterView>),
    CreateFunction(Box<CreateFunction>),
    DropFunction { name: Name, is_temporary: bool, if_exists: bool },
    ShowFunctions { kind: FunctionsShown, schema: Option<Name>, like: Option<String> },
    DescribeFunction { name: Name, extended: bool },
    DropTable { name: Name, if_exists: bool, purge: bool },
    UndropTable { name: Name },
    DropSink { name: Name, if_exists: bool },
    DeclareVariable(Box<DeclareVariable>),
    SetVariable(Box<SetVariable>),
    DropVariable { name: Name, if_exists: bool },
    DropView { name: Name, if_exists: bool },
    DropSchema { name: Name, if_exists: bool },
    Use { name: Name },
    UseCatalog { name: Name },
    ShowCatalogs { like: Option<String> },
    ShowSchemas { like: Option<String> },
    ShowTables { schema: Option<Name>, like: Option<String> },
    ShowSinks { schema: Option<Name>, like: Option<String> },
    ShowViews { schema: Option<Name>, like: Option<String> },
    ShowColumns { table: Name },
    ShowCreateTable { table: Name },
    ShowProperties { table: Name, key: Option<String> },
    Describe { table: Name, extended: bool },
    DescribeHistory { table: Name, limit: Option<u64> },
    DescribeDetail { table: Name },
    DescribeSchema { schema: Name, extended: bool },
    DescribeQuery { query: Box<Query> },
    ShowPartitions { table: Name, values: Vec<(String, String)> },
    Optimize(Box<Optimize>),
    Vacuum(Vacuum),
    Restore(Box<Restore>),
    Set { key: String, value: Option<bool> },
}

/// The name of an object as written: one to three parts, or `IDENTIFIER(text)`.
#[derive(Debug, Clone)]
pub struct Name {
    /// Empty for `IDENTIFIER(text)`.
    pub parts: Vec<Ident>,
    /// The text in `IDENTIFIER(text)`, evaluated when the statement runs.
    pub computed: Option<Box<Expr>>,
    pub span: Span,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<&str> = self.parts.iter().map(|part| part.value.as_str()).collect();
        match &self.computed {
            Some(text) => write!(f, "IDENTIFIER({text})"),
            None => f.write_str(&parts.join(".")),
        }
    }
}

impl Name {
    /// The table that the name means, for a statement that writes it. Only pinsql writes the tables of rejected records.
    pub(super) fn writable_table(&self, session: &Session) -> Result<TableName> {
        let table = self.table(session)?;
        match table.table().strip_suffix(REJECTS_SUFFIX) {
            Some(of) => Err(Error::new(
                ErrorCode::InvalidIdentifier,
                format!("the table {table} holds the rejected records of {of}"),
            )
            .at(self.span)
            .with_hint(format!("choose a name that does not end with {REJECTS_SUFFIX}"))),
            None => Ok(table),
        }
    }

    /// The parts of the name. `IDENTIFIER(text)` is evaluated.
    pub(super) fn resolved(&self, session: &Session) -> Result<Cow<'_, [Ident]>> {
        match &self.computed {
            Some(text) => identifier_parts(session, text).map(Cow::Owned),
            None => Ok(Cow::Borrowed(&self.parts)),
        }
    }

    /// The table it means in `session`.
    pub(super) fn table(&self, session: &Session) -> Result<TableName> {
        let parts = self.resolved(session)?;
        let parts: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        session.table_name(&parts).map_err(|error| error.at(self.span))
    }
}

/// CREATE [TEMPORARY] VIEW.
#[derive(Debug)]
pub struct CreateView {
    pub name: Name,
    pub is_temporary: bool,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub properties: Vec<(String, String)>,
    pub columns: Vec<ViewColumn>,
    pub comment: Option<String>,
    pub query: Box<Query>,
    /// The query without places. Other statements use it in place of the view, and places in this text would be wrong there.
    pub placeless_query: Box<Query>,
    /// The original text of the statement, and that of its query.
    pub text: String,
    pub query_text: String,
    pub query_start: (u64, u64),
}

/// ALTER VIEW … AS.
#[derive(Debug)]
pub struct AlterView {
    pub name: Name,
    pub query: Box<Query>,
    pub query_start: (u64, u64),
    pub query_text: String,
}

/// CREATE [TEMPORARY] FUNCTION.
#[derive(Debug)]
pub struct CreateFunction {
    pub name: Name,
    pub is_temporary: bool,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub source: FunctionSource,
    /// The source without places, for the statements that call the function.
    pub placeless: FunctionSource,
    /// The original text of the statement, and that after RETURN.
    pub text: String,
    pub body_text: String,
    pub body_start: (u64, u64),
}

/// The implementation of a function.
#[derive(Debug, Clone)]
pub enum FunctionSource {
    Sql {
        signature: Signature,
        body: Body,
    },
    /// In a library on this machine. `exported` is its name there, if it differs.
    Library {
        path: String,
        path_span: Span,
        exported: Option<String>,
    },
}

/// Which functions SHOW FUNCTIONS shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionsShown {
    All,
    System,
    User,
}

/// DECLARE VARIABLE. It has a type, a value, or both.
#[derive(Debug)]
pub struct DeclareVariable {
    pub names: Vec<Name>,
    pub or_replace: bool,
    pub data_type: Option<String>,
    pub value: Option<Expr>,
}

/// SET VARIABLE.
#[derive(Debug)]
pub enum SetVariable {
    Each(Vec<(Name, Assigned)>),
    OfQuery { names: Vec<Name>, query: Box<Query> },
}

/// The value of SET VARIABLE.
#[derive(Debug)]
pub enum Assigned {
    Default,
    Value(Box<Expr>),
}

/// A column in the list of CREATE VIEW.
#[derive(Debug)]
pub struct ViewColumn {
    pub name: Ident,
    pub comment: Option<String>,
}

/// OPTIMIZE.
#[derive(Debug)]
pub struct Optimize {
    pub table: Name,
    /// A condition over partition columns.
    pub predicate: Option<Expr>,
    /// Columns or fields of STRUCTs. Empty: small files are merged, and no row changes its order.
    pub z_order_by: Vec<Name>,
}

/// VACUUM.
#[derive(Debug)]
pub struct Vacuum {
    pub table: Name,
    /// Default: the retention of the table.
    pub retain_hours: Option<f64>,
    pub dry_run: bool,
}

/// RESTORE.
#[derive(Debug)]
pub struct Restore {
    pub table: Name,
    pub version: TableVersion,
}
