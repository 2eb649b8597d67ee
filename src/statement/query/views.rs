//! Temporary views: where a query names one, the view's query is put in its place.
//!
//! This happens in the text's tree, before anything that the query reads is opened, so that a view over a stream makes the
//! query that reads it a streaming one, and so that a statement sees one version of a table whether it reads it itself or
//! through a view. What stands between the names and the plan (WITH hides views, a view hides tables, names of two parts are
//! tables) is Spark's.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    FunctionArg, Ident, ObjectName, ObjectNamePart, Query, TableAlias, TableAliasColumnDef, TableFactor,
    TableFunctionArgs, VisitMut, VisitorMut, With,
};

use crate::error::{Error, Result, Span};
use crate::session::views::Views;
use crate::statement::parser::STREAM_MARKER;

/// How many views a query may read, each counted as often as it is read: two views that each read another one twice, and so
/// on, would be a query without end.
const EXPANSIONS_MAX: usize = 1000;

/// Puts the queries of the views that `query` names, and of those that these name, in their places. Gives the names of all.
pub fn expand(views: &Views, query: &mut Query) -> Result<BTreeSet<String>> {
    let mut read = BTreeSet::new();
    let mut expansions = 0;
    expand_within(views, query, None, &mut read, &mut expansions)?;
    Ok(read)
}

/// `inside` is the view whose query this is; in there a name that is not qualified is another view's, see [`qualify`].
fn expand_within(
    views: &Views,
    query: &mut Query,
    inside: Option<&str>,
    read: &mut BTreeSet<String>,
    expansions: &mut usize,
) -> Result<()> {
    each_relation(query, |name, factor| {
        let span = Span::from(name.span);
        let Some(view) = views.get(&name.value) else {
            return match inside {
                Some(outer) => Err(gone(&name.value, outer)),
                None => Ok(()),
            };
        };
        if matches!(factor, TableFactor::Table { version: Some(_), .. }) {
            return Err(Error::sql(format!("`{}` is a view, and a view has no versions", name.value))
                .at(span)
                .with_hint("ask for the version of a table in the view's query"));
        }
        *expansions += 1;
        if *expansions > EXPANSIONS_MAX {
            return Err(Error::sql(format!("the query reads views more than {EXPANSIONS_MAX} times"))
                .at(span)
                .with_hint("keep what is read often in a table"));
        }
        let name = name.value.to_lowercase();
        let mut body = view.query.clone();
        expand_within(views, &mut body, Some(&name), read, expansions).map_err(|error| error.at(span))?;
        put(factor, &name, &view.columns, body);
        read.insert(name);
        Ok(())
    })
}

fn gone(view: &str, outer: &str) -> Error {
    Error::sql(format!("there is no view `{}`, which the view `{outer}` reads", view.to_lowercase()))
}

/// Puts `query` where a view is named. What an alias says goes before what the view says.
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

/// Gives each name in a view's query that means a table now the schema it is in now, so that it means the same table in
/// whatever statement the view is read. The names that are left are those of views.
pub fn qualify(views: &Views, schema: &str, query: &mut Query) -> Result<()> {
    each_relation(query, |name, factor| {
        if let TableFactor::Table { name: path, args: None, .. } = factor
            && !views.contains(&name.value)
        {
            let schema = Ident::with_quote('`', schema);
            *path = ObjectName(vec![ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(name)]);
        }
        Ok(())
    })
}

/// Calls `act` with every relation that has a name of one part, unless the name is that of a WITH query.
pub(super) fn each_relation(query: &mut Query, act: impl FnMut(Ident, &mut TableFactor) -> Result<()>) -> Result<()> {
    let mut relations = Relations { act, common: Vec::new(), open: Vec::new() };
    match query.visit(&mut relations) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Relations<F> {
    act: F,
    /// The WITH queries that can be named here, in lower case.
    common: Vec<String>,
    /// For each query around this place, its WITH clause, which has been visited, and how many names were known before it.
    open: Vec<(Option<With>, usize)>,
}

impl<F: FnMut(Ident, &mut TableFactor) -> Result<()>> VisitorMut for Relations<F> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let outer = self.common.len();
        let mut with = query.with.take();
        let recursive = with.as_ref().is_some_and(|with| with.recursive);
        for common in with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            let name = common.alias.name.value.to_lowercase();
            // Only a recursive one can name itself: otherwise its name still means what it meant before.
            if recursive {
                self.common.push(name.clone());
            }
            common.query.visit(self)?;
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

    /// After what is below it, so that the visitor does not walk into what is put in.
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name: ObjectName(path), args, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if !args.as_ref().is_none_or(is_stream_of_a_name) {
            return ControlFlow::Continue(());
        }
        let [ObjectNamePart::Identifier(name)] = path.as_slice() else { return ControlFlow::Continue(()) };
        if self.common.contains(&name.value.to_lowercase()) {
            return ControlFlow::Continue(());
        }
        match (self.act)(name.clone(), factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// `STREAM name`, which is how a view over a stream may be read too. There is nothing to tell apart: reading such a view is
/// reading its stream.
fn is_stream_of_a_name(call: &TableFunctionArgs) -> bool {
    match call.args.as_slice() {
        [FunctionArg::Named { name, .. }] => name.value == STREAM_MARKER,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::views::View;
    use crate::statement::ast::StatementKind;
    use crate::statement::parser::parse;

    fn query(sql: &str) -> Query {
        let StatementKind::Query(query) = parse(sql).unwrap().remove(0).kind else { panic!("{sql}") };
        *query
    }

    fn views(definitions: &[(&str, &str)]) -> Views {
        let views = Views::default();
        for (name, sql) in definitions {
            let mut query = query(sql);
            qualify(&views, "s", &mut query).unwrap();
            views.put(name, View { query, columns: Vec::new(), comment: None, column_comments: Vec::new() });
        }
        views
    }

    #[test]
    fn a_view_stands_for_its_query() {
        let views = views(&[("V", "SELECT a FROM t"), ("w", "SELECT * FROM v JOIN t ON TRUE")]);
        let check = |sql: &str, expected: &str| {
            let mut query = query(sql);
            expand(&views, &mut query).unwrap();
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
    fn views_that_double_at_each_step_come_to_an_end() {
        let views = views(&[("v0", "SELECT 1 AS a")]);
        for step in 0..30 {
            let query = query(&format!("SELECT x.a FROM v{step} x, v{step} y"));
            let view = View { query, columns: Vec::new(), comment: None, column_comments: Vec::new() };
            views.put(&format!("v{}", step + 1), view);
        }
        let error = expand(&views, &mut query("SELECT * FROM v30")).unwrap_err();
        assert!(error.message.contains("more than 1000"), "{error}");
    }
}
