//! `*` next to a generator in a select list: it must not include the columns of the generator.

use sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, ObjectName, Select, SelectItem, SelectItemQualifiedWildcardKind, Spanned,
    TableAlias, TableFactor, TableWithJoins, WildcardAdditionalOptions,
};

use pinsql_base::error::{Error, ErrorCode, Result};

/// Replaces `*` by the stars of the relations in FROM.
///
/// Errors: a relation has no name, or the star has options that do not apply to several relations.
pub(super) fn write_out(select: &mut Select) -> Result<()> {
    for place in (0..select.projection.len()).rev() {
        let SelectItem::Wildcard(options) = &select.projection[place] else { continue };
        let (span, is_plain) = (options.span(), *options == WildcardAdditionalOptions::default());
        let names: Option<Vec<ObjectName>> =
            select.from.iter().map(relation_names).collect::<Option<Vec<_>>>().map(|names| names.concat());
        let Some(names) = names.filter(|_| is_plain || select.from.len() == 1) else {
            return Err(Error::new(
                ErrorCode::UnsupportedFeature,
                "`*` next to a generator is not supported with USING, or with relations without a name",
            )
            .at(span)
            .with_hint("name the columns, or write LATERAL VIEW"));
        };
        if !is_plain && names.len() > 1 {
            return Err(Error::new(
                ErrorCode::UnsupportedFeature,
                "`* EXCEPT` next to a generator is supported for one relation only",
            )
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

/// The names of the joined relations. None if `*` is not all columns of all relations, as with USING.
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
