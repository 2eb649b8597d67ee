//! `schema.table.column`: the name means the relation of that schema and no other.
//!
//! DataFusion takes a relation without a schema as one of any schema, and one of two relations with the same name. Here a
//! relation that shares its name with another in the same FROM clause gets an alias with its schema, and the names of its columns
//! follow. A name without the schema is then ambiguous.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableAlias, TableFactor, TableWithJoins, VisitorMut,
};

use super::TARGET_SCHEMA;
use super::relations::CALLS_SCHEMA;
use super::spelling::Spelling;
use super::sql_functions::RELATIONS_SCHEMA;
use super::time_travel::VERSIONS_SCHEMA;
use crate::statement::walk;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Resolves the names in `query`. `schema` is the schema of names that give none.
///
/// Errors: a name gives a schema that its relation is not in, or means several relations.
pub(super) fn resolve(schema: &str, declared: &Spelling, query: &mut Query) -> Result<()> {
    let mut names = Names { schema, declared, scopes: Vec::new(), is_pushed: Vec::new(), common: Vec::new() };
    match walk::rewrite(query, &mut names) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// A relation in a FROM clause.
#[derive(Debug, Clone)]
struct Relation {
    /// None for an alias, which is in no schema.
    schema: Option<String>,
    name: String,
    /// The alias that sets it apart from another relation with its name.
    alias: Option<String>,
}

struct Names<'a> {
    schema: &'a str,
    declared: &'a Spelling,
    /// The relations of each enclosing SELECT, the innermost last.
    scopes: Vec<Vec<Relation>>,
    /// For each enclosing query, whether it has a scope for its one SELECT, so that ORDER BY is in it.
    is_pushed: Vec<bool>,
    /// The names of WITH queries, which are in no schema. A name counts in the whole query.
    common: Vec<String>,
}

