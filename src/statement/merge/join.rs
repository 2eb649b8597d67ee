//! The query of a MERGE: the join, and for each of its rows the first clause that applies and its values.

use std::fmt::Write;

use arrow::datatypes::Schema;
use sqlparser::ast::{Expr, Ident, Query, TableFactor};

use super::expressions::qualified;
use crate::statement::ast::{Merge, MergeAction, MergeClause, When};
use crate::statement::query::PRESENT_COLUMN;
use crate::statement::rewrite::{alias_of, target_relation};
use crate::statement::template::{self, quoted};
use crate::statement::update::value_of;
use pinsql_base::error::Result;
use pinsql_delta::{FILE_COLUMN, ROW_COLUMN};

/// Collects the expressions of the user. Each is a gap in the text of the query.
struct Gaps<'a> {
    merge: &'a Merge,
    expressions: Vec<Expr>,
}

impl Gaps<'_> {
    fn gap(&mut self, expression: Expr) -> String {
        self.expressions.push(expression);
        format!("`expression {}`", self.expressions.len() - 1)
    }

    /// Adds an expression of a clause. A clause may have rows of one side only.
    fn of_clause(&mut self, when: When, expression: &Expr) -> Result<String> {
        let expression = match when {
            When::Matched => expression.clone(),
            When::NotMatched => qualified(expression, &self.merge.source_alias, &alias_of(&self.merge.target), when)?,
            When::NotMatchedBySource => {
                qualified(expression, &alias_of(&self.merge.target), &self.merge.source_alias, when)?
            }
        };
        Ok(self.gap(expression))
    }
}

/// The query for the columns of the source.
pub(super) fn source_query(merge: &Merge) -> Result<Query> {
    template::query("SELECT * FROM `relation 0`", &[with_alias(&merge.source, &merge.source_alias)], &[])
}

/// The query of the statement. `stars` are the columns of the target that `*` means.
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
            // A value is evaluated only for the rows of its clause, since an earlier clause may exclude rows on which it
            // fails.
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
    let relations = [with_alias(&merge.source, &merge.source_alias), target_relation(&merge.target)?];
    template::query(&sql, &relations, &gaps.expressions)
}

/// The kind of join: it returns rows without a match only if a clause needs them. The source is usually smaller. It is on the
/// left side, which a hash join keeps in memory.
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
    /// The column of the source with the name of a column of the target.
    Star(Expr),
}

/// The values of a clause, in the order of `assigned` in `merge.rs`.
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

/// The source with an alias, which a query in brackets needs.
fn with_alias(source: &TableFactor, alias: &Ident) -> TableFactor {
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
