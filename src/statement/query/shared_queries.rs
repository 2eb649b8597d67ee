//! A WITH query that calls `rand()` or another function without a fixed result, and that is named more than once, is evaluated
//! once. DataFusion plans it again at each name, so each would have rows of its own. Spark evaluates it once.
//!
//! Such a WITH query becomes a relation that keeps its rows. Its query then only reads this relation.
//!
//! Absent: queries of views. A view is evaluated at each name in Spark too.

mod relation;

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::{MemorySchemaProvider, TableProvider};
use datafusion::execution::SessionState;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{Cte, Expr, Query, TableFactor, Visitor, VisitorMut, With};

use self::relation::SharedRows;
use super::inline::Bodies;
use super::sql_functions::RELATIONS_SCHEMA;
use super::variable_values;
use crate::catalog::CATALOG_NAME;
use crate::session::coercion::SparkCoercion;
use crate::session::variables::Values;
use crate::statement::template::{self, quoted};
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The functions whose results differ between two evaluations of a query.
const WITHOUT_FIXED_RESULT: [&str; 8] =
    ["rand", "randn", "random", "uniform", "randstr", "uuid", "shuffle", "monotonically_increasing_id"];

/// The largest number of such queries.
const SHARED_MAX: usize = 100;

/// Writes out these queries in `query`. The relations of the query are in `state`.
pub(super) async fn write_out(
    state: &SessionState,
    variables: &Values,
    bodies: &Bodies,
    query: &mut Query,
) -> Result<()> {
    let mut known = 0;
    loop {
        let mut attempt = query.clone();
        let mut shared = Shared { known, seen: 0, common: Vec::new(), open: Vec::new() };
        match walk::rewrite(&mut attempt, &mut shared) {
            ControlFlow::Continue(()) => {
                *query = attempt;
                return Ok(());
            }
            ControlFlow::Break(_) if known == SHARED_MAX => {
                let said = format!("more than {SHARED_MAX} WITH queries call rand() or similar and are named twice");
                return Err(Error::new(ErrorCode::StatementTooComplex, said));
            }
            ControlFlow::Break(body) => {
                let plan = bodies.put_in(variable_values::plan(state, variables, *body?).await?)?;
                let plan = SparkCoercion::new().coerce(plan)?;
                register(state, &name_of(known), SharedRows::new(plan))?;
                known += 1;
            }
        }
    }
}

fn register(state: &SessionState, name: &str, rows: SharedRows) -> Result<()> {
    let lost = || Error::internal("the catalog of a query was lost on its way");
    let catalog = state.catalog_list().catalog(CATALOG_NAME).ok_or_else(lost)?;
    if catalog.schema(RELATIONS_SCHEMA).is_none() {
        catalog.register_schema(RELATIONS_SCHEMA, Arc::new(MemorySchemaProvider::new()))?;
    }
    let provider: Arc<dyn TableProvider> = Arc::new(rows);
    catalog.schema(RELATIONS_SCHEMA).ok_or_else(lost)?.register_table(name.to_owned(), provider)?;
    Ok(())
}

fn name_of(number: usize) -> String {
    format!("shared query {number}")
}

/// Replaces the shared queries whose relations exist, and stops at the next one.
struct Shared {
    /// The number of relations, and the number of shared queries up to the current place.
    known: usize,
    seen: usize,
    /// The WITH queries in scope, the outermost first, and whether each is of a WITH RECURSIVE.
    common: Vec<(Cte, bool)>,
    /// For each enclosing query, its WITH clause, which is already visited, and the number of WITH queries in scope before it.
    open: Vec<(Option<With>, usize)>,
}

impl VisitorMut for Shared {
    type Break = Result<Box<Query>>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let outer = self.common.len();
        let mut with = query.with.take();
        let is_recursive = with.as_ref().is_some_and(|with| with.recursive);
        let number = with.as_ref().map_or(0, |with| with.cte_tables.len());
        for place in 0..number {
            let Some(with) = &mut with else { break };
            let (earlier, later) = with.cte_tables.split_at_mut(place + 1);
            let Some(common) = earlier.last_mut() else { break };
            if is_recursive {
                self.common.push((common.clone(), true));
            }
            walk::rewrite(&mut common.query, self)?;
            if is_recursive {
                self.common.pop();
            }
            let name = common.alias.name.value.clone();
            let uses = uses(&name, query) + later.iter().map(|later| uses(&name, &later.query)).sum::<usize>();
            if uses > 1 && has_no_fixed_result(&common.query) {
                if self.seen == self.known {
                    return ControlFlow::Break(Ok(Box::new(self.alone(common, is_recursive))));
                }
                let sql = format!("SELECT * FROM {}.{}", quoted(RELATIONS_SCHEMA), quoted(&name_of(self.seen)));
                match template::query(&sql, &[], &[]) {
                    Ok(query) => *common.query = query,
                    Err(error) => return ControlFlow::Break(Err(error)),
                }
                self.seen += 1;
            }
            self.common.push((common.clone(), is_recursive));
        }
        self.open.push((with, outer));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        if let Some((with, outer)) = self.open.pop() {
            query.with = with;
            self.common.truncate(outer);
        }
        ControlFlow::Continue(())
    }
}

impl Shared {
    /// The query of `common`, with the WITH queries that it can name.
    fn alone(&self, common: &Cte, is_recursive: bool) -> Query {
        let recursive = is_recursive || self.common.iter().any(|(_, is_recursive)| *is_recursive);
        let with = |cte_tables| With { with_token: AttachedToken::empty(), recursive, cte_tables };
        let mut tables: Vec<Cte> = Vec::new();
        for (cte, _) in &self.common {
            // An inner one hides an outer one with the same name.
            tables.retain(|known| known.alias.name.value != cte.alias.name.value);
            tables.push(cte.clone());
        }
        if is_recursive {
            tables.push(common.clone());
            let name = quoted(&common.alias.name.value);
            if let Ok(mut query) = template::query(&format!("SELECT * FROM {name}"), &[], &[]) {
                query.with = Some(with(tables));
                return query;
            }
        }
        let mut query = common.query.as_ref().clone();
        let own = query.with.take().map(|with| with.cte_tables).unwrap_or_default();
        tables.retain(|known| !own.iter().any(|own| own.alias.name.value == known.alias.name.value));
        tables.extend(own);
        if !tables.is_empty() {
            query.with = Some(with(tables));
        }
        query
    }
}

/// The number of times that `query` names the relation `name`.
fn uses(name: &str, query: &Query) -> usize {
    let mut uses = Uses { name, number: 0 };
    // Infallible: the visitor never stops.
    let _ = walk::read(query, &mut uses);
    uses.number
}

struct Uses<'a> {
    name: &'a str,
    number: usize,
}

impl Visitor for Uses<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: None, .. } = factor
            && let [part] = name.0.as_slice()
            && part.as_ident().is_some_and(|ident| ident.value.eq_ignore_ascii_case(self.name))
        {
            self.number += 1;
        }
        ControlFlow::Continue(())
    }
}

/// True if the query itself calls such a function. A shared query in it is a relation at this point.
fn has_no_fixed_result(query: &Query) -> bool {
    walk::read(query, &mut FindCall).is_break()
}

struct FindCall;

impl Visitor for FindCall {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let is_one = |expr: &Expr| match expr {
            Expr::Function(function) => {
                let name = function.name.to_string().to_lowercase();
                WITHOUT_FIXED_RESULT.contains(&name.as_str())
            }
            _ => false,
        };
        if is_one(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
