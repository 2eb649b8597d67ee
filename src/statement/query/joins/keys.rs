//! Writes the keys of joins where names mean them.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, Join,
    JoinConstraint, JoinOperator, ObjectName, OrderBy, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Spanned, TableWithJoins, VisitorMut, WildcardAdditionalOptions,
};

use super::columns::{Columns, Named};
use super::{is_by_name, place};
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The SELECTs of a query body, without those of subqueries.
pub(super) fn selects_of(body: &mut SetExpr) -> Vec<&mut Select> {
    match body {
        SetExpr::Select(select) => vec![select.as_mut()],
        SetExpr::SetOperation { left, right, .. } => {
            let mut selects = selects_of(left);
            selects.extend(selects_of(right));
            selects
        }
        _ => Vec::new(),
    }
}

pub(super) fn constraint(join: &Join) -> Option<&JoinConstraint> {
    match &join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

fn constraint_mut(join: &mut Join) -> Option<&mut JoinConstraint> {
    match &mut join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::LeftAnti(constraint) => Some(constraint),
        _ => None,
    }
}

/// Writes the keys in an expression of the FROM clause.
pub(super) fn put_in_expr(columns: &Columns, expr: &mut Expr) {
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(expr, &mut Keys { columns, depth: 0 });
}

/// Adds the join to `tables`, which has the columns `left`. Returns the columns after the join.
pub(super) fn join(tables: &mut TableWithJoins, mut join: Join, mut left: Columns, right: Columns) -> Result<Columns> {
    let is_left_alone = matches!(join.join_operator, JoinOperator::LeftSemi(_) | JoinOperator::LeftAnti(_));
    let names: Vec<Ident> = match constraint(&join).filter(|constraint| is_by_name(constraint)) {
        Some(JoinConstraint::Using(columns)) => columns.iter().map(last_part).collect(),
        Some(_) => natural_keys(&left, &right),
        None => {
            let mut all = left.clone();
            all.append(right.clone());
            if let Some(JoinConstraint::On(condition)) = constraint_mut(&mut join) {
                put_in_expr(&all, condition);
            }
            tables.joins.push(join);
            if !is_left_alone {
                left.append(right);
            }
            return Ok(left);
        }
    };
    let mut keys = Vec::with_capacity(names.len());
    for name in &names {
        keys.push((the_one(&left, name)?, the_one(&right, name)?));
    }
    let key = |(of_left, of_right): (Named, Named)| Named {
        expr: match &join.join_operator {
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => of_right.expr,
            JoinOperator::FullOuter(_) => coalesce(of_left.expr, of_right.expr),
            _ => of_left.expr,
        },
        name: of_left.name,
    };
    let is_key = |column: &Named| names.iter().any(|name| name.value.eq_ignore_ascii_case(&column.name));
    let rest_of = |columns: Vec<Named>| columns.into_iter().filter(|column| !is_key(column)).collect::<Vec<_>>();
    let condition = keys.iter().map(|(left, right)| equal(left.expr.clone(), right.expr.clone())).reduce(both);

    let mut joined = Columns { star: keys.into_iter().map(key).collect(), ..Columns::default() };
    joined.star.extend(rest_of(left.star));
    joined.relations = left.relations;
    if !is_left_alone {
        joined.star.extend(rest_of(right.star));
        joined.relations.extend(right.relations);
    }
    joined.keys = [left.keys, right.keys].concat();
    joined.keys.extend(names.iter().map(|name| name.value.clone()));
    add(tables, join, condition);
    Ok(joined)
}

/// Adds the join with the condition, which replaces USING.
fn add(tables: &mut TableWithJoins, join: Join, condition: Option<Expr>) {
    let Join { relation, global, join_operator } = join;
    let is_inner = matches!(join_operator, JoinOperator::Join(_) | JoinOperator::Inner(_));
    let constraint = match condition {
        Some(condition) => JoinConstraint::On(condition),
        // A NATURAL join without common columns.
        None if is_inner => {
            let join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
            tables.joins.push(Join { relation, global, join_operator });
            return;
        }
        None => JoinConstraint::On(Expr::Value(sqlparser::ast::Value::Boolean(true).into())),
    };
    let join_operator = match join_operator {
        JoinOperator::Join(_) | JoinOperator::Inner(_) => JoinOperator::Inner(constraint),
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => JoinOperator::LeftOuter(constraint),
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => JoinOperator::RightOuter(constraint),
        JoinOperator::FullOuter(_) => JoinOperator::FullOuter(constraint),
        JoinOperator::LeftSemi(_) => JoinOperator::LeftSemi(constraint),
        JoinOperator::RightSemi(_) => JoinOperator::RightSemi(constraint),
        JoinOperator::LeftAnti(_) => JoinOperator::LeftAnti(constraint),
        JoinOperator::RightAnti(_) => JoinOperator::RightAnti(constraint),
        other => other,
    };
    tables.joins.push(Join { relation, global, join_operator });
}

fn last_part(name: &ObjectName) -> Ident {
    name.0.last().and_then(|part| part.as_ident().cloned()).unwrap_or_else(|| Ident::new(name.to_string()))
}

