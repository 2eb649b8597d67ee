//! The query of a MERGE: the join, and for each of its rows the first clause that holds and the values that it gives.

use std::fmt::Write;

use arrow::datatypes::Schema;
use sqlparser::ast::{Expr, Ident, Query, TableFactor};

use super::expressions::belonging_to;
use crate::statement::ast::{Merge, MergeAction, MergeClause, When};
use crate::statement::query::PRESENT_COLUMN;
use crate::statement::rewrite::{alias_of, target_relation};
use crate::statement::template::{self, quoted};
use crate::statement::update::value_of;
use pinsql_base::error::Result;
use pinsql_delta::{FILE_COLUMN, ROW_COLUMN};

/// Gathers the user's expressions, and gives each a gap in the text.
struct Gaps<'a> {
    merge: &'a Merge,
    expressions: Vec<Expr>,
}

impl Gaps<'_> {
    fn gap(&mut self, expression: Expr) -> String {
        self.expressions.push(expression);
        format!("`expression {}`", self.expressions.len() - 1)
    }

    /// An expression of a clause, which may be about one side only.
    fn of_clause(&mut self, when: When, expression: &Expr) -> Result<String> {
        let expression = match when {
            When::Matched => expression.clone(),
            When::NotMatched => {
                belonging_to(expression, &self.merge.source_alias, &alias_of(&self.merge.target), when)?
            }
            When::NotMatchedBySource => {
                belonging_to(expression, &alias_of(&self.merge.target), &self.merge.source_alias, when)?
            }
        };
        Ok(self.gap(expression))
    }
}

/// What the source gives.
pub(super) fn source_query(merge: &Merge) -> Result<Query> {
    template::query("SELECT * FROM `relation 0`", &[named(&merge.source, &merge.source_alias)], &[])
}

/// `stars` are the columns of the target that `*` means.
pub(super) fn query_of(merge: &Merge, schema: &Schema, stars: &[usize]) -> Result<Query> {
    let mut gaps = Gaps { merge, expressions: Vec::new() };
    let (target, source) = (quoted(&alias_of(&merge.target).value), quoted(&merge.source_alias.value));
    let row = format!("{target}.`{ROW_COLUMN}`");
    let present = format!("{source}.`{PRESENT_COLUMN}`");
    let mut holds = Vec::new();
    for clause in &merge.clauses {
        let place = match clause.when {
            When::Matched => format!("{row} IS NOT NULL AND {present} IS NOT NULL"),
            When::NotMatched => format!("{row} IS NULL"),
            When::NotMatchedBySource => format!("{present} IS NULL"),
        };
        holds.push(match &clause.condition {
            Some(condition) => format!("({place} AND {})", gaps.of_clause(clause.when, condition)?),
            None => format!("({place})"),
        });
    }
    let mut sql = format!("SELECT {target}.`{FILE_COLUMN}`, {row}, CASE");
    for (number, holds) in holds.iter().enumerate() {
        let _ = write!(sql, " WHEN {holds} THEN CAST({number} AS INT)");
    }
    sql.push_str(" END AS `action`");
    let mut count = 0;
    for (number, clause) in merge.clauses.iter().enumerate() {
        for value in values(clause, schema, stars, &merge.source_alias) {
            let value = match &value {
                Given::User(value) => gaps.of_clause(clause.when, value)?,
                Given::Star(column) => gaps.gap(column.clone()),
            };
            // Evaluated for its own rows alone: another clause may be there to keep others away from it.
            let earlier: String = holds[..number].iter().map(|holds| format!(" WHEN {holds} THEN NULL")).collect();
            let _ = write!(sql, ", CASE{earlier} WHEN {} THEN {value} END AS `given {count}`", holds[number]);
            count += 1;
        }
    }
    let on = gaps.gap(merge.on.clone());
    let _ = write!(
        sql,
        " FROM (SELECT *, TRUE AS `{PRESENT_COLUMN}` FROM `relation 0`) AS {source} {} `relation 1` ON {on} WHERE {}",
        join(merge),
        holds.join(" OR ")
    );
    let relations = [named(&merge.source, &merge.source_alias), target_relation(&merge.target)?];
    template::query(&sql, &relations, &gaps.expressions)
}

/// Only the rows without a partner that a clause is about. The source, which is mostly the smaller one, stands on the side that a
/// hash join holds in memory.
fn join(merge: &Merge) -> &'static str {
    let has = |when: When| merge.clauses.iter().any(|clause| clause.when == when);
    match (has(When::NotMatched), has(When::NotMatchedBySource)) {
        (false, false) => "INNER JOIN",
        (true, false) => "LEFT JOIN",
        (false, true) => "RIGHT JOIN",
        (true, true) => "FULL JOIN",
    }
}

enum Given {
    User(Expr),
    /// The column of the source with the name of one of the target.
    Star(Expr),
}

/// The values of a clause, in the order of `assigned`.
fn values(clause: &MergeClause, schema: &Schema, stars: &[usize], source: &Ident) -> Vec<Given> {
    let star = || {
        let column = |name: &String| {
            let name = Ident { value: name.clone(), quote_style: Some('`'), span: source.span };
            Given::Star(Expr::CompoundIdentifier(vec![source.clone(), name]))
        };
        stars.iter().map(|star| column(schema.field(*star).name())).collect()
    };
    match &clause.action {
        MergeAction::Delete => Vec::new(),
        MergeAction::UpdateAll | MergeAction::InsertAll => star(),
        MergeAction::Update(assignments) => {
            assignments.iter().map(|assignment| Given::User(value_of(assignment.value.as_ref()))).collect()
        }
        MergeAction::Insert { values, .. } => {
            values.iter().map(|value| Given::User(value_of(value.as_ref()))).collect()
        }
    }
}

/// The source with an alias of its own, which a query in brackets needs.
fn named(source: &TableFactor, alias: &Ident) -> TableFactor {
    let mut named = source.clone();
    if let TableFactor::Derived { alias: given @ None, .. } = &mut named {
        *given = Some(sqlparser::ast::TableAlias {
            explicit: true,
            name: Ident { span: sqlparser::tokenizer::Span::empty(), ..alias.clone() },
            columns: Vec::new(),
            at: None,
        });
    }
    named
}
