//! Operators that DataFusion does not have: what keeps one bad record from failing its neighbours, and what a stream
//! remembers from batch to batch.
//!
//! The chain of filters and projections above a scan becomes one node, [`RecordsNode`] in the logical plan and
//! [`RecordsExec`] in the physical one. It runs the same expressions on the same batches. When they fail on a batch, it halves the
//! batch until the records are found that fail alone, hands those to the rejects, and goes on with the others. Because it
//! still has the batch as it was scanned, it can tell of any row which record that was; so it is also where expectations are
//! held against rows, and where duplicates and late rows are found (`seen`).
//!
//! - `cooperate`: what lets joins be stopped;
//! - [`marker`]: what a stream's query needs and SQL's plan has no node for, while the plan is optimized;
//! - [`node`] and `planner`: the chain in a plan;
//! - `steps`, `isolate`, `exec`: how it runs;
//! - [`expectation`], [`seen`] with `entries`, `row_hash` and `seen_file`: what it holds rows against.
//!
//! Deliberately absent: the rewriting of plans, which is the statement's business (`statement::query::rowwise`), and state
//! other than that of DISTINCT.

mod cooperate;
mod entries;
mod exec;
pub mod expectation;
mod isolate;
pub mod marker;
pub mod node;
mod planner;
mod row_hash;
pub mod seen;
mod seen_file;
mod steps;

pub use self::cooperate::CooperativeJoins;
pub use self::exec::{
    EXPECTATION_FAILED, EXPECTATION_PASSED, RECORDS_DUPLICATE, RECORDS_FILTERED, RECORDS_LATE, RecordsExec,
};
pub use self::expectation::{OnViolation, Rule};
pub use self::node::RecordsNode;
pub use self::planner::Planner;
pub use self::row_hash::refuse_unhashable;
pub use self::seen::{SeenRows, StateOptions};
