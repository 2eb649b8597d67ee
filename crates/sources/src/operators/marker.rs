//! What a stream's query needs and SQL's plan has no node for, while the plan is optimized.
//!
//! A marker stands in the plan before it is optimized, so that names, types and pruning are right for it as for any other
//! node: DISTINCT that remembers, the column that a watermark follows, the conditions of expectations. Afterwards
//! `statement::query::rowwise` takes it into a [`super::RecordsNode`]; a marker cannot run by itself. Nothing is pushed
//! through one.

use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

use super::expectation::Rule;

/// What is marked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub enum Mark {
    /// Only the first of equal rows goes on, over all batches.
    Deduplicate {
        /// Tells the rows of one DISTINCT from those of another in the same query.
        operator: u32,
        /// Whether the watermark's column is one of those compared, so that equal rows have one event time.
        has_event_time: bool,
    },
    /// The marker's one expression is the rows' event time.
    EventTime,
    /// The marker's expressions are the conditions of these.
    Expect(Vec<Rule>),
}

/// A place in the plan that [`Mark`] says something about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct Marker {
    pub mark: Mark,
    pub expressions: Vec<Expr>,
    pub input: LogicalPlan,
}

impl Marker {
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The marker that `plan` is, if it is one.
    pub fn of(plan: &LogicalPlan) -> Option<&Self> {
        match plan {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
            _ => None,
        }
    }
}

impl UserDefinedLogicalNodeCore for Marker {
    fn name(&self) -> &str {
        match self.mark {
            Mark::Deduplicate { .. } => "Deduplicate",
            Mark::EventTime => "EventTime",
            Mark::Expect(_) => "Expect",
        }
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        self.expressions.clone()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let expressions: Vec<String> = self.expressions.iter().map(ToString::to_string).collect();
        write!(f, "{}: {}", self.name(), expressions.join(", "))
    }

    fn with_exprs_and_inputs(&self, expressions: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.is_empty()) {
            (Some(input), true) => Ok(Self { mark: self.mark.clone(), expressions, input }),
            _ => Err(DataFusionError::Internal(format!("{} has one input", self.name()))),
        }
    }

    /// What is compared needs every column; the others need those of their expressions, which the optimizer adds, and those
    /// that are asked of them.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        match self.mark {
            Mark::Deduplicate { .. } => None,
            Mark::EventTime | Mark::Expect(_) => Some(vec![output_columns.to_vec()]),
        }
    }
}
