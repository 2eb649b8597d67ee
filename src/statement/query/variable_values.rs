//! Replaces session variables in a query by their values.
//!
//! Some places take only constants: the arguments of table functions, the schema and the options of from_json, and LIMIT. There
//! the AST gets the value. In all other places a column has priority over a variable of the same name, and only the planner has
//! the columns. So the query is planned as the subquery of a query with the variables as columns, and these outer columns are
//! then replaced by the values. `session.name` always means the variable.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlan};
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast::{
    Cte, Expr, FunctionArguments, Ident, LimitClause, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    Value, VisitMut, Visitor, VisitorMut,
};

use super::definitions::temporary_name;
use super::inline::Values;
use super::json_calls::is_from_json;
use super::sql_functions::{RELATIONS_SCHEMA, common, lost, put_with, template_query};
use crate::catalog::CATALOG_NAME;
use crate::session::Session;
use crate::session::variables::Values as Kept;
use crate::statement::walk;
use pinsql_base::error::{Error, Result};

/// The relation with the variables as columns. Users write the same name.
const RELATION: &str = "session";

/// The prefix of a WITH query that marks a stored query: the number of its stored variables follows.
pub(super) const KEPT_PREFIX: &str = "variables: ";

/// The name of a WITH query that marks a query without variables.
const WITHOUT: &str = "variables: none";

/// `query` with a mark that makes all variables invisible to it.
pub(in crate::statement) fn without_variables(query: &Query) -> Result<Query> {
    let mut query = query.clone();
    put_with(&mut query, vec![common(WITHOUT, template_query("SELECT 1")?)?])?;
    Ok(query)
}

fn is_without(common: &Cte) -> bool {
    common.alias.name.value == WITHOUT
}

/// Replaces variables by literals in the places that take only constants.
pub(super) fn put_constants(session: &Session, query: &mut Query) {
    let is_without = query.with.iter().flat_map(|with| &with.cte_tables).any(is_without);
    if !session.variables().is_empty() && !is_without {
        // Infallible: the visitor never stops.
        let _ = walk::rewrite(query, &mut Constants(session));
    }
}

struct Constants<'a>(&'a Session);

impl VisitorMut for Constants<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                limit.iter_mut().for_each(|limit| put_in(self.0, limit));
                offset.iter_mut().for_each(|offset| put_in(self.0, &mut offset.value));
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                put_in(self.0, offset);
                put_in(self.0, limit);
            }
            None => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { args: Some(arguments), .. } = factor {
            arguments.args.iter_mut().for_each(|argument| put_in(self.0, argument));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && is_from_json(function)
            && let FunctionArguments::List(list) = &mut function.args
        {
            list.args.iter_mut().skip(1).for_each(|argument| put_in(self.0, argument));
        }
        ControlFlow::Continue(())
    }
}

/// Replaces all variables in `constant`, where no column can be named.
pub(in crate::statement) fn put_in(session: &Session, constant: &mut impl VisitMut) {
    let _ = walk::rewrite_expressions(constant, |expr| {
        if let Some(name) = name_of(expr)
            && let Some(literal) = session.variables().get(name).and_then(|variable| literal(&variable.value))
        {
            *expr = literal;
        }
        ControlFlow::<()>::Continue(())
    });
}

/// The name of the variable that an expression can mean.
fn name_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(path) => {
            let path: Vec<&str> = path.iter().map(|part| part.value.as_str()).collect();
            temporary_name(&path)
        }
        _ => None,
    }
}

/// The value as a literal. None for types without a simple literal; constants do not need them.
fn literal(value: &ScalarValue) -> Option<Expr> {
    let value = match value {
        value if value.is_null() => Value::Null,
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Value::SingleQuotedString(text.clone())
        }
        ScalarValue::Boolean(Some(value)) => Value::Boolean(*value),
        value if value.data_type().is_integer() => Value::Number(value.to_string(), false),
        _ => return None,
    };
    Some(Expr::Value(value.into()))
}

/// Stores the current values for a query that is planned again later, and marks the query with their number.
pub(super) fn keep(session: &Session, query: &mut Query) -> Result<()> {
    if kept_number(query).is_some() || named(query, &session.variables().values()).is_empty() {
        return Ok(());
    }
    let name = format!("{KEPT_PREFIX}{}", session.variables().keep());
    put_with(query, vec![common(&name, template_query("SELECT 1")?)?])
}

fn kept_number(query: &Query) -> Option<usize> {
    query.with.iter().flat_map(|with| &with.cte_tables).find_map(number)
}

