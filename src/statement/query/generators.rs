//! Generators (`explode` and its like) wherever a query may have one, in the one form that `session::lateral` plans.
//!
//! `LATERAL VIEW [OUTER] explode(x) v AS a` stands behind all of FROM; `LATERAL explode(x)` behind what is left of it, or of its
//! join; `FROM explode(x)` behind nothing. One in the select list stands behind all of FROM too, as a relation that nobody can name:
//! its conditions see no column of it. Where the select groups, or the generator's arguments are aggregates or windows, FROM
//! becomes the grouped rows first. Of several in one select list each stands behind the one before. A generator within an expression
//! is refused, as in Spark.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Join, JoinConstraint,
    JoinOperator, LateralView, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, Spanned, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
    WildcardAdditionalOptions, visit_expressions,
};

use super::names::name_of;
use crate::error::{Error, Result};
use crate::session::is_generator;
use crate::session::lateral::Generated;

/// What a generator in a select list, and its columns, are called; no SQL can name them, so no condition sees them.
const SELECTED: &str = "generated";

/// What the rows are called that a generator's arguments were aggregated in.
const GROUPED: &str = "grouped";

/// Rewrites every generator in `query`. `is_aggregate` knows the names of aggregate functions.
pub fn write_out(query: &mut Query, is_aggregate: &dyn Fn(&str) -> bool) -> Result<()> {
    match query.visit(&mut Generators { is_aggregate }) {
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

    /// The generators in the select list, one behind the other.
    fn selected(&self, select: &mut Select) -> Result<()> {
        let call_of = |item: &SelectItem| item_expr(item).and_then(generator_call).cloned();
        let calls: Vec<Function> = select.projection.iter().filter_map(call_of).collect();
        if calls.is_empty() {
            return Ok(());
        }
        let arguments = match calls.iter().any(|call| self.is_grouped(select, call)) {
            true => group_first(select)?,
            false => {
                write_out_stars(select)?;
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
                // The stars of STRUCTs are written out later.
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

    /// Whether the select's rows are there only when it has grouped them.
    fn is_grouped(&self, select: &Select, call: &Function) -> bool {
        let groups = match &select.group_by {
            GroupByExpr::All(_) => true,
            GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
        };
        let is_computed = |function: &Function| {
            function.over.is_some() || (self.is_aggregate)(&function.name.to_string().to_lowercase())
        };
        let found = visit_expressions(call, |expr| match expr {
            Expr::Function(function) if is_computed(function) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        groups || select.having.is_some() || found.is_break()
    }
}

/// The grouped rows as FROM, with a column for each item of the select list and each argument of a generator; the generators' calls
/// over these columns.
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
                return Err(Error::sql("a star cannot stand beside a generator in a select that groups")
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

/// The call over columns that `items` then have, one for each argument that is no literal.
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

/// `*` as the stars of the relations that it means, which leave out the generator's columns.
fn write_out_stars(select: &mut Select) -> Result<()> {
    for place in (0..select.projection.len()).rev() {
        let SelectItem::Wildcard(options) = &select.projection[place] else { continue };
        let (span, is_plain) = (options.span(), *options == WildcardAdditionalOptions::default());
        let names: Option<Vec<ObjectName>> =
            select.from.iter().map(relation_names).collect::<Option<Vec<_>>>().map(|names| names.concat());
        let Some(names) = names.filter(|_| is_plain || select.from.len() == 1) else {
            return Err(Error::sql(
                "`*` beside a generator does not go with USING, or with relations that have no name",
            )
            .at(span)
            .with_hint("name the columns, or write LATERAL VIEW"));
        };
        if !is_plain && names.len() > 1 {
            return Err(Error::sql("`* EXCEPT` beside a generator goes with one relation")
                .at(span)
                .with_hint("name the columns"));
        }
        let options = options.clone();
        let stars = names.into_iter().map(|name| {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options.clone())
        });
        select.projection.splice(place..=place, stars);
    }
    Ok(())
}

/// The names of what is joined; none when a star means other columns than all of theirs.
fn relation_names(tables: &TableWithJoins) -> Option<Vec<ObjectName>> {
    let is_using = |join: &Join| {
        constraint(&join.join_operator)
            .is_some_and(|constraint| matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural))
    };
    if tables.joins.iter().any(is_using) {
        return None;
    }
    let names =
        std::iter::once(&tables.relation).chain(tables.joins.iter().map(|join| &join.relation)).map(factor_names);
    names.collect::<Option<Vec<_>>>().map(|names| names.concat())
}

fn factor_names(factor: &TableFactor) -> Option<Vec<ObjectName>> {
    let of = |alias: &TableAlias| vec![ObjectName::from(vec![alias.name.clone()])];
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. } => Some(of(alias)),
        TableFactor::Table { name, alias: None, .. } => Some(vec![name.clone()]),
        TableFactor::NestedJoin { table_with_joins, alias: None } => relation_names(table_with_joins),
        TableFactor::Pivot { table, alias: Some(alias), .. } => Some([factor_names(table)?, of(alias)].concat()),
        _ => None,
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

/// FROM with each generator in it behind what is left of it.
fn with_lateral_functions(from: Vec<TableWithJoins>) -> Result<Vec<TableWithJoins>> {
    let mut done: Vec<TableWithJoins> = Vec::new();
    for tables in from {
        let TableWithJoins { relation, joins } = tables;
        let mut current = match from_function(relation)? {
            Found::Generator(call, alias, true) if !done.is_empty() => {
                plain(generated(as_one(std::mem::take(&mut done)), true, *call, false, alias))
            }
            Found::Generator(call, alias, _) => plain(generated(no_rows(), false, *call, false, alias)),
            Found::Other(relation) => plain(*relation),
        };
        for join in joins {
            let span = join.relation.span();
            match from_function(join.relation)? {
                Found::Generator(call, alias, true) => {
                    let is_outer = lateral_join(&join.join_operator).ok_or_else(|| {
                        Error::sql(format!("{} is joined with a condition, or not from the left", call.name))
                            .at(span)
                            .with_hint("JOIN LATERAL and LEFT JOIN LATERAL … ON TRUE; a condition goes into WHERE")
                    })?;
                    current = plain(generated(as_one(vec![current]), true, *call, is_outer, alias));
                }
                Found::Generator(call, alias, false) => {
                    let relation = generated(no_rows(), false, *call, false, alias);
                    current.joins.push(Join { relation, ..join });
                }
                Found::Other(relation) => current.joins.push(Join { relation: *relation, ..join }),
            }
        }
        done.push(current);
    }
    Ok(done)
}

enum Found {
    /// With its alias, and whether it is LATERAL.
    Generator(Box<Function>, TableAlias, bool),
    Other(Box<TableFactor>),
}

fn from_function(factor: TableFactor) -> Result<Found> {
    match factor {
        TableFactor::Function { lateral, name, args, with_ordinality: false, alias }
            if is_generator(&name.to_string()) =>
        {
            let alias = alias.unwrap_or_else(|| self::alias(&name.to_string().to_lowercase(), &[]));
            Ok(Found::Generator(Box::new(super::json_calls::call_of(name, args)), alias, lateral))
        }
        TableFactor::Table { name, alias, args: Some(arguments), .. } if is_generator(&name.to_string()) => {
            let alias = alias.unwrap_or_else(|| self::alias(&name.to_string().to_lowercase(), &[]));
            Ok(Found::Generator(Box::new(super::json_calls::call_of(name, arguments.args)), alias, false))
        }
        // The rows of `range` are numbers of a column that Databricks calls `id`.
        TableFactor::Table {
            name,
            alias,
            args: Some(mut arguments),
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } if name.to_string().eq_ignore_ascii_case("range") => {
            // The fourth says how many partitions there are, which changes no row.
            arguments.args.truncate(3);
            let mut alias = alias.unwrap_or_else(|| self::alias("range", &[]));
            if alias.columns.is_empty() {
                alias.columns.push(column_named(&Ident::new("id")));
            }
            Ok(Found::Other(Box::new(TableFactor::Table {
                name,
                alias: Some(alias),
                args: Some(arguments),
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            })))
        }
        other => Ok(Found::Other(Box::new(other))),
    }
}

/// Whether a join with a generator keeps the rows that have none; nothing for a join that a generator cannot have.
fn lateral_join(operator: &JoinOperator) -> Option<bool> {
    let is_true = |constraint: &JoinConstraint| match constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(Expr::Value(value)) => value.value == Value::Boolean(true),
        _ => false,
    };
    match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) | JoinOperator::CrossJoin(constraint) => {
            is_true(constraint).then_some(false)
        }
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => is_true(constraint).then_some(true),
        _ => None,
    }
}

fn lateral_view(view: LateralView, input: TableFactor) -> Result<TableFactor> {
    let LateralView { lateral_view, lateral_view_name, lateral_col_alias, outer } = view;
    let span = lateral_view.span();
    match (generator_call(&lateral_view), lateral_view_name.0.as_slice()) {
        (Some(call), [ObjectNamePart::Identifier(name)]) => {
            let alias = alias(&name.value, &lateral_col_alias);
            Ok(generated(input, true, call.clone(), outer, alias))
        }
        _ => Err(Error::sql(format!("LATERAL VIEW {lateral_view} is not supported"))
            .at(span)
            .with_hint("LATERAL VIEW takes a generator, such as explode(array), and a name for its rows")),
    }
}

fn generated(input: TableFactor, keeps_input: bool, call: Function, is_outer: bool, alias: TableAlias) -> TableFactor {
    Generated { input, keeps_input, call, is_outer, is_struct: false, alias }.into_factor()
}

/// One row, which a generator that reads no relation stands behind.
fn no_rows() -> TableFactor {
    as_one(Vec::new())
}

/// All of FROM as one relation: what a comma joins is joined.
fn as_one(from: Vec<TableWithJoins>) -> TableFactor {
    let mut tables = from.into_iter();
    let Some(mut first) = tables.next() else {
        return TableFactor::UNNEST {
            alias: None,
            array_exprs: vec![super::json_calls::call("make_array", vec![Expr::Value(Value::Boolean(true).into())])],
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: false,
        };
    };
    for other in tables {
        let relation = match other.joins.is_empty() {
            true => other.relation,
            false => TableFactor::NestedJoin { table_with_joins: Box::new(other), alias: None },
        };
        first.joins.push(Join {
            relation,
            global: false,
            join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
        });
    }
    match first.joins.is_empty() {
        true => first.relation,
        false => TableFactor::NestedJoin { table_with_joins: Box::new(first), alias: None },
    }
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

/// What is left of generators stands where none may; so do several names for one expression.
fn refuse_others(query: &Query) -> Result<()> {
    let mut depth_one = Vec::new();
    let _ = sqlparser::ast::Visit::visit(query, &mut Places(&mut depth_one));
    let found = visit_expressions(query, |expr| match expr {
        Expr::Function(function) if is_generator(&function.name.to_string()) => {
            match depth_one.iter().position(|known| known == function) {
                Some(known) => {
                    depth_one.swap_remove(known);
                    ControlFlow::Continue(())
                }
                None => ControlFlow::Break(
                    Error::sql(format!("{} makes rows, and cannot stand here", function.name))
                        .at(function.span())
                        .with_hint("a generator is an item of the select list, or stands in LATERAL VIEW or FROM"),
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

/// The calls that are planned.
struct Places<'a>(&'a mut Vec<Function>);

impl sqlparser::ast::Visitor for Places<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Pivot { aggregate_functions, .. } = factor {
            self.0.extend(aggregate_functions.iter().filter_map(|function| generator_call(&function.expr).cloned()));
        }
        ControlFlow::Continue(())
    }
}
