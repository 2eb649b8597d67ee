//! The permanent views and functions that a query names, and those that these name: read from the warehouse before the query
//! is taken apart, each once.
//!
//! Which names those are is Databricks' rule. A relation is a WITH query, a temporary view, and only then a view or a table
//! of a schema; a function is a built-in one, a temporary one, and only then one of the schema: nothing hides a built-in
//! function. In a definition a name means what it means in the schema where the definition is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use super::relations::is_table_function;
use super::sql_functions::in_body;
use super::views;
use crate::catalog::{Definition, DefinitionKind, TableName};
use crate::session::Session;
use crate::session::sql_functions::{Body, SqlFunction};
use crate::session::views::View;
use crate::statement::ast::{CreateFunction, FunctionSource, StatementKind};
use crate::statement::parser::parse;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Definitions read at once.
const LOOKUPS_IN_FLIGHT_MAX: usize = 16;

/// What a query needs of the warehouse's definitions.
#[derive(Debug, Default)]
pub(in crate::statement) struct Definitions {
    pub(super) views: BTreeMap<TableName, Arc<View>>,
    functions: BTreeMap<TableName, Arc<SqlFunction>>,
}

impl Definitions {
    /// All that `query` names, in the session's current schema.
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

    /// In what is kept, nothing temporary hides a function of its schema.
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

    /// Keeps one, and gives what it names itself.
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

    /// Gives each function that is the warehouse's the schema that it is in, so that it means the same function in whatever
    /// statement the query is read.
    pub(in crate::statement) fn qualify_functions(&self, session: &Session, schema: &str, query: &mut Query) {
        self.qualify(session, schema, query, false);
    }

    fn qualify(&self, session: &Session, schema: &str, tree: &mut impl VisitMut, is_kept: bool) {
        // Infallible: the visitor never breaks off.
        let _ = VisitMut::visit(tree, &mut Qualify { definitions: self, session, schema, is_kept });
    }

    /// The function that a call means, which stands in a definition of `schema` or in a query there; none when it is the
    /// engine's to find.
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

    /// What of the warehouse's definitions a tree names, and what temporary ones name that it names.
    fn named(session: &Session, tree: &impl Visit, schema: &str, is_kept: bool) -> BTreeSet<Wanted> {
        let mut names = Names::new(session, schema, is_kept);
        let _ = tree.visit(&mut names);
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

/// Collects names. A name that cannot be one of a definition is somebody else's to refuse.
struct Names<'a> {
    session: &'a Session,
    schema: String,
    /// Whether this stands in a definition of the warehouse, where nothing temporary is meant.
    is_kept: bool,
    wanted: BTreeSet<Wanted>,
    /// The temporary views and functions that were looked into.
    seen: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn new(session: &'a Session, schema: &str, is_kept: bool) -> Self {
        let (wanted, seen) = (BTreeSet::new(), BTreeSet::new());
        Self { session, schema: schema.to_owned(), is_kept, wanted, seen }
    }

    /// What a function names, in the schema where it was made.
    fn within(&mut self, function: &SqlFunction) {
        let schema = std::mem::replace(&mut self.schema, function.schema.clone());
        let is_kept = std::mem::replace(&mut self.is_kept, !function.is_temporary);
        // Infallible: the visitor never breaks off.
        let _ = match &function.body {
            Body::Expression(expr) => expr.visit(self),
            Body::Query(query) => query.visit(self),
        };
        for default in function.signature.parameters.iter().filter_map(|parameter| parameter.default.as_ref()) {
            let _ = default.visit(self);
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
                let _ = Visit::visit(&view.query, self);
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
                Some(call) if views::is_stream_of_a_name(call) => self.relation(name),
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
    /// Whether this stands in a definition of the warehouse.
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

/// The view that `definition` keeps under `name`. Its relations have their schemas.
pub(in crate::statement) fn view_of(name: &TableName, definition: &Definition) -> Result<View> {
    let Some(StatementKind::CreateView(create)) = parse_one(definition)? else {
        return Err(damaged("view", name));
    };
    let mut query = *create.placeless_query;
    views::qualify_all(name.schema(), &mut query)?;
    Ok(View {
        query,
        columns: create.columns.iter().map(|column| column.name.clone()).collect(),
        comment: create.comment,
        column_comments: create.columns.into_iter().map(|column| column.comment).collect(),
    })
}

/// The function that `definition` keeps under `name`.
pub(in crate::statement) fn function_of(name: &TableName, definition: &Definition) -> Result<SqlFunction> {
    let Some(StatementKind::CreateFunction(create)) = parse_one(definition)? else {
        return Err(damaged("function", name));
    };
    let CreateFunction { placeless: FunctionSource::Sql { signature, body }, .. } = *create else {
        return Err(damaged("function", name));
    };
    let mut body = body;
    in_body(&mut body, |query| views::qualify_all(name.schema(), query))?;
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

/// `session.f`, `system.session.f`.
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
