//! The query planner: DataFusion's planner, extended by [`RecordsNode`].

use std::future::ready;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::exec::RecordsExec;
use super::node::{LogicalStep, RecordsNode};
use super::steps::{Deduplicate, Expected, Filter, Stage, Step};
use pinsql_base::planning::Planned;

/// The query planner of a session.
#[derive(Debug, Default)]
pub struct Planner;

impl QueryPlanner for Planner {
    fn create_physical_plan<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        logical_plan: &'life1 LogicalPlan,
        session: &'life2 dyn Session,
    ) -> Planned<'async_trait, Arc<dyn ExecutionPlan>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        physical_plan(logical_plan, session)
    }
}

fn physical_plan<'a>(plan: &'a LogicalPlan, session: &'a dyn Session) -> Planned<'a, Arc<dyn ExecutionPlan>> {
    Box::pin(async move {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(RecordsPlanner)]);
        planner.create_physical_plan(plan, session).await
    })
}

struct RecordsPlanner;

impl ExtensionPlanner for RecordsPlanner {
    fn plan_extension<'life0, 'life1, 'life2, 'life3, 'life4, 'life5, 'life6, 'life7, 'async_trait>(
        &'life0 self,
        planner: &'life1 dyn PhysicalPlanner,
        node: &'life2 dyn UserDefinedLogicalNode,
        _logical_inputs: &'life3 [&'life4 LogicalPlan],
        physical_inputs: &'life5 [Arc<dyn ExecutionPlan>],
        session: &'life6 dyn Session,
        planning: &'life7 PhysicalPlanningContext,
    ) -> Planned<'async_trait, Option<Arc<dyn ExecutionPlan>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        'life4: 'async_trait,
        'life5: 'async_trait,
        'life6: 'async_trait,
        'life7: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(ready(self.plan(planner, node, physical_inputs, session, planning)))
    }
}

impl RecordsPlanner {
    /// [`ExtensionPlanner::plan_extension`], which does not wait for anything here.
    fn plan(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        planning: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(records), [input]) = (node.as_any().downcast_ref::<RecordsNode>(), physical_inputs) else {
            return Ok(None);
        };
        let compile =
            |expression: &Expr, schema: &DFSchema| planner.create_physical_expr(expression, schema, session, planning);
        let mut columns = input.schema();
        let mut stages = vec![Stage::default()];
        for step in records.steps() {
            let compiled = match step {
                LogicalStep::Deduplicate { operator, has_event_time } => {
                    if let Some(stage) = stages.last_mut() {
                        stage.deduplicate = Some(Deduplicate { operator: *operator, has_event_time: *has_event_time });
                    }
                    stages.push(Stage::default());
                    continue;
                }
                step => compile_step(step, &mut columns, &compile)?,
            };
            if let Some(stage) = stages.last_mut() {
                stage.steps.push(compiled);
            }
        }
        let schema = records.schema().inner().clone();
        let exec = RecordsExec::new(input.clone(), stages, schema, records.context().clone());
        Ok(Some(Arc::new(exec)))
    }
}

/// Compiles an expression over a schema to a physical expression.
type Compile<'a> = dyn Fn(&Expr, &DFSchema) -> Result<Arc<dyn PhysicalExpr>> + 'a;

/// Compiles one step. `columns` is the schema before the step, and is set to the schema after it.
fn compile_step(step: &LogicalStep, columns: &mut SchemaRef, compile: &Compile<'_>) -> Result<Step> {
    match step {
        LogicalStep::Take { columns: taken } => {
            *columns = Arc::new(columns.project(taken)?);
            Ok(Step::Take(taken.clone()))
        }
        LogicalStep::Filter { predicate, schema } => {
            compile(predicate, schema).map(|predicate| Step::Filter(Filter::new(predicate)))
        }
        LogicalStep::Project { expressions, schema, output } => {
            let compiled = expressions.iter().map(|expression| compile(expression, schema)).collect::<Result<_>>()?;
            *columns = nullable(output.as_arrow());
            Ok(Step::Project { expressions: compiled, schema: columns.clone() })
        }
        LogicalStep::ProjectAndFilter { expressions, schema, output, predicate, early } => {
            let compiled = expressions.iter().map(|expression| compile(expression, schema)).collect::<Result<_>>()?;
            *columns = nullable(output.as_arrow());
            Ok(Step::ProjectAndFilter {
                expressions: compiled,
                schema: columns.clone(),
                filter: Filter::new(compile(predicate, output)?),
                early: Filter::new(compile(early, schema)?),
            })
        }
        LogicalStep::EventTime { expression, schema, moves_watermark } => {
            let time = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
            let expression = compile(&expression.clone().cast_to(&time, schema.as_ref())?, schema)?;
            Ok(Step::EventTime { expression, moves_watermark: *moves_watermark })
        }
        LogicalStep::Expect { rules, conditions, schema } => {
            let expected = rules
                .iter()
                .zip(conditions)
                .map(|(rule, condition)| Ok(Expected { rule: rule.clone(), condition: compile(condition, schema)? }));
            expected.collect::<Result<_>>().map(Step::Expect)
        }
        LogicalStep::Deduplicate { .. } => {
            Err(DataFusionError::Internal("a step with state was compiled as a step without state".to_owned()))
        }
    }
}

/// All columns as nullable: between two steps, NOT NULL is not guaranteed.
fn nullable(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}
