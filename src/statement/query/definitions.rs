//! Loads the stored views and functions that a query names, directly or through other definitions. Each is read once, before the
//! query is rewritten.
//!
//! Names are resolved by the rules of Databricks:
//!
//! - A relation is first a WITH query, then a temporary view, then a view or table of the schema.
//! - A function is first a built-in function, then a temporary function, then a function of the schema.
//! - A name in a stored definition is resolved in the schema of the definition, and never to a temporary object.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use super::relations::is_table_function;
use super::sql_functions::in_body;
use super::view_expansion;
use crate::catalog::{Definition, DefinitionKind, TableName};
use crate::session::Session;
use crate::session::sql_functions::{Body, SqlFunction};
use crate::session::temporary_views::View;
use crate::statement::ast::{CreateFunction, FunctionSource, StatementKind};
use crate::statement::parser::parse;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The number of definitions that are read at the same time.
const LOOKUPS_IN_FLIGHT_MAX: usize = 16;

/// The stored definitions that a query needs.
#[derive(Debug, Default)]
pub(in crate::statement) struct Definitions {
    pub(super) views: BTreeMap<TableName, Arc<View>>,
    functions: BTreeMap<TableName, Arc<SqlFunction>>,
}

impl Definitions {
    /// Loads all definitions that `query` names in the current schema.
    ///
    /// Errors: the warehouse cannot be read, or a definition is damaged.
    pub(in crate::statement) async fn load(session: &Session, query: &Query) -> Result<Self> {
        let mut definitions = Self::default();
        let mut asked = BTreeSet::new();
        let mut wanted = Self::named(session, query, &session.current_schema(), false);
        while !wanted.is_empty() {
            asked.extend(wanted.iter().cloned());
            let found: Vec<_> = futures::stream::iter(wanted)
                .map(|wanted| async {
                    let definition = session.definition(wanted.kind, &wanted.name).await?;
                    Ok::<_, Error>((wanted, definition))
                })
                .buffered(LOOKUPS_IN_FLIGHT_MAX)
                .try_collect()
                .await?;
            wanted = BTreeSet::new();
            for (what, definition) in found {
                let Some(definition) = definition else { continue };
                wanted.extend(definitions.take_in(session, what, &definition)?);
            }
            wanted.retain(|wanted| !asked.contains(wanted));
        }
        definitions.qualify_kept(session);
        Ok(definitions)
    }

    /// Qualifies function names in the stored definitions, where temporary functions do not hide those of the schema.
    fn qualify_kept(&mut self, session: &Session) {
        let (mut views, mut functions) = (std::mem::take(&mut self.views), self.functions.clone());
        for (name, view) in &mut views {
            if let Some(view) = Arc::get_mut(view) {
                self.qualify(session, name.schema(), &mut view.query, true);
            }
        }
        for (name, function) in &mut functions {
            let mut qualified = function.as_ref().clone();
            match &mut qualified.body {
                Body::Expression(expr) => self.qualify(session, name.schema(), expr.as_mut(), true),
                Body::Query(query) => self.qualify(session, name.schema(), query.as_mut(), true),
            }
            *function = Arc::new(qualified);
        }
        (self.views, self.functions) = (views, functions);
    }

    /// Adds a definition. Returns the definitions that it names.
    fn take_in(&mut self, session: &Session, what: Wanted, definition: &Definition) -> Result<BTreeSet<Wanted>> {
        let schema = what.name.schema().to_owned();
        match what.kind {
            DefinitionKind::View => {
                let view = view_of(&what.name, definition)?;
                let named = Self::named(session, &view.query, &schema, true);
                self.views.insert(what.name, Arc::new(view));
                Ok(named)
            }
            DefinitionKind::Function => {
                let function = function_of(&what.name, definition)?;
                let named = Self::named_by_function(session, &function);
                self.functions.insert(what.name, Arc::new(function));
                Ok(named)
            }
        }
    }

    /// Adds the schema to the name of each stored function, so that the name means the same function in every statement.
    pub(in crate::statement) fn qualify_functions(&self, session: &Session, schema: &str, query: &mut Query) {
        self.qualify(session, schema, query, false);
    }

