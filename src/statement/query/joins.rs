//! Joins with USING and NATURAL, as in Spark.
//!
//! The key of the result is the key of the side whose rows all stay: that of the left side for an inner or LEFT join, that of the
//! right side for a RIGHT join, and `coalesce` of both for a FULL join. It comes first in `*`. `l.*` and `r.*` keep the columns
//! of their relation. DataFusion always takes the key of the left side, leaves the key where it is, and takes it out of `r.*`.
//!
//! The pass plans each relation of such a FROM clause to find its columns. Then it writes out the stars, the keys and NATURAL. A
//! join in brackets with an alias becomes a subquery, in which the key is there once.

mod columns;
mod keys;

use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use sqlparser::ast::{Cte, JoinConstraint, Query, Select, TableFactor, TableWithJoins, VisitorMut, With};

use self::columns::{Columns, Probe};
use crate::session::variables::Values;
use crate::statement::template;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// The largest number of relations that the pass plans.
const RELATIONS_MAX: usize = 400;

/// Writes out the joins in `query`. The relations of the query are in `state`.
///
/// Errors: a side has no column of USING or several, or the relations cannot be planned.
pub(super) async fn write_out(state: &SessionState, variables: &Values, query: &mut Query) -> Result<()> {
    let mut known: Vec<Vec<String>> = Vec::new();
    loop {
        let mut attempt = query.clone();
        let mut joins = Joins { known: known.iter(), common: Vec::new(), open: Vec::new() };
        match walk::rewrite(&mut attempt, &mut joins) {
            ControlFlow::Continue(()) => {
                *query = attempt;
                return Ok(());
            }
            ControlFlow::Break(Stop::Failed(error)) => return Err(error),
            ControlFlow::Break(Stop::Unknown(_)) if known.len() == RELATIONS_MAX => {
                let said = format!("the query has more than {RELATIONS_MAX} relations in joins with USING or NATURAL");
                return Err(Error::new(ErrorCode::StatementTooComplex, said));
            }
            ControlFlow::Break(Stop::Unknown(probe)) => known.push(probe.columns(state, variables).await?),
        }
    }
}

/// The reason why the visitor stops.
enum Stop {
    Failed(Error),
    /// The columns of a relation are not known yet.
    Unknown(Probe),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Step<T> = std::result::Result<T, Stop>;

struct Joins<'a> {
    /// The columns of the relations, in the order in which the visitor asks.
    known: std::slice::Iter<'a, Vec<String>>,
    /// The WITH queries in scope, the outermost first, and whether each is of a WITH RECURSIVE.
    common: Vec<(Cte, bool)>,
    /// For each enclosing query, its WITH clause, which is already visited, and the number of WITH queries in scope before it.
    open: Vec<(Option<With>, usize)>,
}

impl VisitorMut for Joins<'_> {
    type Break = Stop;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Stop> {
        let outer = self.common.len();
        let mut with = query.with.take();
        let is_recursive = with.as_ref().is_some_and(|with| with.recursive);
        for common in with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            // A recursive query reads itself, so its joins can only be planned with all of it in place.
            if is_recursive {
                self.common.push((common.clone(), true));
            }
            walk::rewrite(&mut common.query, self)?;
            if is_recursive {
                self.common.pop();
            }
            self.common.push((common.clone(), is_recursive));
        }
        self.open.push((with, outer));
        ControlFlow::Continue(())
    }

    /// After the queries inside, whose stars are written out at this point.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Stop> {
        let written = keys::selects_of(&mut query.body).into_iter().try_for_each(|select| self.nested(select));
        let written = written.and_then(|()| self.query(query));
        if let Some((with, outer)) = self.open.pop() {
            query.with = with;
            self.common.truncate(outer);
        }
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(stop) => ControlFlow::Break(stop),
        }
    }
}

