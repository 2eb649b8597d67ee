//! SQL functions: the definition that CREATE FUNCTION gives, and the temporary functions of a session.
//!
//! A function is stored as it is written. Each statement that calls the function expands the body again
//! (`statement::query::sql_functions`), so it opens the tables in its own versions.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use sqlparser::ast::{Expr, Ident, Query};

/// A function as CREATE FUNCTION defines it. Its AST has no spans, because it becomes part of the AST of other statements.
#[derive(Debug, Clone)]
pub struct SqlFunction {
    /// One part, in lower case.
    pub name: String,
    /// The schema of the names in the body that give none.
    pub schema: String,
    /// True for a function that ends with the session.
    pub is_temporary: bool,
    /// The parameters and properties.
    pub signature: Signature,
    /// The expression or query after RETURN.
    pub body: Body,
}

/// The definition of a function without its body.
#[derive(Debug, Clone, Default)]
pub struct Signature {
    /// The parameters, in order.
    pub parameters: Vec<Parameter>,
    /// The result.
    pub returns: Returns,
    /// The COMMENT clause.
    pub comment: Option<String>,
    /// The clause DETERMINISTIC or NOT DETERMINISTIC. It is stored and shown, and changes nothing.
    pub is_deterministic: Option<bool>,
    /// The clause about data access. With CONTAINS SQL, the body cannot read tables.
    pub data_access: Option<DataAccess>,
}

/// A parameter of a function.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The name as it is declared.
    pub name: Ident,
    /// The type as SQL writes it.
    pub data_type: String,
    /// The DEFAULT clause.
    pub default: Option<Expr>,
    /// The COMMENT clause.
    pub comment: Option<String>,
}

/// The RETURNS clause.
#[derive(Debug, Clone, Default)]
pub enum Returns {
    /// No clause: the type is that of the body.
    #[default]
    Inferred,
    /// A type as SQL writes it.
    Scalar(String),
    /// A table function. The columns are empty if they are those of the query.
    Table(Vec<ResultColumn>),
}

/// A column of `RETURNS TABLE (…)`.
#[derive(Debug, Clone)]
pub struct ResultColumn {
    /// The name as it is declared.
    pub name: Ident,
    /// The type as SQL writes it.
    pub data_type: String,
    /// The COMMENT clause.
    pub comment: Option<String>,
}

/// The clause CONTAINS SQL or READS SQL DATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataAccess {
    /// CONTAINS SQL.
    ContainsSql,
    /// READS SQL DATA.
    ReadsSqlData,
}

/// The body of a function.
#[derive(Debug, Clone)]
pub enum Body {
    /// `RETURN expression`.
    Expression(Box<Expr>),
    /// `RETURN query`.
    Query(Box<Query>),
}

impl SqlFunction {
    /// True for a function with `RETURNS TABLE`.
    pub fn is_table_function(&self) -> bool {
        matches!(self.signature.returns, Returns::Table(_))
    }

    /// `f` for a temporary function, `schema.f` for a stored one.
    pub fn full_name(&self) -> String {
        if self.is_temporary { self.name.clone() } else { format!("{}.{}", self.schema, self.name) }
    }
}

/// The temporary functions of one session. Names have no case.
#[derive(Debug, Default)]
pub struct SqlFunctions(RwLock<BTreeMap<String, Arc<SqlFunction>>>);

impl SqlFunctions {
    /// The function `name`.
    pub fn get(&self, name: &str) -> Option<Arc<SqlFunction>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    /// Adds a function, or replaces the one with the same name.
    pub fn put(&self, function: SqlFunction) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(function.name.to_lowercase(), Arc::new(function));
    }

    /// Removes a function. Returns whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&name.to_lowercase()).is_some()
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

impl std::fmt::Display for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Expression(expr) => expr.fmt(f),
            Self::Query(query) => query.fmt(f),
        }
    }
}
