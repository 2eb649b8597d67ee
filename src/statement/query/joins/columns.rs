//! The columns of a FROM clause, by name and by relation.

use datafusion::execution::SessionState;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{Cte, Expr, Ident, ObjectName, ObjectNamePart, Query, TableAlias, TableFactor, Value, With};

use super::super::variable_values;
use crate::session::variables::Values;
use crate::statement::template;
use pinsql_base::error::Result;

/// A column that `*` has.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: String,
    /// The expression for it. The key of a join is that of one side, or the coalesce of both.
    pub(super) expr: Expr,
}

/// The columns of a FROM clause.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    /// The columns of `*`, in order.
    pub(super) star: Vec<Named>,
    /// The columns of each relation with its name.
    pub(super) relations: Vec<(Vec<Ident>, Vec<Named>)>,
    /// The names of the keys of joins.
    pub(super) keys: Vec<String>,
}

impl Columns {
    pub(super) fn of_relation(name: Vec<Ident>, columns: &[String]) -> Self {
        let named = |column: &String| {
            let path = name.iter().cloned().chain([Ident::with_quote('`', column)]).collect();
            Named { name: column.clone(), expr: Expr::CompoundIdentifier(path) }
        };
        let star: Vec<Named> = columns.iter().map(named).collect();
        Self { star: star.clone(), relations: vec![(name, star)], keys: Vec::new() }
    }

    pub(super) fn append(&mut self, other: Self) {
        self.star.extend(other.star);
        self.relations.extend(other.relations);
        self.keys.extend(other.keys);
    }

    /// The number of columns of all relations.
    pub(super) fn width(&self) -> usize {
        self.relations.iter().map(|(_, columns)| columns.len()).sum()
    }

    /// The columns of `name.*`. None if no relation or several have the name.
    pub(super) fn of_star(&self, name: &ObjectName) -> Option<&[Named]> {
        let path: Vec<&Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
        let is_it = |relation: &Vec<Ident>| {
            path.len() <= relation.len()
                && path
                    .iter()
                    .rev()
                    .zip(relation.iter().rev())
                    .all(|(given, part)| given.value.eq_ignore_ascii_case(&part.value))
        };
        let mut found = self.relations.iter().filter(|(relation, _)| is_it(relation));
        let (_, columns) = found.next()?;
        found.next().is_none().then_some(columns)
    }
}

/// The name by which columns of the relation can be named. A relation without a name gets one.
pub(super) fn name_or_alias(factor: &mut TableFactor, number: usize) -> Vec<Ident> {
    match factor {
        TableFactor::Table { name, alias: None, .. } => {
            name.0.iter().filter_map(|part| part.as_ident().cloned()).collect()
        }
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::Pivot { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. } => vec![alias.name.clone()],
        TableFactor::Derived { alias, .. } => {
            let unnamed = || TableAlias {
                explicit: true,
                name: Ident::with_quote('`', format!("unnamed relation {number}")),
                columns: Vec::new(),
                at: None,
            };
            vec![alias.get_or_insert_with(unnamed).name.clone()]
        }
        _ => Vec::new(),
    }
}

/// True for the literal TRUE.
pub(super) fn is_true(flag: Option<&Expr>) -> bool {
    matches!(flag, Some(Expr::Value(value)) if value.value == Value::Boolean(true))
}

/// A query whose columns are those of a relation.
pub(super) struct Probe(Box<Query>);

/// The query for the columns of `factor`, with the WITH queries in scope.
pub(super) fn probe(factor: &TableFactor, common: &[(Cte, bool)]) -> Result<Probe> {
    let mut query = template::query("SELECT * FROM `relation 0`", std::slice::from_ref(factor), &[])?;
    let mut tables: Vec<Cte> = Vec::new();
    for (cte, _) in common {
        // An inner one hides an outer one with the same name.
        tables.retain(|known| known.alias.name.value != cte.alias.name.value);
        tables.push(cte.clone());
    }
    if !tables.is_empty() {
        let with_token = AttachedToken::empty();
        let recursive = common.iter().any(|(_, is_recursive)| *is_recursive);
        query.with = Some(With { with_token, recursive, cte_tables: tables });
    }
    Ok(Probe(Box::new(query)))
}

impl Probe {
    /// The names of the columns.
    pub(super) async fn columns(self, state: &SessionState, variables: &Values) -> Result<Vec<String>> {
        let plan = variable_values::plan(state, variables, *self.0).await?;
        Ok(plan.schema().fields().iter().map(|field| field.name().clone()).collect())
    }
}