impl Joins<'_> {
    /// Turns each join in brackets that has an alias into a subquery.
    fn nested(&mut self, select: &mut Select) -> Step<()> {
        for tables in &mut select.from {
            self.nested_in(tables)?;
        }
        Ok(())
    }

    fn nested_in(&mut self, tables: &mut TableWithJoins) -> Step<()> {
        for factor in
            std::iter::once(&mut tables.relation).chain(tables.joins.iter_mut().map(|join| &mut join.relation))
        {
            let TableFactor::NestedJoin { table_with_joins, alias } = factor else { continue };
            self.nested_in(table_with_joins)?;
            if alias.is_none() || !has_keys(table_with_joins) {
                continue;
            }
            let mut body = template::query("SELECT * FROM t", &[], &[])?;
            if let [select] = keys::selects_of(&mut body.body).as_mut_slice() {
                select.from = vec![table_with_joins.as_ref().clone()];
            }
            let alias = alias.take();
            self.query(&mut body)?;
            *factor = TableFactor::Derived { lateral: false, subquery: Box::new(body), alias, sample: None };
        }
        Ok(())
    }

    fn query(&mut self, query: &mut Query) -> Step<()> {
        let is_single = matches!(*query.body, sqlparser::ast::SetExpr::Select(_));
        let mut order = query.order_by.take();
        let mut written = Ok(());
        for select in keys::selects_of(&mut query.body) {
            if !select.from.iter().any(has_keys) {
                continue;
            }
            written = self.select(select).and_then(|columns| {
                keys::put(&columns, select, order.as_mut().filter(|_| is_single))?;
                Ok(())
            });
            if written.is_err() {
                break;
            }
        }
        query.order_by = order;
        written
    }

    /// The columns of the FROM clause of `select`. The joins of the clause are written out after that.
    fn select(&mut self, select: &mut Select) -> Step<Columns> {
        let mut all = Columns::default();
        for tables in &mut select.from {
            let columns = self.tables(tables)?;
            all.append(columns);
        }
        Ok(all)
    }

    fn tables(&mut self, tables: &mut TableWithJoins) -> Step<Columns> {
        let mut left = self.factor(&mut tables.relation)?;
        let joins = std::mem::take(&mut tables.joins);
        for mut join in joins {
            let right = self.factor(&mut join.relation)?;
            left = keys::join(tables, join, left, right)?;
        }
        Ok(left)
    }

    fn factor(&mut self, factor: &mut TableFactor) -> Step<Columns> {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
            return self.tables(table_with_joins);
        }
        if let TableFactor::Derived { lateral: true, .. } = factor {
            let said = "LATERAL in a FROM clause with USING or NATURAL is not supported";
            return Err(Error::new(ErrorCode::UnsupportedFeature, said)
                .with_hint("write the condition of the join with ON")
                .into());
        }
        // A generator follows the relation in it, see `generators`: its columns come after those of the relation.
        let input = match factor {
            TableFactor::Pivot { table, value_column, aggregate_functions, .. }
                if columns::is_true(value_column.first()) =>
            {
                let input = self.factor(table)?;
                aggregate_functions.iter_mut().for_each(|call| keys::put_in_expr(&input, &mut call.expr));
                Some(input)
            }
            _ => None,
        };
        let name = columns::name_or_alias(factor, self.known.len());
        let probe = columns::probe(factor, &self.common)?;
        let Some(columns) = self.known.next() else { return Err(Stop::Unknown(probe)) };
        match input {
            Some(mut input) => {
                let own = columns.get(input.width()..).unwrap_or_default();
                input.append(Columns::of_relation(name, own));
                Ok(input)
            }
            None => Ok(Columns::of_relation(name, columns)),
        }
    }
}

/// True if a join of the relation has USING or NATURAL.
pub(super) fn has_keys(tables: &TableWithJoins) -> bool {
    has_keys_inside(&tables.relation)
        || tables
            .joins
            .iter()
            .any(|join| has_keys_inside(&join.relation) || keys::constraint(join).is_some_and(is_by_name))
}

fn has_keys_inside(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => has_keys(table_with_joins),
        TableFactor::Pivot { table, .. } => has_keys_inside(table),
        _ => false,
    }
}

fn is_by_name(constraint: &JoinConstraint) -> bool {
    matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
}

/// The place of a column name, for errors.
fn place(span: sqlparser::tokenizer::Span) -> Span {
    span.into()
}