    fn qualify(&self, session: &Session, schema: &str, tree: &mut impl VisitMut, is_kept: bool) {
        // Infallible: the visitor never stops.
        let _ = walk::rewrite(tree, &mut Qualify { definitions: self, session, schema, is_kept });
    }

    /// Finds the SQL function of a call in a query or a definition of `schema`. None if DataFusion resolves the name.
    pub(super) fn function(
        &self,
        session: &Session,
        schema: &str,
        name: &ObjectName,
    ) -> Result<Option<Arc<SqlFunction>>> {
        let Some(parts) = parts_of(name) else { return Ok(None) };
        match parts.as_slice() {
            [only] if session.is_built_in_function(only) => Ok(None),
            [only] if session.library_functions().get(only).is_some() => Ok(None),
            [only] => {
                let permanent = || self.functions.get(&TableName::new(schema, only).ok()?).cloned();
                Ok(session.sql_functions().get(only).or_else(permanent))
            }
            parts => match temporary_name(parts) {
                Some(name) => session.sql_functions().get(name).map(Some).ok_or_else(|| {
                    Error::new(ErrorCode::UnresolvedRoutine, format!("there is no temporary function `{name}`"))
                }),
                None => {
                    let name = TableName::from_parts(parts, session.catalog_name(), schema)?;
                    let known = self.functions.get(&name).cloned();
                    known
                        .map(Some)
                        .ok_or_else(|| Error::new(ErrorCode::UnresolvedRoutine, format!("there is no function {name}")))
                }
            },
        }
    }

    /// The stored definitions that a tree names, directly or through temporary views and functions.
    fn named(session: &Session, tree: &impl Visit, schema: &str, is_kept: bool) -> BTreeSet<Wanted> {
        let mut names = Names::new(session, schema, is_kept);
        let _ = walk::read(tree, &mut names);
        names.wanted
    }

    fn named_by_function(session: &Session, function: &SqlFunction) -> BTreeSet<Wanted> {
        let mut names = Names::new(session, &function.schema, !function.is_temporary);
        names.within(function);
        names.wanted
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    kind: DefinitionKind,
    name: TableName,
}

/// Collects names. Names that no definition can have are ignored: another step refuses them.
struct Names<'a> {
    session: &'a Session,
    schema: String,
    /// True inside a stored definition, which cannot name temporary objects.
    is_kept: bool,
    wanted: BTreeSet<Wanted>,
    /// The temporary views and functions that are already visited.
    seen: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn new(session: &'a Session, schema: &str, is_kept: bool) -> Self {
        let (wanted, seen) = (BTreeSet::new(), BTreeSet::new());
        Self { session, schema: schema.to_owned(), is_kept, wanted, seen }
    }

    /// Collects the names in a function, in the schema of the function.
    fn within(&mut self, function: &SqlFunction) {
        let schema = std::mem::replace(&mut self.schema, function.schema.clone());
        let is_kept = std::mem::replace(&mut self.is_kept, !function.is_temporary);
        // Infallible: the visitor never stops.
        let _ = match &function.body {
            Body::Expression(expr) => walk::read(expr, self),
            Body::Query(query) => walk::read(query, self),
        };
        for default in function.signature.parameters.iter().filter_map(|parameter| parameter.default.as_ref()) {
            let _ = walk::read(default, self);
        }
        (self.schema, self.is_kept) = (schema, is_kept);
    }

    fn want(&mut self, kind: DefinitionKind, parts: &[&str]) {
        if let Ok(name) = TableName::from_parts(parts, self.session.catalog_name(), &self.schema) {
            self.wanted.insert(Wanted { kind, name });
        }
    }

    fn relation(&mut self, name: &ObjectName) {
        let Some(parts) = parts_of(name) else { return };
        if let [only] = parts.as_slice()
            && let Some(view) = self.session.views().get(only)
        {
            if self.seen.insert(format!("view {}", only.to_lowercase())) {
                let _ = walk::read(&view.query, self);
            }
            return;
        }
        self.want(DefinitionKind::View, &parts);
    }

