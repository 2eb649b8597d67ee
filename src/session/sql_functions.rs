//! Functions that SQL defines: what CREATE FUNCTION says of one, and the temporary ones of a session, by name.
//!
//! A function is kept as it was written and read anew by each statement that calls it
//! (`statement::query::sql_functions`): what it reads is opened by that statement, in that statement's version.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use sqlparser::ast::{Expr, Ident, Query};

/// A function as CREATE FUNCTION defines it. Its trees have no place in any text: they stand in those of other statements.
#[derive(Debug, Clone)]
pub struct SqlFunction {
    /// One part, in lower case.
    pub name: String,
    /// Where the names in its body are looked up that give no schema.
    pub schema: String,
    pub is_temporary: bool,
    pub signature: Signature,
    pub body: Body,
}

/// What is said of a function beside its body.
#[derive(Debug, Clone, Default)]
pub struct Signature {
    pub parameters: Vec<Parameter>,
    pub returns: Returns,
    pub comment: Option<String>,
    pub is_deterministic: Option<bool>,
    pub data_access: Option<DataAccess>,
}

#[derive(Debug, Clone)]
pub struct Parameter {
    pub name: Ident,
    /// As SQL writes it.
    pub data_type: String,
    pub default: Option<Expr>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub enum Returns {
    /// The type that the body has.
    #[default]
    Inferred,
    Scalar(String),
    /// The columns; none when they are those of the query.
    Table(Vec<ResultColumn>),
}

#[derive(Debug, Clone)]
pub struct ResultColumn {
    pub name: Ident,
    pub data_type: String,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataAccess {
    ContainsSql,
    ReadsSqlData,
}

#[derive(Debug, Clone)]
pub enum Body {
    Expression(Box<Expr>),
    Query(Box<Query>),
}

impl SqlFunction {
    pub fn is_table_function(&self) -> bool {
        matches!(self.signature.returns, Returns::Table(_))
    }

    /// `f`, or `schema.f` when it outlives the session.
    pub fn full_name(&self) -> String {
        if self.is_temporary { self.name.clone() } else { format!("{}.{}", self.schema, self.name) }
    }
}

/// The temporary functions of one session. Names mean the same in any case.
#[derive(Debug, Default)]
pub struct SqlFunctions(RwLock<BTreeMap<String, Arc<SqlFunction>>>);

impl SqlFunctions {
    pub fn get(&self, name: &str) -> Option<Arc<SqlFunction>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    /// In the place of a function of the same name.
    pub fn put(&self, function: SqlFunction) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(function.name.to_lowercase(), Arc::new(function));
    }

    /// Whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&name.to_lowercase()).is_some()
    }

    /// In alphabetical order.
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
