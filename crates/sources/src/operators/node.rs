//! The chain of filters and projections above a scan, as one node of the logical plan.
//!
//! The node is created after the optimizer has run. It must not be optimized again: the optimizer does not see its expressions,
//! and its input has columns that no step names.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::expectation::Rule;
use super::seen::SeenRows;
use crate::places::Places;
use pinsql_base::rejects::Rejects;

/// One operation on the rows. `schema` is the schema before the operation, `output` the schema after it.
#[derive(Debug, Clone)]
pub enum LogicalStep {
    /// Keeps these columns, in this order.
    Take { columns: Vec<usize> },
    /// Keeps the rows for which the predicate is true.
    Filter { predicate: Expr, schema: DFSchemaRef },
    /// Evaluates one expression for each output column.
    Project { expressions: Vec<Expr>, schema: DFSchemaRef, output: DFSchemaRef },
    /// A projection of the common parts of the conditions of a filter, followed by that filter. `early` is the predicate over the
    /// rows before the projection. It is needed because a common part can also fail for rows that another condition filters out.
    ProjectAndFilter { expressions: Vec<Expr>, schema: DFSchemaRef, output: DFSchemaRef, predicate: Expr, early: Expr },
    /// Evaluates the event time of each row. See [`super::marker::Mark::EventTime`].
    EventTime { expression: Expr, schema: DFSchemaRef, moves_watermark: bool },
    /// Keeps the first of equal rows, over all batches. See [`super::marker::Mark::Deduplicate`].
    Deduplicate { operator: u32, has_event_time: bool },
    /// Checks each row with the conditions of the rules.
    Expect { rules: Vec<Rule>, conditions: Vec<Expr>, schema: DFSchemaRef },
}

/// What the node needs in addition to the rows.
#[derive(Debug, Clone)]
pub struct RecordsContext {
    /// Receives the bad records.
    pub rejects: Rejects,
    /// Finds the record of a row of the scanned batch.
    pub places: Arc<dyn Places>,
    /// The state of the deduplicating steps.
    pub seen: Option<Arc<SeenRows>>,
    /// Indices of columns of the scanned batch that are appended to each row, for an operator above that must find the record of
    /// a row.
    pub lineage: Vec<usize>,
}

/// The node (see the documentation of the module). Two nodes are equal only if they share their content: contexts are not
/// compared.
#[derive(Debug, Clone)]
pub struct RecordsNode {
    input: LogicalPlan,
    content: Arc<Content>,
}

#[derive(Debug)]
struct Content {
    steps: Vec<LogicalStep>,
    schema: DFSchemaRef,
    context: RecordsContext,
}

impl RecordsNode {
    /// `schema` is the schema after the last step, with the lineage columns at the end.
    pub fn new(input: LogicalPlan, steps: Vec<LogicalStep>, schema: DFSchemaRef, context: RecordsContext) -> Self {
        Self { input, content: Arc::new(Content { steps, schema, context }) }
    }

    /// The steps, in the order in which they run.
    pub fn steps(&self) -> &[LogicalStep] {
        &self.content.steps
    }

    /// The context of the steps.
    pub fn context(&self) -> &RecordsContext {
        &self.content.context
    }
}

impl PartialEq for RecordsNode {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.content, &other.content) && self.input == other.input
    }
}

impl Eq for RecordsNode {}

impl PartialOrd for RecordsNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl Hash for RecordsNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.content).hash(state);
    }
}

impl UserDefinedLogicalNodeCore for RecordsNode {
    fn name(&self) -> &str {
        "Records"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.content.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let steps: Vec<String> = self.steps().iter().map(ToString::to_string).collect();
        write!(f, "Records: {}", steps.join("; "))
    }

    fn with_exprs_and_inputs(&self, _expressions: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.is_empty()) {
            (Some(input), true) => Ok(Self { input, content: self.content.clone() }),
            _ => Err(DataFusionError::Internal("Records has one input".to_owned())),
        }
    }
}

impl fmt::Display for LogicalStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |expressions: &[Expr]| expressions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Take { columns } => write!(f, "take {} columns", columns.len()),
            Self::Filter { predicate, .. } => write!(f, "filter {predicate}"),
            Self::Project { expressions, .. } => write!(f, "project {}", listed(expressions)),
            Self::ProjectAndFilter { expressions, predicate, .. } => {
                write!(f, "project {}; filter {predicate}", listed(expressions))
            }
            Self::EventTime { expression, .. } => write!(f, "event time {expression}"),
            Self::Deduplicate { .. } => f.write_str("deduplicate"),
            Self::Expect { conditions, .. } => write!(f, "expect {}", listed(conditions)),
        }
    }
}