    fn function(&mut self, name: &ObjectName) {
        let Some(parts) = parts_of(name) else { return };
        let temporary = match parts.as_slice() {
            [only] if self.session.is_built_in_function(only) => return,
            _ if self.is_kept => None,
            [only] if self.session.library_functions().get(only).is_some() => return,
            [only] => self.session.sql_functions().get(only),
            parts => temporary_name(parts).and_then(|name| self.session.sql_functions().get(name)),
        };
        let Some(function) = temporary else { return self.want(DefinitionKind::Function, &parts) };
        if self.seen.insert(format!("function {}", function.name)) {
            self.within(&function);
        }
    }
}

impl Visitor for Names<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args, .. } = factor {
            match args {
                Some(call) if view_expansion::is_stream_of_a_name(call) => self.relation(name),
                Some(_) if is_table_function(name) => {}
                Some(_) => self.function(name),
                None => self.relation(name),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.function(&function.name);
        }
        ControlFlow::Continue(())
    }
}

struct Qualify<'a> {
    definitions: &'a Definitions,
    session: &'a Session,
    schema: &'a str,
    /// True inside a stored definition.
    is_kept: bool,
}

impl Qualify<'_> {
    fn name(&self, name: &mut ObjectName) {
        if let [ObjectNamePart::Identifier(only)] = name.0.as_slice()
            && !self.session.is_built_in_function(&only.value)
            && (self.is_kept || self.session.sql_functions().get(&only.value).is_none())
            && TableName::new(self.schema, &only.value).is_ok_and(|name| self.definitions.functions.contains_key(&name))
        {
            name.0.insert(0, ObjectNamePart::Identifier(Ident::with_quote('`', self.schema)));
        }
    }
}

impl VisitorMut for Qualify<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.name(&mut function.name);
        }
        ControlFlow::Continue(())
    }
}

/// Parses the stored view `name`. All its relations get their schemas.
///
/// Errors: the definition is damaged.
pub(in crate::statement) fn view_of(name: &TableName, definition: &Definition) -> Result<View> {
    let Some(StatementKind::CreateView(create)) = parse_one(definition)? else {
        return Err(damaged("view", name));
    };
    let mut query = *create.placeless_query;
    view_expansion::qualify_all(name.schema(), &mut query)?;
    Ok(View {
        query,
        columns: create.columns.iter().map(|column| column.name.clone()).collect(),
        comment: create.comment,
        column_comments: create.columns.into_iter().map(|column| column.comment).collect(),
    })
}

/// Parses the stored function `name`. All its relations get their schemas.
///
/// Errors: the definition is damaged.
pub(in crate::statement) fn function_of(name: &TableName, definition: &Definition) -> Result<SqlFunction> {
    let Some(StatementKind::CreateFunction(create)) = parse_one(definition)? else {
        return Err(damaged("function", name));
    };
    let CreateFunction { placeless: FunctionSource::Sql { signature, body }, .. } = *create else {
        return Err(damaged("function", name));
    };
    let mut body = body;
    in_body(&mut body, |query| view_expansion::qualify_all(name.schema(), query))?;
    Ok(SqlFunction {
        name: name.table().to_owned(),
        schema: name.schema().to_owned(),
        is_temporary: false,
        signature,
        body,
    })
}

fn parse_one(definition: &Definition) -> Result<Option<StatementKind>> {
    let without_place = |mut error: Error| {
        error.span = None;
        error
    };
    Ok(parse(&definition.sql).map_err(without_place)?.into_iter().next().map(|statement| statement.kind))
}

fn damaged(what: &str, name: &TableName) -> Error {
    Error::new(ErrorCode::InvalidDefinition, format!("the definition of the {what} {name} is damaged"))
}

/// The name in `session.name` or `system.session.name`, which mean a temporary function or a variable.
pub(in crate::statement) fn temporary_name<'a>(parts: &[&'a str]) -> Option<&'a str> {
    match parts {
        [session, name] if session.eq_ignore_ascii_case("session") => Some(name),
        [system, session, name] if system.eq_ignore_ascii_case("system") && session.eq_ignore_ascii_case("session") => {
            Some(name)
        }
        _ => None,
    }
}

fn parts_of(name: &ObjectName) -> Option<Vec<&str>> {
    name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.as_str())).collect()
}
