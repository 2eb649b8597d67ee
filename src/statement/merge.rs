//! MERGE INTO.
//!
//! The source is read once. A join of source and target returns for each pair, and for each row without a match, the number
//! of the first clause that applies and its values (`merge/join.rs`). The join reads only the columns of the target that the
//! conditions and values use, and returns only rows to which a clause applies. `rewrite.rs` does the rest.
//!
//! With WITH SCHEMA EVOLUTION the columns of the source are resolved first. `*` then means the columns of the source. Those
//! that the target does not have are added to it, and so are new columns that SET or INSERT names.

mod expressions;
mod join;

use arrow::datatypes::{FieldRef, Schema};
use serde_json::json;
use sqlparser::ast::Ident;

use self::join::{query_of, source_query};
use super::ast::{Merge, MergeAction, MergeClause, When};
use super::query::{self, Purpose, TargetRelation, plan_over};
use super::rewrite::{
    Assigned, RowStatement, arrange, assigns, columns_assigned, declared, open, position, run, table_of,
};
use super::update::assignments;
use super::{Checked, Outcome, Watch, schema_evolution};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::{Operation, OperationKind, RowAction};

const DOING: &str = "MERGE INTO";

pub(super) async fn execute(session: &Session, merge: &Merge, watch: &dyn Watch) -> Result<Outcome> {
    let span = merge.target.table.span;
    let name = table_of(session, &merge.target.table, DOING)?;
    let mut target = open(session, &name, span).await?;
    let source = evolving_source(session, merge).await?;
    let added = added(merge, target.schema(), source.as_ref());
    if !added.is_empty() {
        target = target.adding(schema_evolution::new_columns(&added)).map_err(|error| error.at(span))?;
    }
    let schema = target.schema().clone();
    let stars = star_columns(&schema, source.as_ref());
    let assigned = assigned(&schema, merge, &stars)?;
    expressions::refuse_unsupported(session, merge)?;
    let query = query_of(merge, &schema, &stars)?;
    let columns = columns_assigned(&assigned);
    let action = |(number, clause): (usize, &MergeClause)| match (&clause.action, clause.when) {
        (MergeAction::Delete, _) => RowAction::Delete,
        (_, When::NotMatched) => RowAction::Insert { assigns: assigns(&assigned, &columns, number) },
        _ => RowAction::Update { assigns: assigns(&assigned, &columns, number) },
    };
    let statement = RowStatement {
        name: &name,
        doing: DOING,
        span,
        query: &query,
        actions: merge.clauses.iter().enumerate().map(action).collect(),
        is_not_matched: merge.clauses.iter().map(|clause| clause.when == When::NotMatchedBySource).collect(),
        assigned,
        allows_repeats: only_deletes(merge),
        operation: operation(merge),
    };
    run(session, statement, target, watch).await
}

pub(super) async fn check(session: &Session, merge: &Merge) -> Result<Checked> {
    let name = table_of(session, &merge.target.table, DOING)?;
    let (schema, relation): (_, TargetRelation) = declared(session, &name, merge.target.table.span).await?;
    let source = evolving_source(session, merge).await?;
    let schema = schema_evolution::with_added(&schema, &added(merge, &schema, source.as_ref()));
    let stars = star_columns(&schema, source.as_ref());
    let assigned = assigned(&schema, merge, &stars)?;
    expressions::refuse_unsupported(session, merge)?;
    let query = query_of(merge, &schema, &stars)?;
    let planned = plan_over(session, &query, Purpose::Check, Some(&relation)).await?;
    arrange(planned.plan, &schema, &[], &assigned)?;
    Ok(Checked::NoOutput)
}

/// The columns of the source, with WITH SCHEMA EVOLUTION.
async fn evolving_source(session: &Session, merge: &Merge) -> Result<Option<Schema>> {
    if !merge.with_schema_evolution {
        return Ok(None);
    }
    let planned = query::plan(session, &source_query(merge)?, Purpose::Check).await?;
    Ok(Some(planned.plan.schema().as_arrow().clone()))
}

