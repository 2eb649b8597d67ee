//! INSERT INTO and INSERT OVERWRITE.
//!
//! The columns of the query are matched with those of the table by position, with the listed columns by position, or BY NAME.
//! Other columns of the table are NULL. With WITH SCHEMA EVOLUTION, columns that the table does not have are added to it.
//! `REPLACE WHERE` is in `replace_where.rs`.

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::Query;

use super::ast::Insert;
use super::planned_write::PlannedWrite;
use super::query::{self, Purpose};
use super::write::{Additions, write_with};
use super::{Checked, Outcome, Watch, describe_columns, object_names, replace_where, schema_evolution};
use crate::session::Session;
use pinsql_base::engine_error::counted;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_delta::{Alteration, WriteKind};

pub(super) async fn execute(session: &Session, insert: &Insert, watch: &dyn Watch) -> Result<Outcome> {
    object_names::refuse_temporary_view(session, &insert.table, "INSERT")?;
    let name = insert.table.writable_table(session)?;
    let table = session.open_table(&name).await.map_err(|error| error.at(insert.table.span))?;
    let mut planned = query::plan(session, &query_of(insert), Purpose::Run).await?;
    let alteration = evolve(&mut planned.plan, &table.schema(), insert)?;
    if let Some(condition) = &insert.replace_where {
        return replace_where::execute(session, name, insert, condition, planned, watch).await;
    }
    let kind = if insert.overwrite { WriteKind::Overwrite } else { WriteKind::Append };
    let additions = Additions { alteration, ..Additions::default() };
    let written = write_with(session, name, kind, planned, additions, watch).await?;
    Ok(Outcome::Written(Box::new(written)))
}

/// The planned statement, for EXPLAIN.
pub(super) async fn plan_for_explain(session: &Session, insert: &Insert, purpose: Purpose<'_>) -> Result<PlannedWrite> {
    if insert.replace_where.is_some() {
        return Err(Error::new(ErrorCode::UnsupportedFeature, "EXPLAIN of INSERT … REPLACE WHERE is not supported")
            .at(insert.table.span));
    }
    object_names::refuse_temporary_view(session, &insert.table, "INSERT")?;
    let name = insert.table.writable_table(session)?;
    let table = session.open_table(&name).await.map_err(|error| error.at(insert.table.span))?;
    let mut planned = query::plan(session, &query_of(insert), purpose).await?;
    if evolve(&mut planned.plan, &table.schema(), insert)?.is_some() {
        return Err(Error::new(
            ErrorCode::UnsupportedFeature,
            "EXPLAIN of an INSERT that adds columns is not supported",
        )
        .at(insert.table.span));
    }
    let kind = if insert.overwrite { WriteKind::Overwrite } else { WriteKind::Append };
    Ok(PlannedWrite { planned, target: Some((name, kind)) })
}

pub(super) async fn check(session: &Session, insert: &Insert) -> Result<Checked> {
    object_names::refuse_temporary_view(session, &insert.table, "INSERT")?;
    let name = insert.table.writable_table(session)?;
    let table = session.open_table(&name).await.map_err(|error| error.at(insert.table.span))?;
    let mut plan = query::plan(session, &query_of(insert), Purpose::Check).await?.plan;
    evolve(&mut plan, &table.schema(), insert)?;
    if let Some(condition) = &insert.replace_where {
        replace_where::check(session, &name, insert, condition).await?;
    }
    Ok(Checked::Table { table: name.to_string(), columns: describe_columns(plan.schema().as_arrow()) })
}

/// The query. Its column names are kept only where they select or create columns of the table.
fn query_of(insert: &Insert) -> Query {
    match insert.by_name || insert.with_schema_evolution {
        true => insert.query.as_ref().clone(),
        false => query::set_apart(&insert.query),
    }
}

/// Puts the columns of the query in the order of the table. Returns the columns that are added to the table, if any.
fn evolve(plan: &mut LogicalPlan, table: &SchemaRef, insert: &Insert) -> Result<Option<Alteration>> {
    let fields = plan.schema().as_arrow().fields();
    let listed =
        fields.iter().zip(&insert.columns).map(|(field, column)| field.as_ref().clone().with_name(&column.value));
    let given = match insert.columns.as_slice() {
        [] => Schema::new(fields.clone()),
        _ => Schema::new(listed.collect::<Vec<_>>()),
    };
    let added = match insert.with_schema_evolution {
        false => Vec::new(),
        // By position, only the columns after those of the table are new.
        true if insert.columns.is_empty() && !insert.by_name => {
            given.fields().iter().skip(table.fields().len()).collect()
        }
        true => schema_evolution::added(table, &given),
    };
    *plan = arrange(plan.clone(), &schema_evolution::with_added(table, &added), insert)?;
    Ok((!added.is_empty()).then(|| Alteration::AddColumns(schema_evolution::new_columns(&added))))
}

/// Puts the columns of the query in the order of the table.
fn arrange(plan: LogicalPlan, table: &SchemaRef, insert: &Insert) -> Result<LogicalPlan> {
    let given: Vec<Column> = plan.schema().iter().map(Column::from).collect();
    let targets: Vec<usize> = match (insert.by_name, insert.columns.as_slice()) {
        (true, _) => given.iter().map(|column| position(table, &column.name)).collect::<Result<_>>()?,
        (false, []) => return check_count(plan, table.fields().len(), insert),
        (false, listed) => listed
            .iter()
            .map(|column| position(table, &column.value).map_err(|error| error.at(column.span)))
            .collect::<Result<_>>()?,
    };
    let plan = check_count(plan, targets.len(), insert)?;
    let mut sources = vec![None; table.fields().len()];
    for (column, target) in given.into_iter().zip(targets) {
        if sources[target].replace(column).is_some() {
            let name = table.field(target).name();
            return Err(Error::new(ErrorCode::InvalidAssignment, format!("the column `{name}` is given twice"))
                .at(insert.table.span));
        }
    }
    let expressions = sources.into_iter().zip(table.fields()).map(|(source, field)| match source {
        Some(column) => Ok(Expr::Column(column).alias(field.name())),
        None => {
            let null = ScalarValue::try_from(field.data_type())?;
            Ok(Expr::Literal(null, None).alias(field.name()))
        }
    });
    let expressions = expressions.collect::<Result<Vec<_>, datafusion::error::DataFusionError>>()?;
    Ok(LogicalPlanBuilder::from(plan).project(expressions)?.build()?)
}

fn check_count(plan: LogicalPlan, wanted: usize, insert: &Insert) -> Result<LogicalPlan> {
    let given = plan.schema().fields().len();
    if given == wanted {
        return Ok(plan);
    }
    let given = counted(given, "column");
    Err(Error::new(ErrorCode::ColumnArityMismatch, format!("the query gives {given}, {wanted} are expected"))
        .at(insert.table.span)
        .with_hint("list the columns: INSERT INTO t (a, b) SELECT …; those left out become NULL"))
}

fn position(table: &SchemaRef, name: &str) -> Result<usize> {
    let fields = table.fields();
    fields.iter().position(|field| field.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
        let error = Error::new(ErrorCode::UnresolvedColumn, format!("the table has no column `{name}`"));
        match nearest(name, fields.iter().map(|field| field.name().as_str())) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        }
    })
}