fn natural_keys(left: &Columns, right: &Columns) -> Vec<Ident> {
    let is_there = |column: &&Named| right.star.iter().any(|other| other.name.eq_ignore_ascii_case(&column.name));
    left.star.iter().filter(is_there).map(|column| Ident::with_quote('`', &column.name)).collect()
}

fn the_one(columns: &Columns, name: &Ident) -> Result<Named> {
    let mut found = columns.star.iter().filter(|column| column.name.eq_ignore_ascii_case(&name.value));
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column.clone()),
        (None, _) => Err(Error::new(
            ErrorCode::UnresolvedColumn,
            format!("USING: one side of the join has no column `{}`", name.value),
        )
        .at(place(name.span))),
        (Some(_), Some(_)) => Err(Error::new(
            ErrorCode::AmbiguousReference,
            format!("USING: one side of the join has several columns `{}`", name.value),
        )
        .at(place(name.span))),
    }
}

fn equal(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: sqlparser::ast::BinaryOperator::Eq, right: Box::new(right) }
}

fn both(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: sqlparser::ast::BinaryOperator::And, right: Box::new(right) }
}

fn coalesce(left: Expr, right: Expr) -> Expr {
    let argument = |expr: Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("coalesce")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![argument(left), argument(right)],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Writes out the stars of `select`, and the keys in its expressions and in the order of its query.
pub(super) fn put(columns: &Columns, select: &mut Select, order: Option<&mut OrderBy>) -> Result<()> {
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(options) => items.extend(starred(&columns.star, &options)?),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                match columns.of_star(&name) {
                    Some(columns) => items.extend(starred(columns, &options)?),
                    None => items.push(SelectItem::QualifiedWildcard(
                        SelectItemQualifiedWildcardKind::ObjectName(name),
                        options,
                    )),
                }
            }
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => match key(columns, &name) {
                Some(expr) => items.push(SelectItem::ExprWithAlias { expr, alias: name }),
                None => items.push(SelectItem::UnnamedExpr(Expr::Identifier(name))),
            },
            other => items.push(other),
        }
    }
    select.projection = items;
    let mut keys = Keys { columns, depth: 0 };
    let Select { projection, from: _, selection, group_by, having, qualify, .. } = select;
    let groups = match group_by {
        GroupByExpr::Expressions(groups, _) => groups.as_mut_slice(),
        GroupByExpr::All(_) => &mut [],
    };
    // Infallible: the visitor never stops.
    let _ = walk::rewrite(projection, &mut keys);
    let exprs = selection.iter_mut().chain(groups).chain(having).chain(qualify);
    for expr in exprs {
        let _ = walk::rewrite(expr, &mut keys);
    }
    if let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = order {
        // The name of an output column comes before a column of FROM.
        let is_output = |name: &Ident| {
            select.projection.iter().any(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => alias.value.eq_ignore_ascii_case(&name.value),
                _ => false,
            })
        };
        for by in order {
            match &by.expr {
                Expr::Identifier(name) if is_output(name) => {}
                _ => {
                    let _ = walk::rewrite(&mut by.expr, &mut keys);
                }
            }
        }
    }
    Ok(())
}

/// The columns of a star without those of EXCEPT.
fn starred(columns: &[Named], options: &WildcardAdditionalOptions) -> Result<Vec<SelectItem>> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    if opt_ilike.is_some()
        || opt_exclude.is_some()
        || opt_replace.is_some()
        || opt_rename.is_some()
        || opt_alias.is_some()
    {
        let said = "only EXCEPT can follow a star over a join with USING or NATURAL";
        return Err(Error::new(ErrorCode::UnsupportedFeature, said).at(place(options.span())));
    }
    let left_out: Vec<&Ident> = opt_except
        .iter()
        .flat_map(|except| std::iter::once(&except.first_element).chain(&except.additional_elements))
        .collect();
    for name in &left_out {
        if !columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name.value)) {
            let said = format!("EXCEPT: there is no column `{}`", name.value);
            return Err(Error::new(ErrorCode::UnresolvedColumn, said).at(place(name.span)));
        }
    }
    let is_kept = |column: &&Named| !left_out.iter().any(|name| name.value.eq_ignore_ascii_case(&column.name));
    let item = |column: &Named| match &column.expr {
        expr @ Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(expr.clone()),
        expr => SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('`', &column.name) },
    };
    Ok(columns.iter().filter(is_kept).map(item).collect())
}

/// The expression of a key without a relation.
fn key(columns: &Columns, name: &Ident) -> Option<Expr> {
    let is_key = columns.keys.iter().any(|key| key.eq_ignore_ascii_case(&name.value));
    let mut found = columns.star.iter().filter(|column| column.name.eq_ignore_ascii_case(&name.value));
    match (is_key, found.next(), found.next()) {
        (true, Some(column), None) => Some(column.expr.clone()),
        _ => None,
    }
}

/// Replaces the names of keys by their expressions, but not in subqueries, which have columns of their own.
struct Keys<'a> {
    columns: &'a Columns,
    /// The number of enclosing subqueries and lambda functions.
    depth: usize,
}

impl VisitorMut for Keys<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Lambda(_)) {
            self.depth += 1;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Lambda(_) => self.depth -= 1,
            Expr::Identifier(name) if self.depth == 0 => {
                if let Some(key) = key(self.columns, name) {
                    *expr = key;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