fn number(common: &Cte) -> Option<usize> {
    common.alias.name.value.strip_prefix(KEPT_PREFIX)?.parse().ok()
}

/// The variables for a query: the stored ones if the query has a mark, else the current ones. `taken` are the WITH queries that
/// left the query.
pub(super) fn values(session: &Session, taken: &[Cte]) -> Arc<Kept> {
    if taken.iter().any(is_without) {
        return Arc::default();
    }
    let kept = taken.iter().find_map(number).and_then(|number| session.variables().kept(number));
    kept.unwrap_or_else(|| session.variables().values())
}

/// The variables that `query` can mean.
fn named(query: &Query, values: &Kept) -> BTreeSet<String> {
    let mut named = Named { values, found: BTreeSet::new() };
    let _ = walk::read(query, &mut named);
    named.found
}

struct Named<'a> {
    values: &'a Kept,
    found: BTreeSet<String>,
}

impl Visitor for Named<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let name = match expr {
            Expr::CompoundIdentifier(path) => path.first().map(|first| first.value.as_str()),
            _ => None,
        };
        for name in name_of(expr).into_iter().chain(name) {
            let name = name.to_lowercase();
            if self.values.contains_key(&name) {
                self.found.insert(name);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Plans `query`, with `values` for the variables that it names.
pub(super) async fn plan(state: &SessionState, values: &Kept, mut query: Query) -> Result<LogicalPlan> {
    let named = named(&query, values);
    if named.is_empty() {
        let statement = EngineStatement::Statement(Box::new(Statement::Query(Box::new(query))));
        return Ok(state.statement_to_plan(statement).await?);
    }
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(&mut query, &mut Spell(&named));
    let columns = named.iter().filter_map(|name| Some((name, values.get(name)?)));
    let fields: Vec<Field> = columns.clone().map(|(name, it)| Field::new(name, it.data_type.clone(), true)).collect();
    register(state, Schema::new(fields))?;
    let around = format!("SELECT EXISTS (SELECT 1) AS result FROM `{RELATIONS_SCHEMA}`.`{RELATION}` AS {RELATION}");
    let mut around = template_query(&around)?;
    let SetExpr::Select(select) = around.body.as_mut() else { return Err(lost()) };
    match select.projection.first_mut() {
        Some(SelectItem::ExprWithAlias { expr: Expr::Exists { subquery, .. }, .. }) => **subquery = query,
        _ => return Err(lost()),
    }
    let statement = EngineStatement::Statement(Box::new(Statement::Query(Box::new(around))));
    let LogicalPlan::Projection(projection) = state.statement_to_plan(statement).await? else { return Err(lost()) };
    let Some(EngineExpr::Exists(Exists { subquery, .. })) = projection.expr.into_iter().next().map(EngineExpr::unalias)
    else {
        return Err(lost());
    };
    let values = columns
        .map(|(name, variable)| (Column::new(Some(RELATION), name), EngineExpr::Literal(variable.value.clone(), None)));
    Ok(Values::of_outer(values).put_in_subquery(Arc::unwrap_or_clone(subquery.subquery))?)
}

fn register(state: &SessionState, schema: Schema) -> Result<()> {
    let lost = || Error::internal("the catalog of a query was lost on its way");
    let catalog = state.catalog_list().catalog(CATALOG_NAME).ok_or_else(lost)?;
    if catalog.schema(RELATIONS_SCHEMA).is_none() {
        catalog.register_schema(RELATIONS_SCHEMA, Arc::new(MemorySchemaProvider::new()))?;
    }
    let schema_of = catalog.schema(RELATIONS_SCHEMA).ok_or_else(lost)?;
    // Replaces the relation of a function body, which can have other variables.
    let _ = schema_of.deregister_table(RELATION)?;
    schema_of.register_table(RELATION.to_owned(), Arc::new(EmptyTable::new(Arc::new(schema))))?;
    Ok(())
}

/// Writes variables as columns of the relation, and keeps the default names of output columns.
struct Spell<'a>(&'a BTreeSet<String>);

impl VisitorMut for Spell<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr @ Expr::Identifier(_)) = item
                && let Expr::Identifier(name) = &*expr
                && self.0.contains(&name.value.to_lowercase())
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: name.clone() };
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(path) = expr
            && let Some(name) = name_of(&Expr::CompoundIdentifier(path.clone())).map(str::to_lowercase)
            && self.0.contains(&name)
        {
            *path = vec![Ident::new(RELATION), Ident::with_quote('`', name)];
        }
        ControlFlow::Continue(())
    }
}
