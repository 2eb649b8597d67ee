//! The chain of filters and projections above a scan, as one node of the logical plan.
//!
//! It is made after the plan was optimized and must not be optimized again: its expressions are its own, and its input has
//! columns that no step names.

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

/// One thing done with the rows. `schema` is that of the rows before it, or, where it says so, behind it.
#[derive(Debug, Clone)]
pub enum LogicalStep {
    /// Keeps these columns, in this order.
    Take {
        columns: Vec<usize>,
    },
    Filter {
        predicate: Expr,
        schema: DFSchemaRef,
    },
    Project {
        expressions: Vec<Expr>,
        schema: DFSchemaRef,
        output: DFSchemaRef,
    },
    /// A projection of what a filter's conditions have in common, and that filter. `early` is its predicate over the rows before
    /// the projection: what is common to the conditions fails also for rows that one of them leaves out.
    ProjectAndFilter {
        expressions: Vec<Expr>,
        schema: DFSchemaRef,
        output: DFSchemaRef,
        predicate: Expr,
        early: Expr,
    },
    EventTime {
        expression: Expr,
        schema: DFSchemaRef,
    },
    Deduplicate {
        operator: u32,
        has_event_time: bool,
    },
    Expect {
        rules: Vec<Rule>,
        conditions: Vec<Expr>,
        schema: DFSchemaRef,
    },
}

/// What the node needs beside the rows.
#[derive(Debug, Clone)]
pub struct RecordsContext {
    pub rejects: Rejects,
    pub places: Arc<dyn Places>,
    /// For the steps that deduplicate.
    pub seen: Option<Arc<SeenRows>>,
    /// The columns of the scanned batch that are put behind those of each row, for who has to know which record it was.
    pub lineage: Vec<usize>,
}

/// See the module's documentation. Two nodes are equal if they are the same one: nothing compares their contexts.
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
    /// `schema` is that of the rows behind the last step, and of the lineage behind them.
    pub fn new(input: LogicalPlan, steps: Vec<LogicalStep>, schema: DFSchemaRef, context: RecordsContext) -> Self {
        Self { input, content: Arc::new(Content { steps, schema, context }) }
    }

    pub fn steps(&self) -> &[LogicalStep] {
        &self.content.steps
    }

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
