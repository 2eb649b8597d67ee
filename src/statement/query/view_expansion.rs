//! Replaces the names of views in a query by the queries of the views.
//!
//! This happens in the AST, before any relation is opened. So a query over a view of a stream is a streaming query, and a
//! statement sees one version of a table, whether it reads the table itself or through a view. Names are resolved by the rules of
//! Spark: WITH hides views, a temporary view hides tables and views of the schema, and a name of two parts never means a
//! temporary view.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{
    FunctionArg, Ident, ObjectName, ObjectNamePart, Query, TableAlias, TableAliasColumnDef, TableFactor,
    TableFunctionArgs, VisitorMut, With,
};

use super::definitions::Definitions;
use crate::catalog::TableName;
use crate::session::Session;
use crate::session::temporary_views::{TemporaryViews, View};
use crate::statement::parser::STREAM_MARKER;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// The largest number of expansions in a query. Views that read each other twice grow exponentially.
const EXPANSIONS_MAX: usize = 1000;

/// The largest nesting of views. Each level nests the query deeper.
const DEPTH_MAX: usize = 100;

/// The views that a query can name: the temporary views, and the loaded views of the warehouse.
#[derive(Debug, Clone, Copy)]
pub(in crate::statement) struct Known<'a> {
    temporary: &'a TemporaryViews,
    definitions: &'a Definitions,
    /// The catalog of all tables, and the schema of names that give none.
    catalog: &'a str,
    schema: &'a str,
}

impl<'a> Known<'a> {
    pub(in crate::statement) fn of(session: &'a Session, definitions: &'a Definitions, schema: &'a str) -> Self {
        Self { temporary: session.views(), definitions, catalog: session.catalog_name(), schema }
    }
}

/// The views that a query reads, directly or through other views.
#[derive(Debug, Default)]
pub(in crate::statement) struct Read {
    pub(in crate::statement) temporary: BTreeSet<String>,
    pub(in crate::statement) permanent: BTreeSet<TableName>,
}

/// Expands all views in `query`, also those in the queries of views. Returns the names of the views.
///
/// Errors: a view reads itself, has a version clause, or the limits of expansions and nesting are reached.
pub(in crate::statement) fn expand(known: Known<'_>, query: &mut Query) -> Result<Read> {
    let mut expansion = Expansion { known, read: Read::default(), expansions: 0, inside: Vec::new() };
    expansion.expand(query)?;
    Ok(expansion.read)
}

struct Expansion<'a> {
    known: Known<'a>,
    read: Read,
    expansions: usize,
    /// The views that enclose the current place, the innermost last.
    inside: Vec<Named>,
}

#[derive(Debug, Clone, PartialEq)]
enum Named {
    Temporary(String),
    Permanent(TableName),
}

impl Expansion<'_> {
    fn expand(&mut self, query: &mut Query) -> Result<()> {
        each_relation(query, |name, factor| {
            let Some((named, view)) = self.find(&name)? else { return Ok(()) };
            let last = name.last().cloned().unwrap_or_else(|| Ident::new(""));
            let span = Span::from(last.span);
            if self.inside.contains(&named) {
                return Err(Error::new(
                    ErrorCode::RecursiveDefinition,
                    format!("the view `{}` reads itself", last.value.to_lowercase()),
                )
                .at(span));
            }
            if matches!(factor, TableFactor::Table { version: Some(_), .. }) {
                return Err(Error::new(
                    ErrorCode::WrongObjectType,
                    format!("`{}` is a view, and a view has no versions", last.value),
                )
                .at(span)
                .with_hint("ask for the version of a table in the view's query"));
            }
            self.expansions += 1;
            if self.expansions > EXPANSIONS_MAX || self.inside.len() == DEPTH_MAX {
                return Err(Error::new(
                    ErrorCode::StatementTooComplex,
                    format!("the query reads views more than {EXPANSIONS_MAX} times, or {DEPTH_MAX} deep"),
                )
                .at(span)
                .with_hint("store the rows of views that are read often in a table"));
            }
            let mut body = view.query.clone();
            match &named {
                Named::Temporary(name) => drop(self.read.temporary.insert(name.clone())),
                Named::Permanent(name) => drop(self.read.permanent.insert(name.clone())),
            }
            self.inside.push(named);
            self.expand(&mut body).map_err(|error| error.at(span))?;
            self.inside.pop();
            put(factor, &last.value.to_lowercase(), &view.columns, body);
            Ok(())
        })
    }

    /// The view with a name. In the query of a temporary view, a name without a schema is a temporary view, see [`qualify`].
    fn find(&self, name: &[Ident]) -> Result<Option<(Named, Arc<View>)>> {
        if let [only] = name {
            if let Some(view) = self.known.temporary.get(&only.value) {
                return Ok(Some((Named::Temporary(only.value.to_lowercase()), view)));
            }
            if let Some(Named::Temporary(outer)) = self.inside.last() {
                return Err(gone(&only.value, outer));
            }
        }
        let parts: Vec<&str> = name.iter().map(|part| part.value.as_str()).collect();
        let Ok(name) = TableName::from_parts(&parts, self.known.catalog, self.known.schema) else { return Ok(None) };
        let view = self.known.definitions.views.get(&name).cloned();
        Ok(view.map(|view| (Named::Permanent(name), view)))
    }
}

