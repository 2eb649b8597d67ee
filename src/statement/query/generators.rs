//! Rewrites generators (`explode` and similar functions) into the one form that `session::lateral` plans.
//!
//! - `LATERAL VIEW [OUTER] explode(x) v AS a` follows all of FROM.
//! - `LATERAL explode(x)` follows the relations on its left.
//! - `FROM explode(x)` follows no relation.
//! - `SELECT explode(x)` also follows all of FROM, under a name that SQL cannot write, so WHERE cannot use its columns.
//!   If the SELECT groups, or the arguments have aggregates or window functions, the grouped rows become FROM first. Each of
//!   several generators follows the one before.
//!
//! A generator inside an expression is an error, as in Spark.

mod from;
mod stars;

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, ObjectName, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Spanned, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins, VisitorMut, WildcardAdditionalOptions,
};

use self::from::{as_one, lateral_view, with_lateral_functions};
use super::column_names::name_of;
use crate::session::is_generator;
use crate::session::lateral::Generated;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The name of a generator of a select list and of its columns. SQL cannot write it.
const SELECTED: &str = "generated";

/// The name of the grouped rows under a generator.
const GROUPED: &str = "grouped";

/// Rewrites every generator in `query`. `is_aggregate` returns true for the names of aggregate functions.
///
/// Errors: a generator is in a place where none is allowed.
pub(super) fn write_out(query: &mut Query, is_aggregate: &dyn Fn(&str) -> bool) -> Result<()> {
    match walk::rewrite(query, &mut Generators { is_aggregate }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => refuse_others(query),
    }
}

struct Generators<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
}

impl VisitorMut for Generators<'_> {
    type Break = Error;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        match self.rewrite(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Generators<'_> {
    fn rewrite(&self, select: &mut Select) -> Result<()> {
        let from = std::mem::take(&mut select.from);
        select.from = with_lateral_functions(from)?;
        for view in std::mem::take(&mut select.lateral_views) {
            let input = as_one(std::mem::take(&mut select.from));
            select.from = vec![plain(lateral_view(view, input)?)];
        }
        self.selected(select)
    }

    /// Rewrites the generators of the select list, in order.
    fn selected(&self, select: &mut Select) -> Result<()> {
        let call_of = |item: &SelectItem| item_expr(item).and_then(generator_call).cloned();
        let calls: Vec<Function> = select.projection.iter().filter_map(call_of).collect();
        if calls.is_empty() {
            return Ok(());
        }
        let arguments = match calls.iter().any(|call| self.is_grouped(select, call)) {
            true => group_first(select)?,
            false => {
                stars::write_out(select)?;
                calls
            }
        };
        let mut from = std::mem::take(&mut select.from);
        let mut calls = arguments.into_iter();
        let mut items = Vec::new();
        for item in std::mem::take(&mut select.projection) {
            let Some(call) = call_of(&item).and_then(|_| calls.next()) else {
                items.push(item);
                continue;
            };
            let number = calls.len();
            let hidden = |column: usize| Ident::with_quote('`', format!("{SELECTED} {number} {column}"));
            let names = match item {
                SelectItem::ExprWithAlias { alias, .. } => vec![alias],
                SelectItem::ExprWithAliases { aliases, .. } => aliases,
                _ => Vec::new(),
            };
            let is_struct = names.is_empty();
            let columns: Vec<Ident> = (0..names.len().max(1)).map(hidden).collect();
            let (keeps_input, alias) = (!from.is_empty(), alias(&format!("{SELECTED} {number}"), &columns));
            let input = as_one(from);
            let generated = Generated { input, keeps_input, call, is_outer: false, is_struct, alias };
            from = vec![plain(generated.into_factor())];
            match is_struct {
                // `struct_star` expands it.
                true => items.push(star_of(hidden(0))),
                false => {
                    items.extend(columns.into_iter().zip(names).map(|(column, name)| SelectItem::ExprWithAlias {
                        expr: Expr::Identifier(column),
                        alias: name,
                    }))
                }
            }
        }
        select.projection = items;
        select.from = from;
        Ok(())
    }

    /// True if the generator runs over the grouped rows of the SELECT.
    fn is_grouped(&self, select: &Select, call: &Function) -> bool {
        let groups = match &select.group_by {
            GroupByExpr::All(_) => true,
            GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
        };
        let is_computed = |function: &Function| {
            function.over.is_some() || (self.is_aggregate)(&function.name.to_string().to_lowercase())
        };
        let found = walk::expressions(call, |expr| match expr {
            Expr::Function(function) if is_computed(function) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        groups || select.having.is_some() || found.is_break()
    }
}

/// Makes the grouped rows the FROM of `select`, with a column for each item of the select list and each argument of a generator.
/// Returns the calls of the generators over these columns.
fn group_first(select: &mut Select) -> Result<Vec<Function>> {
    let mut inner = select.clone();
    inner.distinct = None;
    inner.projection.clear();
    let (mut outer, mut calls) = (Vec::new(), Vec::new());
    for item in &select.projection {
        if let Some(call) = item_expr(item).and_then(generator_call) {
            outer.push(item.clone());
            calls.push(with_columns(call.clone(), &mut inner.projection));
            continue;
        }
        let (expr, name) = match item {
            SelectItem::ExprWithAlias { expr, alias } => (expr, alias.clone()),
            SelectItem::UnnamedExpr(expr) => (expr, Ident::with_quote('`', name_of(expr))),
            other => {
                return Err(Error::new(
                    ErrorCode::UnsupportedFeature,
                    "`*` is not allowed next to a generator in a SELECT that groups",
                )
                .at(other.span())
                .with_hint("name the columns"));
            }
        };
        inner.projection.push(SelectItem::ExprWithAlias { expr: expr.clone(), alias: name.clone() });
        outer.push(SelectItem::ExprWithAlias { expr: Expr::Identifier(name.clone()), alias: name });
    }
    select.projection = outer;
    select.selection = None;
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    select.having = None;
    select.qualify = None;
    select.named_window = Vec::new();
    let subquery = Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(inner))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    };
    select.from = vec![plain(TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subquery),
        alias: Some(alias(GROUPED, &[])),
        sample: None,
    })];
    Ok(calls)
}

