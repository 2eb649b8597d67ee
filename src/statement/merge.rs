//! MERGE INTO.
//!
//! The source is read once: a join of it with the target says for each pair, and for each row without a partner, which clause is
//! the first that holds, and what values it gives (`merge/query.rs`). The join reads of the target only the columns that the
//! conditions and values name, and gives an entry only for the rows that a clause is about. `rewrite.rs` does the rest.

mod expressions;
mod query;

use arrow::datatypes::Schema;
use serde_json::json;

use self::query::query_of;
use super::ast::{Merge, MergeAction, MergeClause, When};
use super::query::{Purpose, TargetRelation, plan_over};
use super::rewrite::{
    Assigned, RowStatement, arrange, assigns, columns_assigned, declared, open, position, run, table_of,
};
use super::update::assignments;
use super::{Checked, Outcome, Watch};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::sink::delta::{Operation, OperationKind, RowAction};

const DOING: &str = "MERGE INTO";

pub(super) async fn execute(session: &Session, merge: &Merge, watch: &dyn Watch) -> Result<Outcome> {
    let span = merge.target.table.span;
    refuse_evolution(merge)?;
    let name = table_of(session, &merge.target.table, DOING)?;
    let target = open(session, &name, span).await?;
    let schema = target.schema().clone();
    let assigned = assigned(&schema, merge)?;
    expressions::refuse(session, merge)?;
    let query = query_of(merge, &schema)?;
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
        allows_repeats: deletes_alone(merge),
        operation: operation(merge),
    };
    run(session, statement, target, watch).await
}

pub(super) async fn check(session: &Session, merge: &Merge) -> Result<Checked> {
    refuse_evolution(merge)?;
    let name = table_of(session, &merge.target.table, DOING)?;
    let (schema, relation): (_, TargetRelation) = declared(session, &name, merge.target.table.span).await?;
    let assigned = assigned(&schema, merge)?;
    expressions::refuse(session, merge)?;
    let query = query_of(merge, &schema)?;
    let planned = plan_over(session, &query, Purpose::Check, Some(&relation)).await?;
    arrange(planned.plan, &schema, &[], &assigned)?;
    Ok(Checked::NoOutput)
}

fn refuse_evolution(merge: &Merge) -> Result<()> {
    match merge.with_schema_evolution {
        true => Err(Error::sql("MERGE WITH SCHEMA EVOLUTION is not supported")
            .at(merge.target.table.span)
            .with_hint("add the columns first: ALTER TABLE … ADD COLUMNS")),
        false => Ok(()),
    }
}

/// The values of all clauses, in the order in which the query gives them.
fn assigned(schema: &Schema, merge: &Merge) -> Result<Vec<Assigned>> {
    let mut all = Vec::new();
    for (action, clause) in merge.clauses.iter().enumerate() {
        let every = || (0..schema.fields().len()).map(|column| Assigned { action, column, span: clause.span });
        match &clause.action {
            MergeAction::Delete => {}
            MergeAction::UpdateAll | MergeAction::InsertAll => all.extend(every()),
            MergeAction::Update(given) => all.extend(assignments(schema, &merge.target, given, action)?),
            MergeAction::Insert { columns, .. } => {
                let first = all.len();
                for name in columns {
                    let column = position(schema, &name.value)
                        .ok_or_else(|| Error::sql(format!("the table has no column `{}`", name.value)).at(name.span))?;
                    if all[first..].iter().any(|earlier: &Assigned| earlier.column == column) {
                        return Err(Error::sql(format!("the column `{}` is given twice", name.value)).at(name.span));
                    }
                    all.push(Assigned { action, column, span: name.span.into() });
                }
            }
        }
    }
    Ok(all)
}

/// Whether all that can become of a matched row is that it is deleted, without a condition: then it does not matter how many
/// rows of the source match it.
fn deletes_alone(merge: &Merge) -> bool {
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