fn gone(view: &str, outer: &str) -> Error {
    Error::new(
        ErrorCode::TableOrViewNotFound,
        format!("there is no view `{}`, which the view `{outer}` reads", view.to_lowercase()),
    )
}

/// Replaces the name of a view by its query. Names in the alias have priority over those of the view.
fn put(factor: &mut TableFactor, view: &str, columns: &[Ident], query: Query) {
    let TableFactor::Table { alias, .. } = factor else { return };
    let mut alias = alias.take().unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new(view),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        let named = |name: &Ident| TableAliasColumnDef { name: name.clone(), data_type: None };
        alias.columns = columns.iter().map(named).collect();
    }
    *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None };
}

/// Adds the schema to each name in the query of a temporary view that means a table or a stored view, so that the name means the
/// same in every later statement. The names that stay without a schema are those of temporary views.
pub(in crate::statement) fn qualify(views: &TemporaryViews, schema: &str, query: &mut Query) -> Result<()> {
    qualify_where(query, schema, |name| !views.contains(name))
}

/// The same for a stored definition, where no name is a temporary view.
pub(in crate::statement) fn qualify_all(schema: &str, query: &mut Query) -> Result<()> {
    qualify_where(query, schema, |_| true)
}

fn qualify_where(query: &mut Query, schema: &str, is_table: impl Fn(&str) -> bool) -> Result<()> {
    each_relation(query, |name, factor| {
        if let TableFactor::Table { name: path, args: None, .. } = factor
            && let [only] = name.as_slice()
            && is_table(&only.value)
        {
            let schema = Ident::with_quote('`', schema);
            *path = ObjectName(vec![ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(only.clone())]);
        }
        Ok(())
    })
}

