//! Generators in FROM.

use sqlparser::ast::{
    Expr, Function, Ident, Join, JoinConstraint, JoinOperator, LateralView, ObjectNamePart, Spanned, TableAlias,
    TableFactor, TableWithJoins, Value,
};

use super::{alias, column_named, generator_call, plain};
use crate::session::is_generator;
use crate::session::lateral::Generated;
use crate::statement::query::json_calls;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Rewrites each generator in FROM to follow the relations on its left.
pub(super) fn with_lateral_functions(from: Vec<TableWithJoins>) -> Result<Vec<TableWithJoins>> {
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
                        Error::new(
                            ErrorCode::UnsupportedFeature,
                            format!("{} can only be joined from the left and without a condition", call.name),
                        )
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
    /// The call, its alias, and true for LATERAL.
    Generator(Box<Function>, TableAlias, bool),
    Other(Box<TableFactor>),
}

fn from_function(factor: TableFactor) -> Result<Found> {
    match factor {
        TableFactor::Function { lateral, name, args, with_ordinality: false, alias }
            if is_generator(&name.to_string()) =>
        {
            let alias = alias.unwrap_or_else(|| super::alias(&name.to_string().to_lowercase(), &[]));
            Ok(Found::Generator(Box::new(json_calls::call_of(name, args)), alias, lateral))
        }
        TableFactor::Table { name, alias, args: Some(arguments), .. } if is_generator(&name.to_string()) => {
            let alias = alias.unwrap_or_else(|| super::alias(&name.to_string().to_lowercase(), &[]));
            Ok(Found::Generator(Box::new(json_calls::call_of(name, arguments.args)), alias, false))
        }
        mut other => {
            name_range(&mut other);
            Ok(Found::Other(Box::new(other)))
        }
    }
}

/// Names the column of `range` `id`, as in Databricks.
fn name_range(factor: &mut TableFactor) {
    let TableFactor::Table { name, alias, args: Some(arguments), .. } = factor else { return };
    if !name.to_string().eq_ignore_ascii_case("range") {
        return;
    }
    // The fourth argument is the number of partitions, which does not change the rows.
    arguments.args.truncate(3);
    let alias = alias.get_or_insert_with(|| super::alias("range", &[]));
    if alias.columns.is_empty() {
        alias.columns.push(column_named(&Ident::new("id")));
    }
}

/// True if the join keeps rows without generated rows. None for a join that a generator cannot have.
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

pub(super) fn lateral_view(view: LateralView, input: TableFactor) -> Result<TableFactor> {
    let LateralView { lateral_view, lateral_view_name, lateral_col_alias, outer } = view;
    let span = lateral_view.span();
    match (generator_call(&lateral_view), lateral_view_name.0.as_slice()) {
        (Some(call), [ObjectNamePart::Identifier(name)]) => {
            let alias = alias(&name.value, &lateral_col_alias);
            Ok(generated(input, true, call.clone(), outer, alias))
        }
        _ => Err(Error::new(ErrorCode::UnsupportedFeature, format!("LATERAL VIEW {lateral_view} is not supported"))
            .at(span)
            .with_hint("LATERAL VIEW takes a generator, such as explode(array), and a name for its rows")),
    }
}

fn generated(input: TableFactor, keeps_input: bool, call: Function, is_outer: bool, alias: TableAlias) -> TableFactor {
    Generated { input, keeps_input, call, is_outer, is_struct: false, alias }.into_factor()
}

/// A relation of one row, for a generator that reads no relation.
fn no_rows() -> TableFactor {
    as_one(Vec::new())
}

/// All of FROM as one relation. Commas become cross joins. An empty FROM becomes one row.
pub(super) fn as_one(from: Vec<TableWithJoins>) -> TableFactor {
    let mut tables = from.into_iter();
    let Some(mut first) = tables.next() else {
        return TableFactor::UNNEST {
            alias: None,
            array_exprs: vec![json_calls::call("make_array", vec![Expr::Value(Value::Boolean(true).into())])],
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
