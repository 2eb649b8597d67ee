//! The statements that pinsql runs, as the parser hands them on.
//!
//! Queries and expressions stay sqlparser's; only the statements around them are ours, because their Databricks forms
//! are. A clause that is accepted has a field here: there is nowhere to put one that would be ignored.

mod rows;

use std::borrow::Cow;

use sqlparser::ast::{Expr, Ident, Query, TableVersion};

pub use self::rows::{Assignment, Delete, Insert, Merge, MergeAction, MergeClause, Target, Update, When};
use crate::catalog::TableName;
use crate::session::Session;
use crate::session::sql_functions::{Body, Signature};
use crate::statement::definitions::{AlterTable, CheckConstraint, CopyInto, ExplainForm};
use crate::statement::query::expectations::Expectation;
use crate::statement::query::identifier_parts;
use pinsql_base::error::{Error, ErrorCode, Result, Span};
use pinsql_delta::REJECTS_SUFFIX;

/// A statement and the stretch of the file it was read from.
#[derive(Debug)]
pub struct Statement {
    pub kind: StatementKind,
    pub span: Span,
}

/// One of the statements of a file, or the place at which it takes in another file.
#[derive(Debug)]
pub enum Part {
    Statement(Statement),
    Source(Source),
}

/// SOURCE: the statements of a file stand in its place. The path is relative to the file that says it.
#[derive(Debug)]
pub struct Source {
    pub path: String,
    pub span: Span,
}

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
    DropTable { name: Name, if_exists: bool },
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

/// A name of one or two parts, as written.
#[derive(Debug, Clone)]
pub struct Name {
    /// Empty when the name is computed.
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
    /// The table it means in `session`, to be written. The tables of rejected records are written by pinsql alone.
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

    /// Its parts, also those of a name that is computed.
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
    /// The same query without a place anywhere in it: what other statements read in the view's stead. Places of this
    /// statement would point into the text of those.
    pub placeless_query: Box<Query>,
    /// The statement, and its query, as they are written.
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
    /// The same without a place anywhere in it, for the statements that call the function.
    pub placeless: FunctionSource,
    /// The statement, and what follows RETURN, as they are written.
    pub text: String,
    pub body_text: String,
    pub body_start: (u64, u64),
}

/// Where a function's meaning stands.
#[derive(Debug, Clone)]
pub enum FunctionSource {
    Sql {
        signature: Signature,
        body: Body,
    },
    /// In a library on this machine, perhaps under another name there.
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

/// DECLARE VARIABLE. There is a type, or a value that has one.
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

#[derive(Debug)]
pub enum Assigned {
    Default,
    Value(Box<Expr>),
}

#[derive(Debug)]
pub struct ViewColumn {
    pub name: Ident,
    pub comment: Option<String>,
}

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
    /// `LIKE other`: the definition is that of another table.
    pub like: Option<Name>,
    pub constraints: Vec<CheckConstraint>,
    /// What the query's rows are expected to be. It belongs to the statement, and is not kept in the table.
    pub expectations: Vec<Expectation>,
    pub query: Option<Box<Query>>,
}

impl CreateTable {
    /// A table of that name about which nothing else is said yet.
    pub(super) fn new(name: Name) -> Self {
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
    /// The table itself; its query is always there.
    pub table: CreateTable,
    /// Whether a table that is there already is carried on.
    pub or_refresh: bool,
    pub expectations: Vec<Expectation>,
}

/// `CREATE [OR REFRESH] SINK`.
#[derive(Debug)]
pub struct CreateSink {
    pub name: Name,
    /// An expression over constants and parameters.
    pub destination: Expr,
    /// By name, each with the place of its name and a constant expression.
    pub options: Vec<(String, Span, Expr)>,
    pub query: Box<Query>,
    /// Whether a sink that is there already is carried on.
    pub or_refresh: bool,
    pub if_not_exists: bool,
}

/// OPTIMIZE.
#[derive(Debug)]
pub struct Optimize {
    pub table: Name,
    /// Over the partition columns.
    pub predicate: Option<Expr>,
    /// Columns, or fields of STRUCTs; empty means that small files are merged and no row is moved.
    pub z_order_by: Vec<Name>,
}

/// VACUUM.
#[derive(Debug)]
pub struct Vacuum {
    pub table: Name,
    /// Without it, the table's own retention.
    pub retain_hours: Option<f64>,
    pub dry_run: bool,
}

/// RESTORE.
#[derive(Debug)]
pub struct Restore {
    pub table: Name,
    pub version: TableVersion,
}