/// Adds each argument that is not a literal to `items` as a column. Returns the call over these columns.
fn with_columns(mut call: Function, items: &mut Vec<SelectItem>) -> Function {
    if let FunctionArguments::List(list) = &mut call.args {
        for argument in &mut list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument
                && !matches!(expr, Expr::Value(_))
            {
                let name = Ident::with_quote('`', format!("{GROUPED} {}", items.len()));
                let expr = std::mem::replace(expr, Expr::Identifier(name.clone()));
                items.push(SelectItem::ExprWithAlias { expr, alias: name });
            }
        }
    }
    call
}

fn plain(relation: TableFactor) -> TableWithJoins {
    TableWithJoins { relation, joins: Vec::new() }
}

fn alias(name: &str, columns: &[Ident]) -> TableAlias {
    TableAlias {
        explicit: true,
        name: Ident::with_quote('`', name),
        columns: columns.iter().map(column_named).collect(),
        at: None,
    }
}

fn column_named(name: &Ident) -> TableAliasColumnDef {
    TableAliasColumnDef { name: name.clone(), data_type: None }
}

fn star_of(relation: Ident) -> SelectItem {
    let name = ObjectName::from(vec![relation]);
    let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
    SelectItem::QualifiedWildcard(kind, WildcardAdditionalOptions::default())
}

fn item_expr(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr)
        | SelectItem::ExprWithAlias { expr, .. }
        | SelectItem::ExprWithAliases { expr, .. } => Some(expr),
        _ => None,
    }
}

fn generator_call(expr: &Expr) -> Option<&Function> {
    match expr {
        Expr::Function(function) if is_generator(&function.name.to_string()) => Some(function),
        Expr::Nested(inner) => generator_call(inner),
        _ => None,
    }
}

/// Refuses the generators that are left: they are in places where none is allowed.
fn refuse_others(query: &Query) -> Result<()> {
    let mut rewritten = Vec::new();
    let _ = walk::read(query, &mut Rewritten(&mut rewritten));
    let found = walk::expressions(query, |expr| match expr {
        Expr::Function(function) if is_generator(&function.name.to_string()) => {
            match rewritten.iter().position(|known| known == function) {
                Some(known) => {
                    rewritten.swap_remove(known);
                    ControlFlow::Continue(())
                }
                None => ControlFlow::Break(
                    Error::new(
                        ErrorCode::InvalidExpression,
                        format!("{} returns rows, and is not allowed here", function.name),
                    )
                    .at(function.span())
                    .with_hint("a generator is allowed as an item of the select list, in LATERAL VIEW and in FROM"),
                ),
            }
        }
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Collects the calls that are already rewritten.
struct Rewritten<'a>(&'a mut Vec<Function>);

impl sqlparser::ast::Visitor for Rewritten<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Pivot { aggregate_functions, .. } = factor {
            self.0.extend(aggregate_functions.iter().filter_map(|function| generator_call(&function.expr).cloned()));
        }
        ControlFlow::Continue(())
    }
}