/// The columns of the source that the target does not have and that a clause uses.
fn added<'a>(merge: &Merge, table: &Schema, source: Option<&'a Schema>) -> Vec<&'a FieldRef> {
    let named = |clause: &MergeClause| -> Vec<String> {
        match &clause.action {
            MergeAction::Update(given) => {
                given.iter().filter_map(|one| one.column.parts.last()).map(lower_case).collect()
            }
            MergeAction::Insert { columns, .. } => columns.iter().map(lower_case).collect(),
            MergeAction::Delete | MergeAction::UpdateAll | MergeAction::InsertAll => Vec::new(),
        }
    };
    let has_star =
        merge.clauses.iter().any(|clause| matches!(clause.action, MergeAction::UpdateAll | MergeAction::InsertAll));
    let named: Vec<String> = merge.clauses.iter().flat_map(named).collect();
    let is_given = |field: &FieldRef| has_star || named.contains(&field.name().to_lowercase());
    let added = source.into_iter().flat_map(|source| schema_evolution::added(table, source));
    added.filter(|field| is_given(field)).collect()
}

fn lower_case(name: &Ident) -> String {
    name.value.to_lowercase()
}

/// The columns of the target that `*` means: all, or with schema evolution those that the source has.
fn star_columns(schema: &Schema, source: Option<&Schema>) -> Vec<usize> {
    let has = |column: &usize| source.is_none_or(|source| position(source, schema.field(*column).name()).is_some());
    (0..schema.fields().len()).filter(has).collect()
}

/// The assignments of all clauses, in the order in which the query returns their values.
fn assigned(schema: &Schema, merge: &Merge, stars: &[usize]) -> Result<Vec<Assigned>> {
    let mut all = Vec::new();
    for (action, clause) in merge.clauses.iter().enumerate() {
        let every = || stars.iter().map(|column| Assigned { action, column: *column, span: clause.span });
        match &clause.action {
            MergeAction::Delete => {}
            MergeAction::UpdateAll | MergeAction::InsertAll => all.extend(every()),
            MergeAction::Update(given) => all.extend(assignments(schema, &merge.target, given, action)?),
            MergeAction::Insert { columns, .. } => {
                let first = all.len();
                for name in columns {
                    let column = position(schema, &name.value).ok_or_else(|| {
                        Error::new(ErrorCode::UnresolvedColumn, format!("the table has no column `{}`", name.value))
                            .at(name.span)
                    })?;
                    if all[first..].iter().any(|earlier: &Assigned| earlier.column == column) {
                        return Err(Error::new(
                            ErrorCode::InvalidAssignment,
                            format!("the column `{}` is given twice", name.value),
                        )
                        .at(name.span));
                    }
                    all.push(Assigned { action, column, span: name.span.into() });
                }
            }
        }
    }
    Ok(all)
}

/// True if the only action on a matched row is a DELETE without a condition. Then several source rows may match one target
/// row.
fn only_deletes(merge: &Merge) -> bool {
    let mut matched = merge.clauses.iter().filter(|clause| clause.when == When::Matched);
    match (matched.next(), matched.next()) {
        (Some(only), None) => matches!(only.action, MergeAction::Delete) && only.condition.is_none(),
        _ => false,
    }
}

fn operation(merge: &Merge) -> Operation {
    let clauses = |when: When| {
        let clause = |clause: &MergeClause| {
            let action = match clause.action {
                MergeAction::Delete => "delete",
                MergeAction::Update(_) | MergeAction::UpdateAll => "update",
                MergeAction::Insert { .. } | MergeAction::InsertAll => "insert",
            };
            match &clause.condition {
                Some(condition) => json!({ "predicate": condition.to_string(), "actionType": action }),
                None => json!({ "actionType": action }),
            }
        };
        let clauses = merge.clauses.iter().filter(|clause| clause.when == when).map(clause);
        json!(clauses.collect::<Vec<_>>()).to_string()
    };
    Operation {
        kind: OperationKind::Merge,
        parameters: vec![
            ("predicate", json!([merge.on.to_string()]).to_string()),
            ("matchedPredicates", clauses(When::Matched)),
            ("notMatchedPredicates", clauses(When::NotMatched)),
            ("notMatchedBySourcePredicates", clauses(When::NotMatchedBySource)),
        ],
    }
}
