//! Refuses forms for which DataFusion has an error without a place or no error: window functions in WHERE, HAVING and GROUP BY, a
//! name that a WITH clause gives twice, and `count(t.*)`, which Spark refuses because it is not `count(*)`.
//!
//! Absent: window functions in a join condition and in the conditions of DELETE and MERGE. The planner refuses them.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Query, Select, Spanned, Visitor,
};
use sqlparser::tokenizer::Span;

use super::outer_names::relations_of;
use crate::statement::walk;
use pinsql_base::engine_error::duplicated_query_name;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Returns an error for the first such form in `query`.
pub(super) fn refuse(query: &Query) -> Result<()> {
    match walk::read(query, &mut Refuse { relations: Vec::new() }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Refuse {
    /// The names of the relations of each SELECT around the place.
    relations: Vec<Vec<String>>,
}

impl Visitor for Refuse {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let tables = query.with.as_ref().map_or(&[][..], |with| &with.cte_tables);
        for (position, table) in tables.iter().enumerate() {
            let name = &table.alias.name;
            if tables[..position].iter().any(|earlier| earlier.alias.name.value.eq_ignore_ascii_case(&name.value)) {
                return ControlFlow::Break(duplicated_query_name(&name.value).at(name.span));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        self.relations.push(relations_of(select));
        let grouped = match &select.group_by {
            GroupByExpr::Expressions(expressions, _) => expressions.as_slice(),
            GroupByExpr::All(_) => &[],
        };
        let filtered = [("WHERE", &select.selection), ("HAVING", &select.having)];
        let filtered = filtered.into_iter().filter_map(|(clause, condition)| Some((clause, condition.as_ref()?)));
        for (clause, expression) in filtered.chain(grouped.iter().map(|expression| ("GROUP BY", expression))) {
            if let ControlFlow::Break(span) = walk::read(expression, &mut Windows { depth: 0 }) {
                let text = format!("a window function is not allowed in {clause}");
                let hint = match clause {
                    "GROUP BY" => "compute it in a subquery",
                    _ => "QUALIFY filters by a window function",
                };
                return ControlFlow::Break(Error::new(ErrorCode::InvalidExpression, text).at(span).with_hint(hint));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> ControlFlow<Error> {
        self.relations.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Error> {
        let Some(name) = counted_star(expression) else { return ControlFlow::Continue(()) };
        // `count(s.*)` of a STRUCT counts its fields.
        let is_relation = self.relations.iter().flatten().any(|relation| relation.eq_ignore_ascii_case(&name.value));
        if !is_relation {
            return ControlFlow::Continue(());
        }
        let text = format!("count({}.*) is not allowed: it is not the number of rows", name.value);
        let hint =
            format!("count(*) counts the rows, count({0}.a, {0}.b) those without a NULL in these columns", name.value);
        ControlFlow::Break(Error::new(ErrorCode::InvalidExpression, text).at(name.span).with_hint(hint))
    }
}

/// The name in `count(name.*)`.
fn counted_star(expression: &Expr) -> Option<&Ident> {
    let Expr::Function(function) = expression else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name))] = list.args.as_slice() else { return None };
    let [part] = name.0.as_slice() else { return None };
    function.name.to_string().eq_ignore_ascii_case("count").then(|| part.as_ident())?
}

/// Finds a window function outside the subqueries of an expression.
struct Windows {
    depth: usize,
}

impl Visitor for Windows {
    type Break = Span;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Span> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Span> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Span> {
        match expression {
            Expr::Function(function) if function.over.is_some() && self.depth == 0 => {
                ControlFlow::Break(function.name.span())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::ast::StatementKind;
    use crate::statement::parser::parse;

    fn refused(sql: &str) -> Option<Error> {
        let StatementKind::Query(query) = parse(sql).unwrap().remove(0).kind else { panic!("{sql}") };
        refuse(&query).err()
    }

    #[test]
    fn window_functions_are_refused_where_rows_are_not_yet_complete() {
        for (sql, text, column) in [
            ("SELECT a FROM t WHERE rank() OVER (ORDER BY a) = 1", "a window function is not allowed in WHERE", 23),
            ("SELECT a FROM t GROUP BY a HAVING rank() OVER () = 1", "a window function is not allowed in HAVING", 35),
            ("SELECT 1 FROM t GROUP BY 1 + rank() OVER ()", "a window function is not allowed in GROUP BY", 30),
            (
                "WITH a AS (SELECT 1), b AS (SELECT 2), A AS (SELECT 3) SELECT 4",
                "two queries of WITH are named `A`",
                40,
            ),
            ("SELECT count(t.*) FROM s.t", "count(t.*) is not allowed: it is not the number of rows", 14),
        ] {
            let error = refused(sql).unwrap();
            assert_eq!((error.message.as_str(), error.span.unwrap().start), (text, (1, column)), "{sql}");
        }
        for sql in [
            "SELECT rank() OVER () FROM t QUALIFY rank() OVER () = 1",
            "SELECT a FROM t WHERE a IN (SELECT rank() OVER () FROM u)",
            "WITH a AS (WITH a AS (SELECT 1) SELECT * FROM a) SELECT * FROM a",
            "SELECT count(s.*), count(t.*, t.*), sum(t.a) FROM t",
        ] {
            assert!(refused(sql).is_none(), "{sql}");
        }
    }
}
