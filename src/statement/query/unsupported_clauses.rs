//! Refuses clauses that sqlparser accepts and DataFusion ignores.
//!
//! sqlparser accepts the clauses of twenty dialects, and DataFusion silently ignores some of them: `t BEFORE (…)` gives the
//! current rows, and `TABLESAMPLE` gives all rows. The code below names every field of the nodes, so a new clause in a new
//! sqlparser is a compile error until it is handled.

use std::ops::ControlFlow;

use sqlparser::ast::{
    GroupByExpr, Join, JoinOperator, Query, Select, SelectFlavor, SetExpr, SetOperator, SetQuantifier, Spanned,
    TableFactor, TableVersion, Top, TopQuantity, Visitor,
};

use crate::session::is_generator;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Returns an error for the first clause in `query` that DataFusion would ignore.
pub(in crate::statement) fn refuse_ignored(query: &Query) -> Result<()> {
    match walk::read(query, &mut Refuse) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Refuse;

fn check(span: sqlparser::tokenizer::Span, clauses: &[(bool, &str)]) -> ControlFlow<Error> {
    match clauses.iter().find(|(present, _)| *present) {
        Some((_, clause)) => {
            ControlFlow::Break(Error::new(ErrorCode::UnsupportedFeature, format!("{clause} is not supported")).at(span))
        }
        None => ControlFlow::Continue(()),
    }
}

impl Visitor for Refuse {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let Query {
            with: _,
            body,
            order_by: _,
            limit_clause: _,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        check(
            query.span(),
            &[
                (fetch.is_some(), "FETCH"),
                (counts_rows_of_sets(body), "EXCEPT ALL and INTERSECT ALL"),
                (is_table(body), "`TABLE name` in the place of SELECT * FROM name"),
                (!locks.is_empty(), "FOR UPDATE"),
                (for_clause.is_some(), "FOR XML"),
                (settings.is_some(), "SETTINGS"),
                (format_clause.is_some(), "FORMAT"),
                (!pipe_operators.is_empty(), "the pipe operator |>"),
            ],
        )
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct: _,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection: _,
            exclude,
            into,
            from,
            lateral_views: _,
            prewhere,
            selection: _,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having: _,
            named_window: _,
            qualify: _,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        if let Some(top) = top {
            return ControlFlow::Break(top_refused(top).at(select.span()));
        }
        check(
            select.span(),
            &[
                (has_modifiers(group_by), "GROUP BY … WITH ROLLUP, CUBE or TOTALS"),
                (!optimizer_hints.is_empty(), "an optimizer hint"),
                (select_modifiers.is_some(), "a modifier of SELECT"),
                (exclude.is_some(), "SELECT … EXCLUDE"),
                (into.is_some(), "SELECT … INTO"),
                (prewhere.is_some(), "PREWHERE"),
                (!connect_by.is_empty(), "CONNECT BY"),
                (!cluster_by.is_empty(), "CLUSTER BY"),
                (!sort_by.is_empty(), "SORT BY"),
                (!distribute_by.is_empty(), "DISTRIBUTE BY"),
                (from.iter().flat_map(|from| &from.joins).any(is_other_join), "this kind of JOIN"),
                (value_table_mode.is_some(), "SELECT AS STRUCT"),
                (matches!(flavor, SelectFlavor::FromFirst | SelectFlavor::FromFirstNoSelect), "FROM before SELECT"),
            ],
        )
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        match factor {
            TableFactor::Table {
                name,
                alias: _,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => check(
                name.span(),
                &[
                    (
                        matches!(version, Some(TableVersion::Function(_) | TableVersion::Changes { .. })),
                        "AT, BEFORE or CHANGES behind a table",
                    ),
                    (version.is_some() && args.is_some(), "a version of a table function"),
                    (sample.is_some(), "TABLESAMPLE"),
                    (!with_hints.is_empty() || !index_hints.is_empty(), "a hint on a table"),
                    (*with_ordinality, "WITH ORDINALITY"),
                    (!partitions.is_empty(), "PARTITION in a query"),
                    (json_path.is_some(), "a path into a table"),
                    (args.as_ref().is_some_and(|args| args.settings.is_some()), "SETTINGS"),
                ],
            ),
            TableFactor::Derived { lateral: _, subquery: _, alias: _, sample } => {
                check(factor.span(), &[(sample.is_some(), "TABLESAMPLE")])
            }
            TableFactor::Pivot { .. } => check(factor.span(), &[(true, "PIVOT")]),
            TableFactor::Unpivot { .. } => check(factor.span(), &[(true, "UNPIVOT")]),
            TableFactor::NestedJoin { .. } | TableFactor::UNNEST { .. } => ControlFlow::Continue(()),
            TableFactor::Function { lateral: true, name, args: _, with_ordinality: false, alias: _ }
                if is_generator(&name.to_string()) =>
            {
                ControlFlow::Continue(())
            }
            other => check(other.span(), &[(true, "this kind of relation")]),
        }
    }
}

/// `TOP 5` of SQL Server.
fn top_refused(top: &Top) -> Error {
    let count = match &top.quantity {
        Some(TopQuantity::Constant(count)) => count.to_string(),
        Some(TopQuantity::Expr(count)) => count.to_string(),
        None => "n".to_owned(),
    };
    Error::new(ErrorCode::UnsupportedFeature, "TOP is not supported")
        .with_hint(format!("write LIMIT {count} at the end of the query"))
}

/// `GROUP BY a WITH ROLLUP`. DataFusion supports only `GROUP BY ROLLUP (a)`.
fn has_modifiers(group_by: &GroupByExpr) -> bool {
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = group_by;
    !modifiers.is_empty()
}

/// `EXCEPT ALL` and `INTERSECT ALL` count equal rows. DataFusion only checks whether there is one.
fn counts_rows_of_sets(body: &SetExpr) -> bool {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return false };
    let is_all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
    (is_all && *op != SetOperator::Union) || counts_rows_of_sets(left) || counts_rows_of_sets(right)
}

fn is_table(body: &SetExpr) -> bool {
    match body {
        SetExpr::Table(_) => true,
        SetExpr::SetOperation { left, right, .. } => is_table(left) || is_table(right),
        _ => false,
    }
}

/// A join that Databricks does not have.
fn is_other_join(join: &Join) -> bool {
    matches!(
        join.join_operator,
        JoinOperator::CrossApply
            | JoinOperator::OuterApply
            | JoinOperator::AsOf { .. }
            | JoinOperator::StraightJoin(_)
            | JoinOperator::ArrayJoin
            | JoinOperator::LeftArrayJoin
            | JoinOperator::InnerArrayJoin
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::ast::StatementKind;
    use crate::statement::parser::parse;

    #[test]
    fn ignored_clauses_are_refused_by_name() {
        for (sql, clause) in [
            ("SELECT * FROM t BEFORE (STATEMENT => 'x')", "AT, BEFORE or CHANGES behind a table"),
            ("SELECT * FROM range VERSION AS OF 3 (5)", "a version of a table function"),
            ("SELECT * FROM t TABLESAMPLE (10 PERCENT)", "TABLESAMPLE"),
            ("SELECT * FROM (SELECT 1 FROM t TABLESAMPLE (10 ROWS))", "TABLESAMPLE"),
            ("SELECT a FROM t SORT BY a", "SORT BY"),
            ("SELECT a FROM t EXCEPT ALL SELECT 1", "EXCEPT ALL and INTERSECT ALL"),
            ("SELECT a FROM t UNION ALL (SELECT 1 INTERSECT ALL SELECT 2)", "EXCEPT ALL and INTERSECT ALL"),
            ("SELECT a FROM t DISTRIBUTE BY a", "DISTRIBUTE BY"),
            ("SELECT a FROM t ASOF JOIN u MATCH_CONDITION (t.a > u.a)", "this kind of JOIN"),
            ("SELECT a FROM t FOR UPDATE", "FOR UPDATE"),
            ("SELECT * FROM t PIVOT (count(a) FOR b IN ('x'))", "PIVOT"),
            ("SELECT TOP 5 a FROM t", "TOP"),
            ("SELECT a INTO u FROM t", "SELECT … INTO"),
            ("SELECT a FROM t GROUP BY a WITH ROLLUP", "GROUP BY … WITH ROLLUP, CUBE or TOTALS"),
        ] {
            let StatementKind::Query(query) = parse(sql).unwrap().remove(0).kind else { panic!("{sql}") };
            let error = refuse_ignored(&query).unwrap_err();
            assert_eq!(error.message, format!("{clause} is not supported"), "{sql}");
            assert!(error.span.is_some(), "{sql}");
        }
    }
}
