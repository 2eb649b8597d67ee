//! EXPLAIN: the plan of a query, or of a statement that writes the rows of a query. Only ANALYZE runs the query.
//!
//! The forms are Spark's. EXTENDED shows the plan before and after optimization, FORMATTED draws it as a tree, and COST shows
//! statistics of rows and bytes. CODEGEN is absent, since no code is generated.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::displayable;

use super::ast::{ExplainForm, StatementKind};
use super::planned_write::PlannedWrite;
use super::query::{self, Planned, Purpose};
use super::rows::{self, Rows};
use super::{Checked, create_table, describe_columns, insert};
use crate::session::Session;
use pinsql_base::error::{Error, Result};
use pinsql_delta::{Write, WriteRequest};

pub(super) async fn explain(session: &Session, form: ExplainForm, statement: &StatementKind) -> Result<Rows> {
    if let (StatementKind::Query(query), ExplainForm::Plain | ExplainForm::Analyze) = (statement, form) {
        return rows::explain(session, query, form == ExplainForm::Analyze).await;
    }
    let PlannedWrite { planned, target } = match statement {
        StatementKind::Query(query) => {
            PlannedWrite { planned: query::plan(session, query, Purpose::Run).await?, target: None }
        }
        StatementKind::Insert(insert) => insert::plan_for_explain(session, insert, Purpose::Run).await?,
        StatementKind::CreateTable(create) => create_table::plan_for_explain(session, create, Purpose::Run).await?,
        _ => return Err(Error::internal("a statement that cannot be explained was not refused")),
    };
    let optimized = planned.optimize()?;
    let Planned { state, plan, reads, .. } = &planned;
    let mut physical = state.query_planner().create_physical_plan(&optimized, state).await?;
    if let Some((name, kind)) = target {
        let mut request = WriteRequest::new(session.warehouse().location(&name).await?, kind);
        request.read_version = reads.get(&name).copied();
        physical = Arc::clone(Write::plan(request, physical, state).await?.execution_plan());
    }
    let sections = match form {
        ExplainForm::Plain | ExplainForm::Analyze => {
            vec![("logical plan", optimized.display_indent().to_string()), ("physical plan", indented(&physical))]
        }
        ExplainForm::Extended => vec![
            ("analyzed logical plan", plan.display_indent_schema().to_string()),
            ("optimized logical plan", optimized.display_indent().to_string()),
            ("physical plan", indented(&physical)),
        ],
        ExplainForm::Formatted => vec![("physical plan", displayable(physical.as_ref()).tree_render().to_string())],
        ExplainForm::Cost => {
            vec![("physical plan", displayable(physical.as_ref()).set_show_statistics(true).indent(false).to_string())]
        }
    };
    let lines = sections
        .iter()
        .flat_map(|(name, text)| std::iter::once(format!("== {name} ==")).chain(text.lines().map(str::to_owned)));
    Rows::of_text(&["plan"], lines.map(|line| vec![Some(line)]).collect())
}

fn indented(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).indent(false).to_string()
}

/// Checks the plan_for_explain statement and returns its columns.
pub(super) async fn check(session: &Session, statement: &StatementKind) -> Result<Checked> {
    let planned = match statement {
        StatementKind::Query(query) => query::plan(session, query, Purpose::Check).await?,
        StatementKind::Insert(insert) => insert::plan_for_explain(session, insert, Purpose::Check).await?.planned,
        StatementKind::CreateTable(create) => {
            create_table::plan_for_explain(session, create, Purpose::Check).await?.planned
        }
        _ => return Err(Error::internal("a statement that cannot be explained was not refused")),
    };
    Ok(Checked::Rows { columns: describe_columns(planned.plan.schema().as_arrow()) })
}
