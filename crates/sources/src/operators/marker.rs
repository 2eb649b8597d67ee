//! Nodes that mark parts of a streaming query for which SQL's plan has no node.
//!
//! A marker is in the plan while it is optimized, so that names, types and column pruning work for it as for any other node. It
//! marks a DISTINCT with state, the column of a watermark, or the conditions of expectations. After the optimizer,
//! `statement::query::rowwise` converts it to a step of a [`super::RecordsNode`]. A marker cannot be executed. No filter is
//! pushed down through a marker.

use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

use super::expectation::Rule;

/// The meaning of a marker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub enum Mark {
    /// Keep only the first of equal rows, over all batches.
    Deduplicate {
        /// The number of the DISTINCT in the query. It keeps the rows of several DISTINCTs apart.
        operator: u32,
        /// True if the watermark column is one of the compared columns, so that equal rows have the same event time.
        has_event_time: bool,
    },
    /// The only expression of the marker is the event time of the rows.
    EventTime {
        /// False above a join or a generator: the same times were marked below it.
        moves_watermark: bool,
    },
    /// The expressions of the marker are the conditions of these rules, in order.
    Expect(Vec<Rule>),
}

/// A node that passes its rows on unchanged, with a mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct Marker {
    pub mark: Mark,
    /// The expressions of the mark, over the columns of the input.
    pub expressions: Vec<Expr>,
    pub input: LogicalPlan,
}

impl Marker {
    /// The marker as a node of a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The marker at the root of `plan`, or None if the root is another node.
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
            Mark::EventTime { .. } => "EventTime",
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

    /// DISTINCT compares, and so needs, every column. The other markers need the columns of their expressions, which the
    /// optimizer adds itself, and the columns that their parent needs.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        match self.mark {
            Mark::Deduplicate { .. } => None,
            Mark::EventTime { .. } | Mark::Expect(_) => Some(vec![output_columns.to_vec()]),
        }
    }
}