/// Calls `act` with every relation except those that name a WITH query.
pub(super) fn each_relation(
    query: &mut Query,
    act: impl FnMut(Vec<Ident>, &mut TableFactor) -> Result<()>,
) -> Result<()> {
    let mut relations = Relations { act, common: Vec::new(), open: Vec::new() };
    match walk::rewrite(query, &mut relations) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Relations<F> {
    act: F,
    /// The WITH queries in scope, in lower case.
    common: Vec<String>,
    /// For each enclosing query, its WITH clause, which is already visited, and the number of names in scope before it.
    open: Vec<(Option<With>, usize)>,
}

impl<F: FnMut(Vec<Ident>, &mut TableFactor) -> Result<()>> VisitorMut for Relations<F> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let outer = self.common.len();
        let mut with = query.with.take();
        let recursive = with.as_ref().is_some_and(|with| with.recursive);
        for common in with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            let name = common.alias.name.value.to_lowercase();
            // Only a recursive WITH query can name itself. Otherwise its name still has the outer meaning.
            if recursive {
                self.common.push(name.clone());
            }
            walk::rewrite(&mut common.query, self)?;
            self.common.push(name);
        }
        self.open.push((with, outer));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        if let Some((with, outer)) = self.open.pop() {
            query.with = with;
            self.common.truncate(outer);
        }
        ControlFlow::Continue(())
    }

    /// After the children, so that the visitor does not visit the inserted query.
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name: ObjectName(path), args, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if !args.as_ref().is_none_or(is_stream_of_a_name) {
            return ControlFlow::Continue(());
        }
        let name: Option<Vec<Ident>> = path.iter().map(|part| part.as_ident().cloned()).collect();
        let Some(name) = name else { return ControlFlow::Continue(()) };
        if let [only] = name.as_slice()
            && self.common.contains(&only.value.to_lowercase())
        {
            return ControlFlow::Continue(());
        }
        match (self.act)(name, factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// True for `STREAM name`, the other form of reading a view over a stream. Both forms read the stream.
pub(super) fn is_stream_of_a_name(call: &TableFunctionArgs) -> bool {
    match call.args.as_slice() {
        [FunctionArg::Named { name, .. }] => name.value == STREAM_MARKER,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::ast::StatementKind;
    use crate::statement::parser::parse;

    fn query(sql: &str) -> Query {
        let StatementKind::Query(query) = parse(sql).unwrap().remove(0).kind else { panic!("{sql}") };
        *query
    }

    fn views(definitions: &[(&str, &str)]) -> TemporaryViews {
        let views = TemporaryViews::default();
        for (name, sql) in definitions {
            let mut query = query(sql);
            qualify(&views, "s", &mut query).unwrap();
            views.put(name, View { query, columns: Vec::new(), comment: None, column_comments: Vec::new() });
        }
        views
    }

    #[test]
    fn a_view_is_replaced_by_its_query() {
        let views = views(&[("V", "SELECT a FROM t"), ("w", "SELECT * FROM v JOIN t ON TRUE")]);
        let check = |sql: &str, expected: &str| {
            let mut query = query(sql);
            let definitions = Definitions::default();
            expand(Known { temporary: &views, definitions: &definitions, catalog: "pinsql", schema: "s" }, &mut query)
                .unwrap();
            assert_eq!(query.to_string(), expected);
        };
        check("SELECT * FROM v", "SELECT * FROM (SELECT a FROM `s`.t) AS v");
        check("SELECT * FROM V x (b)", "SELECT * FROM (SELECT a FROM `s`.t) x (b)");
        check("SELECT * FROM w", "SELECT * FROM (SELECT * FROM (SELECT a FROM `s`.t) AS v JOIN `s`.t ON true) AS w");
        check("SELECT * FROM s.v, u", "SELECT * FROM s.v, u");
        check(
            "SELECT 1 WHERE EXISTS (SELECT * FROM v)",
            "SELECT 1 WHERE EXISTS (SELECT * FROM (SELECT a FROM `s`.t) AS v)",
        );
        // WITH hides a view, but not from its own query.
        check(
            "WITH v AS (SELECT * FROM v) SELECT * FROM v",
            "WITH v AS (SELECT * FROM (SELECT a FROM `s`.t) AS v) SELECT * FROM v",
        );
        check(
            "SELECT * FROM (WITH v AS (SELECT 1) SELECT * FROM v), v AS x",
            "SELECT * FROM (WITH v AS (SELECT 1) SELECT * FROM v), (SELECT a FROM `s`.t) AS x",
        );
    }

    #[test]
    fn views_that_double_at_each_step_reach_the_limit() {
        let views = views(&[("v0", "SELECT 1 AS a")]);
        for step in 0..30 {
            let query = query(&format!("SELECT x.a FROM v{step} x, v{step} y"));
            let view = View { query, columns: Vec::new(), comment: None, column_comments: Vec::new() };
            views.put(&format!("v{}", step + 1), view);
        }
        let definitions = Definitions::default();
        let known = Known { temporary: &views, definitions: &definitions, catalog: "pinsql", schema: "s" };
        let error = expand(known, &mut query("SELECT * FROM v30")).unwrap_err();
        assert!(error.message.contains("more than 1000"), "{error}");
    }
}