impl VisitorMut for Names<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let common = query.with.iter().flat_map(|with| &with.cte_tables);
        self.common.extend(common.map(|common| common.alias.name.value.to_lowercase()));
        let is_select = match query.body.as_mut() {
            SetExpr::Select(select) => {
                self.push(select);
                true
            }
            _ => false,
        };
        self.is_pushed.push(is_select);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        if self.is_pushed.pop() == Some(true) {
            self.scopes.pop();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        if self.is_pushed.last() == Some(&false) {
            self.push(select);
        }
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                && let Err(error) = self.star(name)
            {
                return ControlFlow::Break(error);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<Error> {
        if self.is_pushed.last() == Some(&false) {
            self.scopes.pop();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::CompoundIdentifier(path) = expr
            && let Err(error) = self.path(path, 1)
        {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }
}

impl Names<'_> {
    fn push(&mut self, select: &mut Select) {
        let mut factors = Vec::new();
        select.from.iter_mut().for_each(|tables| factors_of(tables, &mut factors));
        let mut relations: Vec<Relation> =
            factors.iter().filter_map(|factor| relation(factor, self.schema, &self.common)).collect();
        let is_shared: Vec<bool> = relations
            .iter()
            .map(|relation| {
                relation.schema.is_some()
                    && relations.iter().filter(|other| other.name == relation.name).count() > 1
                    && relations.iter().filter(|other| same(other, relation)).count() == 1
            })
            .collect();
        for (relation, _) in relations.iter_mut().zip(&is_shared).filter(|(_, is_shared)| **is_shared) {
            relation.alias = relation.schema.as_ref().map(|schema| format!("{schema}.{}", relation.name));
        }
        for factor in factors {
            let Some(found) = relation(factor, self.schema, &self.common) else { continue };
            let shared = relations.iter().find(|other| same(other, &found)).and_then(|other| other.alias.clone());
            if let (Some(shared), TableFactor::Table { alias, .. }) = (shared, factor) {
                let name = Ident::with_quote('`', shared);
                *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
            }
        }
        self.scopes.push(relations);
    }

    /// Resolves the first parts of a path. At least `columns` parts behind the relation are columns and fields.
    fn path(&self, path: &mut Vec<Ident>, columns: usize) -> Result<()> {
        let Some(first) = path.first().map(|ident| ident.value.to_lowercase()) else { return Ok(()) };
        let Some(at) = path.first().map(|ident| ident.span) else { return Ok(()) };
        let second = path.get(1).filter(|_| path.len() >= 2 + columns).map(|ident| ident.value.to_lowercase());
        for relations in self.scopes.iter().rev() {
            if let Some(second) = &second {
                let is_it = |relation: &&Relation| {
                    relation.name == *second && relation.schema.as_deref() == Some(first.as_str())
                };
                if let Some(found) = relations.iter().find(is_it) {
                    if let Some(alias) = &found.alias {
                        let ident = Ident { value: alias.clone(), quote_style: Some('`'), span: at };
                        path.splice(0..2, [ident]);
                    }
                    return Ok(());
                }
            }
            let named: Vec<&Relation> = relations.iter().filter(|relation| relation.name == first).collect();
            match named.as_slice() {
                [] => {}
                named if path.len() > columns && named.iter().any(|relation| relation.alias.is_some()) => {
                    let said = format!("`{first}` means several relations of the FROM clause");
                    return Err(Error::new(ErrorCode::AmbiguousReference, said).at(at).with_hint(format!(
                        "write the schema before it, or give the relations names: FROM … AS {first}_2"
                    )));
                }
                _ => return Ok(()),
            }
        }
        // The relation is there under another schema, and DataFusion would take it.
        let Some(second) = second else { return Ok(()) };
        let is_there = self.scopes.iter().flatten().any(|relation| relation.name == second);
        if is_there && !self.declared.declares(&first) {
            let said = format!("there is no relation `{first}.{second}` in the FROM clause");
            return Err(Error::new(ErrorCode::UnresolvedColumn, said).at(at));
        }
        Ok(())
    }

    fn star(&self, name: &mut ObjectName) -> Result<()> {
        let path: Option<Vec<Ident>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
        let Some(mut path) = path else { return Ok(()) };
        self.path(&mut path, 0)?;
        name.0 = path.into_iter().map(ObjectNamePart::Identifier).collect();
        Ok(())
    }
}

fn same(one: &Relation, other: &Relation) -> bool {
    one.schema == other.schema && one.name == other.name
}

fn factors_of<'a>(tables: &'a mut TableWithJoins, factors: &mut Vec<&'a mut TableFactor>) {
    let TableWithJoins { relation, joins } = tables;
    for factor in std::iter::once(relation).chain(joins.iter_mut().map(|join| &mut join.relation)) {
        inner_factors(factor, factors);
    }
}

fn inner_factors<'a>(factor: &'a mut TableFactor, factors: &mut Vec<&'a mut TableFactor>) {
    match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => factors_of(table_with_joins, factors),
        // A generator and the relation that it follows, see `generators`.
        TableFactor::Pivot { table, .. } => inner_factors(table, factors),
        factor => factors.push(factor),
    }
}

fn relation(factor: &TableFactor, schema: &str, common: &[String]) -> Option<Relation> {
    let named = |alias: &TableAlias| Relation { schema: None, name: alias.name.value.to_lowercase(), alias: None };
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. } => Some(named(alias)),
        TableFactor::Table { name, alias: None, args: None, .. } => {
            let parts: Vec<String> =
                name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.to_lowercase()).collect();
            let is_own =
                |schema: &str| [CALLS_SCHEMA, VERSIONS_SCHEMA, RELATIONS_SCHEMA, TARGET_SCHEMA].contains(&schema);
            match parts.as_slice() {
                [name] if common.contains(name) => Some(Relation { schema: None, name: name.clone(), alias: None }),
                [name] => Some(Relation { schema: Some(schema.to_lowercase()), name: name.clone(), alias: None }),
                [.., schema, name] if !is_own(schema) => {
                    Some(Relation { schema: Some(schema.clone()), name: name.clone(), alias: None })
                }
                _ => None,
            }
        }
        _ => None,
    }
}
